import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from isthmus.kernel import wild
from isthmus.kernel.errors import Rejected

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


def refusal(act) -> Rejected:
    with pytest.raises(Rejected) as caught:
        act()
    return caught.value


def test_a_tamed_value_is_the_value():
    sent = wild.from_json(b'{"a": [{"b": "x"}], "n": 3, "t": true, "none": null}')
    assert sent["a"][0]["b"].tame(wild.text) == "x"
    assert sent["n"].tame(wild.integer) == 3
    assert sent["t"].tame(wild.boolean) is True
    assert sent["absent"].tame(wild.optional(wild.text, "default")) == "default"
    assert sent["none"].tame(wild.optional(wild.text, "default")) == "default"


@pytest.mark.parametrize(
    ("body", "act", "path", "says"),
    [
        (b'{"a": {}}', lambda w: w["a"]["b"].tame(wild.text), "/a/b", "is missing"),
        (b'{"a": [1]}', lambda w: w["a"][1].tame(wild.text), "/a/1", "is missing"),
        (b'{"a": [1]}', lambda w: w["a"][0].tame(wild.text), "/a/0", "must be a text"),
        (b'{"a": true}', lambda w: w["a"].tame(wild.integer), "/a", "must be a whole number"),
        (b'{"a": 1}', lambda w: w["a"]["b"], "/a", "must be an object"),
        (b'{"a/b": 1}', lambda w: w["a/b"].tame(wild.text), "/a~1b", "must be a text"),
        (b'{"a": "b"}', lambda w: w["a"].tame(wild.one_of("x", "y")), "/a", "must be one of x, y"),
        (b'{"a": " "}', lambda w: w["a"].tame(wild.named), "/a", "must not be blank"),
        (b'{"a": "2026-01-01T00:00:00"}', lambda w: w["a"].tame(wild.moment), "/a", "with a zone"),
        (b'{"a": {"b": 1}}', lambda w: w["a"].tame(wild.texts), "/a/b", "must be a text"),
    ],
)
def test_each_refusal_names_its_path(body, act, path, says):
    found = refusal(lambda: act(wild.from_json(body)))
    assert found.problems[0].path == path
    assert says in str(found)


def test_a_refusal_never_repeats_the_value():
    found = refusal(lambda: wild.from_json(b'{"pin": "hunter2"}')["pin"].tame(wild.integer))
    assert "hunter2" not in f"{found} {found.problems} {found!r}"


def test_a_wild_value_cannot_be_used_by_accident():
    sent = wild.from_json(b'{"a": "secret"}')
    for act in (
        lambda: sent["a"] == "secret",
        lambda: bool(sent["a"]),
        lambda: list(sent["a"]),
        lambda: {sent["a"]},
    ):
        with pytest.raises(TypeError):
            act()
    assert "secret" not in f"{sent['a']!r} {sent['a']}"


@pytest.mark.parametrize("body", [b"", b"{", b"\xff", b"[" * 100_000, b'{"a":1}{"b":2}', b"nan"])
def test_what_is_not_json_is_refused_at_the_root(body):
    assert refusal(lambda: wild.from_json(body)).problems[0].path == ""


def test_deep_nesting_is_refused_and_its_limit_allowed():
    assert "nested deeper" in str(refusal(lambda: wild.from_json(b"[" * 61 + b"]" * 61)))
    wild.from_json(b"[" * 60 + b"]" * 60)


@given(json_values, st.text(max_size=5), st.integers(-3, 3))
def test_indexing_anything_either_works_or_is_refused(value, name, index):
    sent = wild.Wild(value)
    for act in (lambda: sent[name].tame(wild.text), lambda: sent[index].tame(wild.scalar), sent.names):
        with contextlib.suppress(Rejected):
            act()
