from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from isthmus.kernel.kinds import KINDS
from isthmus.kernel.redact import luhn, masked, scrub, scrub_all, scrub_event

LEAKS = [
    ("Authorization: Bearer abcdef1234567890", "abcdef1234567890"),
    ("refused: token=s3cr3t-value next", "s3cr3t-value"),
    ('{"password": "hunter two", "a": 1}', "hunter two"),
    ("client_secret='abc123xyz'", "abc123xyz"),
    ("postgresql://isthmus:pa55w0rd@db/isthmus", "pa55w0rd"),
    ("X-Api-Key: 0123456789abcdef", "0123456789abcdef"),
    ("jwt eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl here", "eyJzdWIiOiIxIn0"),
    ("pushed with ghp_abcdefghijklmnopqrst", "ghp_abcdefghijklmnopqrst"),
    ("write to Ada.Lovelace+x@example.co.uk now", "Ada.Lovelace"),
    ("call +44 20 7946 0958 now", "7946"),
    ("card 4111 1111 1111 1111 charged", "4111 1111"),
    ("-----BEGIN PRIVATE KEY-----\nMIIabc\n-----END PRIVATE KEY-----", "MIIabc"),
]


@pytest.mark.parametrize(("text", "leak"), LEAKS)
def test_secrets_and_people_are_scrubbed_from_text(text, leak):
    assert leak not in scrub(text)
    assert scrub(scrub(text)) == scrub(text)


@pytest.mark.parametrize(
    "text",
    [
        "order 1234 5678 9012 3456 shipped",
        "INC-000123 resolved at 2026-11-20T15:02:00Z",
        "host db-1.example.org down",
        "took 12 ms of 500",
    ],
)
def test_ordinary_text_is_left_alone(text):
    assert scrub(text) == text


def test_values_are_masked_by_their_data_class():
    shown = masked(
        KINDS["incident"],
        {"title": "Ada cannot log in", "state": "new", "number": "INC-1", "strange": "x", "description": ""},
    )
    assert shown == {
        "title": "[text]",
        "state": "new",
        "number": "INC-1",
        "strange": "[text]",
        "description": "",
    }
    assert masked(KINDS["person"], {"email": "ada@example.org", "state": "active"}) == {
        "email": "[personal]",
        "state": "active",
    }


def test_log_events_lose_secret_members_whole():
    event = scrub_event(
        None,
        "info",
        {"event": "sent", "headers": {"Authorization": ["x"], "Accept": "json"}, "n": 1, "token": None},
    )
    assert event == {
        "event": "sent",
        "headers": {"Authorization": "[secret]", "Accept": "json"},
        "n": 1,
        "token": None,
    }


@given(st.text(alphabet="abcdefghijklmnop0123456789", min_size=8, max_size=40))
def test_no_named_secret_survives(secret):
    assert secret not in scrub(f"failed with password={secret}") or secret in "failed with password="
    assert scrub_all({"deep": [{"api_key": secret}]}) == {"deep": [{"api_key": "[secret]"}]}


def test_luhn_knows_a_card_number():
    assert luhn("4111111111111111")
    assert not luhn("4111111111111112")
