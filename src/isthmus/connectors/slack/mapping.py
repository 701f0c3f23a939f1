"""A message as Slack takes it: Block Kit, a plain text for notifications, metadata that carries our key. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from isthmus.kernel.record import Json

EVENT_TYPE = "isthmus_notification"
TEXT_MAX, HEADER_MAX, FIELD_MAX, FIELDS_MAX, LABEL_MAX, VALUE_MAX = 3_000, 150, 2_000, 10, 75, 2_000
_MARKS = {"critical": ":red_circle:", "error": ":large_orange_circle:", "warning": ":large_yellow_circle:"}


def escaped(text: str) -> str:
    """Return text that Slack shows as it is: no mention, no channel, no link hides in it."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def body(message: Mapping[str, Json], key: str) -> dict[str, Any]:
    """Return the arguments of chat.postMessage."""
    title, text = str(message.get("title") or ""), str(message.get("text") or "")
    link, thread = str(message.get("link") or ""), str(message.get("thread") or "")
    mark = _MARKS.get(str(message.get("severity") or ""), ":white_circle:")
    found: dict[str, Any] = {
        "channel": str(message.get("recipient") or ""),
        "text": escaped(f"{title} – {text}" if text else title)[:TEXT_MAX],
        "blocks": _blocks(f"{mark} {title}", text, message, link, key),
        "metadata": {"event_type": EVENT_TYPE, "event_payload": {"key": key}},
        "unfurl_links": False,
        "unfurl_media": False,
    }
    if thread:
        found["thread_ts"] = thread.rpartition("/")[2]
    return found


def _blocks(title: str, text: str, message: Mapping[str, Json], link: str, key: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = [
        {"type": "header", "text": {"type": "plain_text", "text": title[:HEADER_MAX], "emoji": True}}
    ]
    if text:
        found.append({"type": "section", "text": {"type": "mrkdwn", "text": escaped(text)[:TEXT_MAX]}})
    facts = message.get("facts")
    if isinstance(facts, list) and facts:
        fields = [
            {"type": "mrkdwn", "text": f"*{escaped(str(each[0]))}*\n{escaped(str(each[1]))}"[:FIELD_MAX]}
            for each in facts[:FIELDS_MAX]
            if isinstance(each, list) and len(each) == 2
        ]
        found.append({"type": "section", "fields": fields})
    buttons = _buttons(message, link, key)
    if buttons:
        found.append({"type": "actions", "block_id": "isthmus", "elements": buttons})
    return found


def _buttons(message: Mapping[str, Json], link: str, key: str) -> list[dict[str, Any]]:
    actions = message.get("actions")
    found = [
        {
            "type": "button",
            "action_id": str(each["id"])[:255],
            "text": {"type": "plain_text", "text": str(each["label"])[:LABEL_MAX]},
            "value": key[:VALUE_MAX],
            "style": "primary",
        }
        for each in (actions if isinstance(actions, list) else [])
        if isinstance(each, dict)
    ]
    if link:
        word = "Öffnen" if str(message.get("locale") or "").startswith("de") else "Open"
        found.append(
            {"type": "button", "action_id": "open", "text": {"type": "plain_text", "text": word}, "url": link}
        )
    return found
