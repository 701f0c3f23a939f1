"""Events API v2: what the hub says about something of its own, as PagerDuty takes it. Pure.

The key of an event is that of the thing it is about, the same for every message about it: PagerDuty makes one alert of
events with one key as long as that alert is open. So a repeat, also of an event whose answer was lost, makes no second
incident. The summary ends in the key's mark: PagerDuty's incidents do not always show the key.
"""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import blake2b
from typing import Any, Literal

import msgspec

from isthmus.connectors.kit import marks
from isthmus.connectors.pagerduty.config import PagerDutyConfig
from isthmus.kernel.record import Json

Action = Literal["acknowledge", "resolve"]
SUMMARY_MAX = 1_024
KEY_MAX = 255
BYTES_MAX = 512_000
"""PagerDuty's limits: characters of a summary, characters of a key, bytes of an event (512 KB)."""
DETAIL_MAX, DETAILS_MAX, LINKS_MAX = 4_000, 50, 10
_CUT = "…"


def key_of(message: Mapping[str, Json], idempotency_key: str, config: PagerDutyConfig) -> str:
    """Return the key under which PagerDuty keeps what a message is about; a message about nothing has its own."""
    thread = str(message.get("thread") or "")
    if is_own_key(thread, config):
        return thread
    about = str(message.get("about") or "") or f"notification:{idempotency_key.partition(':')[0]}"
    key = f"{config.own_key_prefix}{about}"
    return key if len(key) <= KEY_MAX else config.own_key_prefix + blake2b(key.encode()).hexdigest()


def is_own_key(key: str, config: PagerDutyConfig) -> bool:
    """Return whether this hub gave the key."""
    return key.startswith(config.own_key_prefix)


def trigger(message: Mapping[str, Json], idempotency_key: str, config: PagerDutyConfig) -> dict[str, Any]:
    """Return the event that raises what a message of `kit.alerting.Notifier` says, without its routing key."""
    key, link = key_of(message, idempotency_key, config), str(message.get("link") or "")
    tag = f" {marks.tag(key)}"
    title = str(message.get("title") or "") or "Isthmus"
    details = {"text": str(message.get("text") or ""), **_facts(message.get("facts"))}
    links = [{"href": link, "text": "Isthmus"}] if link else []
    body: dict[str, Any] = {
        "event_action": "trigger",
        "dedup_key": key,
        "client": "Isthmus",
        "links": [*links, *_actions(message.get("actions"))][:LINKS_MAX],
        "payload": {
            "summary": _cut(title, SUMMARY_MAX - len(tag)) + tag,
            "source": str(message.get("recipient") or "") or "Isthmus",
            "severity": config.severities.get(str(message.get("severity") or ""), "error"),
            "custom_details": {name: _cut(value, DETAIL_MAX) for name, value in details.items() if value},
        },
    }
    if link:
        body["client_url"] = link
    return _fitted(body)


def follow_up(action: Action, key: str) -> dict[str, Any]:
    """Return the event that says of something raised before that somebody has it, or that it is over."""
    return {"event_action": action, "dedup_key": key}


def _fitted(body: dict[str, Any]) -> dict[str, Any]:
    """Return an event within PagerDuty's size: details go first, then links. A page must not be lost for its extras."""
    for left_out in ("custom_details", "links"):
        if len(msgspec.json.encode(body)) <= BYTES_MAX:
            break
        if left_out == "links":
            body["links"] = []
        else:
            body["payload"]["custom_details"] = {"text": "Too long for PagerDuty: see the hub."}
    return body


def _facts(found: Json) -> dict[str, str]:
    rows = found if isinstance(found, list) else []
    pairs = [each for each in rows if isinstance(each, list) and len(each) == 2]
    return {str(name): str(value) for name, value in pairs[:DETAILS_MAX]}


def _actions(found: Json) -> list[dict[str, str]]:
    rows = found if isinstance(found, list) else []
    return [
        {"href": str(each["url"]), "text": str(each.get("label") or "")}
        for each in rows
        if isinstance(each, dict) and each.get("url")
    ]


def _cut(text: str, limit: int) -> str:
    return text if len(text) <= limit else text[: limit - len(_CUT)] + _CUT
