"""Cards as Teams takes them: shown as they are, small enough, with links for buttons."""

import json
from pathlib import Path

import msgspec

from isthmus.connectors.kit import registry
from isthmus.connectors.teams import mapping

INSTALLED = registry.at(Path(__file__).parents[1])
MESSAGE = {
    "recipient": "any", "title": "INC-000007", "text": "*bold* <at>all</at> [x](http://evil.test)", "facts": [["Due", "14:30"]],
    "severity": "critical", "link": "https://hub.example.test/i/1", "thread": "", "locale": "de",
    "actions": [{"id": "acknowledge", "label": "Ich übernehme", "url": "https://hub.example.test/a/1"}],
}  # fmt: skip


def card(**more):
    return mapping.body({**MESSAGE, **more}, "key-1")["attachments"][0]["content"]


def test_markup_in_texts_means_nothing():
    text = card()["body"][1]["text"]
    assert "<at>" not in text
    assert "\\*bold\\*" in text
    assert "\\[x\\]" in text


def test_buttons_are_links_and_only_web_links():
    assert [each["type"] for each in card()["actions"]] == ["Action.OpenUrl"] * 2
    bad = [{"id": "x", "label": "x", "url": "javascript:alert(1)"}, {"id": "y", "label": "y", "url": ""}]
    assert [each["title"] for each in card(actions=bad)["actions"]] == ["Öffnen"]


def test_a_card_is_never_larger_than_teams_takes():
    sent = mapping.body({**MESSAGE, "text": "ありがとう" * 50_000}, "key-1")
    assert len(msgspec.json.encode(sent)) <= mapping.BYTES_MAX


def test_the_address_with_its_signature_is_in_no_error():
    context = INSTALLED.context(
        "teams",
        {"url": {"secret": "env:X"}},
        secrets={"url": "https://flow.example.test/w/1?sig=very-secret"},
    )
    assert "very-secret" not in repr(context)
    assert "very-secret" not in json.dumps(card())
