"""A message as a workflow of Teams takes it: one Adaptive Card. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from isthmus.kernel.errors import Rejected
from isthmus.kernel.record import Json

BYTES_MAX = 28_000
"""Teams refuses larger messages."""
TEXT_MAX, ACTIONS_MAX, FACTS_MAX = 4_000, 5, 12
_COLOURS = {"critical": "Attention", "error": "Attention", "warning": "Warning"}


def body(message: Mapping[str, Json], key: str) -> dict[str, Any]:
    """Return the message with its card; `Rejected` if it is larger than Teams takes even without its text."""
    for limit in (TEXT_MAX, 500, 0):
        found = _body(message, key, limit)
        if len(msgspec.json.encode(found)) <= BYTES_MAX:
            return found
    raise Rejected("The message is larger than Teams takes (28 KB).", remedy="Shorten the template.")


def _body(message: Mapping[str, Json], key: str, text_max: int) -> dict[str, Any]:
    title, text = str(message.get("title") or ""), str(message.get("text") or "")[:text_max]
    colour = _COLOURS.get(str(message.get("severity") or ""), "Default")
    blocks: list[dict[str, Any]] = [
        {
            "type": "TextBlock",
            "text": escaped(title),
            "weight": "Bolder",
            "size": "Medium",
            "wrap": True,
            "color": colour,
        }
    ]
    if text:
        blocks.append({"type": "TextBlock", "text": escaped(text), "wrap": True})
    facts = message.get("facts")
    if isinstance(facts, list) and facts:
        pairs = [each for each in facts[:FACTS_MAX] if isinstance(each, list) and len(each) == 2]
        blocks.append(
            {
                "type": "FactSet",
                "facts": [{"title": str(name), "value": escaped(str(value))} for name, value in pairs],
            }
        )
    card: dict[str, Any] = {
        "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
        "type": "AdaptiveCard",
        "version": "1.4",
        "id": key,
        "lang": str(message.get("locale") or "en"),
        "msteams": {"width": "Full"},
        "body": blocks,
    }
    actions = _actions(message)
    if actions:
        card["actions"] = actions
    return {
        "type": "message",
        "attachments": [
            {"contentType": "application/vnd.microsoft.card.adaptive", "contentUrl": None, "content": card}
        ],
    }


def _actions(message: Mapping[str, Json]) -> list[dict[str, Any]]:
    """A workflow takes no answers: buttons are links, on which the hub asks who presses."""
    asked = message.get("actions")
    found = [
        {"type": "Action.OpenUrl", "title": str(each["label"]), "url": str(each["url"])}
        for each in (asked if isinstance(asked, list) else [])
        if isinstance(each, dict) and str(each.get("url") or "").startswith(("https://", "http://"))
    ]
    if link := str(message.get("link") or ""):
        word = "Öffnen" if str(message.get("locale") or "").startswith("de") else "Open"
        found.append({"type": "Action.OpenUrl", "title": word, "url": link})
    return found[:ACTIONS_MAX]


def escaped(text: str) -> str:
    """Return text that a card shows as it is: Markdown and mentions in it mean nothing."""
    for each in "\\`*_[]<>#~|":
        text = text.replace(each, f"\\{each}")
    return text
