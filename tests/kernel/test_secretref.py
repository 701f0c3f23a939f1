import msgspec
import pytest

from isthmus.kernel.errors import Rejected
from isthmus.kernel.secretref import SecretRef, parse


@pytest.mark.parametrize(
    ("text", "scheme", "name"),
    [("env:A", "env", "A"), ("file:/run/x:y", "file", "/run/x:y"), ("vault:k#v", "vault", "k#v")],
)
def test_a_reference_says_where_the_secret_lives(text, scheme, name):
    ref = parse(text)
    assert (ref.scheme, ref.name) == (scheme, name)


@pytest.mark.parametrize("text", ["", "hunter2", "env:", "env: ", "http://x", "ENV:A"])
def test_a_secret_in_clear_is_refused_and_not_repeated(text):
    with pytest.raises(Rejected) as caught:
        parse(text)
    if text:
        assert text not in str(caught.value).replace("env:NAME", "")
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert({"secret": text}, SecretRef)
