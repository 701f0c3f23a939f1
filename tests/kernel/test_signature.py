"""Signatures: what is authentic enters, everything else names why it does not. Vectors come from the vendors."""

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from isthmus.kernel.instant import MINUTE, SECOND, Instant, from_rfc3339
from isthmus.kernel.signature import SCHEMES, Failure, Hmac

NOW = from_rfc3339("2026-11-20T15:02:00Z")
BODY = b'{"event":"x"}'
SECRETS = dict.fromkeys(SCHEMES, "user:password") | {
    "teams": base64.b64encode(b"a shared key").decode(),
    "standard_webhooks": "whsec_" + base64.b64encode(b"a shared key").decode(),
}
SIGNED = [name for name, scheme in SCHEMES.items() if isinstance(scheme, Hmac)]
AGED = [name for name in SIGNED if SCHEMES[name].age_seconds_max is not None]


@pytest.mark.parametrize("name", SCHEMES)
def test_what_is_signed_is_accepted(name):
    scheme = SCHEMES[name]
    headers = scheme.sign(BODY, SECRETS[name], NOW, "delivery-1")
    assert scheme.verify(headers, BODY, [SECRETS[name]], NOW) is None


@pytest.mark.parametrize("name", SCHEMES)
def test_another_secret_is_wrong_and_none_at_all_is_refused(name):
    scheme = SCHEMES[name]
    headers = scheme.sign(BODY, SECRETS[name], NOW, "delivery-1")
    other = base64.b64encode(b"another key").decode()
    assert scheme.verify(headers, BODY, [other], NOW) is Failure.WRONG
    assert scheme.verify(headers, BODY, [], NOW) is Failure.NO_SECRET
    assert scheme.verify(headers, BODY, [""], NOW) is Failure.NO_SECRET
    assert scheme.verify({}, BODY, [SECRETS[name]], NOW) is Failure.MISSING


@pytest.mark.parametrize("name", SCHEMES)
def test_both_secrets_are_accepted_during_rotation(name):
    scheme = SCHEMES[name]
    headers = scheme.sign(BODY, SECRETS[name], NOW, "delivery-1")
    newer = base64.b64encode(b"a newer key").decode()
    assert scheme.verify(headers, BODY, [newer, SECRETS[name]], NOW) is None


@pytest.mark.parametrize("name", SIGNED)
def test_a_changed_body_is_wrong(name):
    headers = SCHEMES[name].sign(BODY, SECRETS[name], NOW, "delivery-1")
    assert SCHEMES[name].verify(headers, BODY + b" ", [SECRETS[name]], NOW) is Failure.WRONG


@pytest.mark.parametrize("name", AGED)
def test_late_and_future_signatures_are_refused_at_the_limit(name):
    scheme, secret = SCHEMES[name], SECRETS[name]
    headers = scheme.sign(BODY, secret, NOW, "delivery-1")
    assert scheme.verify(headers, BODY, [secret], Instant(NOW + 5 * MINUTE)) is None
    assert scheme.verify(headers, BODY, [secret], Instant(NOW + 5 * MINUTE + SECOND)) is Failure.LATE
    assert scheme.verify(headers, BODY, [secret], Instant(NOW - 5 * MINUTE - SECOND)) is Failure.LATE


@pytest.mark.parametrize("name", [each for each in SIGNED if SCHEMES[each].timestamp_header])
def test_a_changed_timestamp_is_wrong_even_where_age_is_not_checked(name):
    scheme, secret = SCHEMES[name], SECRETS[name]
    headers = scheme.sign(BODY, secret, NOW, "delivery-1")
    later = scheme.sign(BODY, secret, Instant(NOW + MINUTE), "delivery-1")
    forged = {**headers, scheme.timestamp_header: later[scheme.timestamp_header]}
    assert scheme.verify(forged, BODY, [secret], NOW) is Failure.WRONG


def test_a_changed_delivery_id_is_wrong_where_it_is_signed():
    scheme, secret = SCHEMES["standard_webhooks"], SECRETS["standard_webhooks"]
    headers = scheme.sign(BODY, secret, NOW, "delivery-1")
    assert scheme.verify({**headers, "webhook-id": "delivery-2"}, BODY, [secret], NOW) is Failure.WRONG


def test_glpi_replays_with_an_old_time_are_not_refused_for_their_age():
    headers = SCHEMES["glpi"].sign(BODY, "s", Instant(NOW - 600 * MINUTE))
    assert SCHEMES["glpi"].verify(headers, BODY, ["s"], NOW) is None


def test_several_signatures_are_tried_during_the_senders_rotation():
    scheme = SCHEMES["pagerduty"]
    good = scheme.sign(BODY, "new", NOW)["x-pagerduty-signature"]
    old = scheme.sign(BODY, "old", NOW)["x-pagerduty-signature"]
    assert scheme.verify({"x-pagerduty-signature": f"{old},{good}"}, BODY, ["new"], NOW) is None
    assert scheme.verify({"x-pagerduty-signature": f"{old},v2=ff"}, BODY, ["new"], NOW) is Failure.WRONG


def test_known_answers():
    """GitHub and Slack publish these two examples in their documentation on validating deliveries."""
    github = {
        "x-hub-signature-256": "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"
    }
    assert SCHEMES["github"].verify(github, b"Hello, World!", ["It's a Secret to Everybody"], NOW) is None
    body = (
        b"token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J&team_domain=testteamnow&channel_id=G8PSS9T3V"
        b"&channel_name=foobar&user_id=U2CERLKJA&user_name=roadrunner&command=%2Fwebhook-collect&text="
        b"&response_url=https%3A%2F%2Fhooks.slack.com%2Fcommands%2FT1DC2JH3J%2F397700885554%2F96rGlfmibIGlgcZRskXaIFfN"
        b"&trigger_id=398738663015.47445629121.803a0bc887a14d10d2c447fce8b6703c"
    )
    slack = {
        "x-slack-request-timestamp": "1531420618",
        "x-slack-signature": "v0=a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503",
    }
    then = Instant(1531420618 * SECOND)
    assert SCHEMES["slack"].verify(slack, body, ["8f742231b10e8888abcd99yyyzzz85a5"], then) is None


@given(
    st.dictionaries(
        st.sampled_from(sorted({each.header for each in SCHEMES.values() if hasattr(each, "header")})),
        st.text(),
    ),
    st.binary(),
)
def test_no_header_ever_crashes_a_scheme_or_enters(headers, body):
    for name, scheme in SCHEMES.items():
        assert scheme.verify(headers, body, [SECRETS[name]], NOW) is not None


def test_an_oversized_header_is_malformed():
    assert (
        SCHEMES["github"].verify({"x-hub-signature-256": "sha256=" + "00" * 9_000}, BODY, ["s"], NOW)
        is Failure.MALFORMED
    )
