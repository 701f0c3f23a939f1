"""Roundup's classic tracker in canonical words: pure tables and the way from an item to an observation.

Roundup has no free-text description on an issue: the first message is the description. Status names are
data of a tracker; a tracker with other names overlays the tables in the blueprint.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from isthmus.kernel.errors import Rejected
from isthmus.kernel.instant import Instant, from_datetime
from isthmus.kernel.mapping import FieldMapping, RecordMapping
from isthmus.kernel.observation import ExternalRef, Observation, ObservedComment
from isthmus.kernel.record import Json

ISSUE = "issue"
DESCRIPTION = "messages[0]"
"""The pseudo field behind the canonical description: the content of the first message."""

NO_DESCRIPTION = "(no description)"
"""What stands in the description message while there is none: Roundup refuses an empty message."""

_TEXT = ("newlines", "trim")  # what Roundup does to every text that it stores

INCIDENT = RecordMapping(
    kind="incident",
    external_kind=ISSUE,
    fields={
        "title": FieldMapping(external="title", normalise=_TEXT, loss="Outer blanks are removed."),
        "description": FieldMapping(
            external=DESCRIPTION, normalise=_TEXT, loss="It is the first message; outer blanks are removed."
        ),
        "state": FieldMapping(
            external="status",
            outward={
                "new": "unread",
                "in_progress": "in-progress",
                "on_hold": "deferred",
                "resolved": "resolved",
                "closed": "resolved",
                "cancelled": "resolved",
            },
            inward={
                "unread": "new",
                "chatting": "in_progress",
                "in-progress": "in_progress",
                "testing": "in_progress",
                "need-eg": "on_hold",
                "deferred": "on_hold",
                "done-cbb": "resolved",
                "resolved": "resolved",
            },
            loss="A classic tracker knows no closed and no cancelled: both show as resolved.",
        ),
        "priority": FieldMapping(
            external="priority",
            outward={"1": "critical", "2": "urgent", "3": "bug", "4": "feature"},
            inward={"critical": "1", "urgent": "2", "bug": "3", "feature": "4", "wish": "4"},
            loss="wish comes in as 4, which goes out as feature.",
        ),
        "tags": FieldMapping(external="keyword", normalise=("trim",), loss="Outer blanks are removed."),
    },
)

MAPPINGS: Mapping[str, RecordMapping] = {"incident": INCIDENT}

_DOMAIN = "@isthmus.invalid>"
LINK, TEXT, NOTE, MEMO = "link", "text", "note", "memo"
"""Marks of our messages: the description with the link's correlation, a description added later to an issue
that had none, a public and an internal comment."""


def message_id(mark: str, correlation: str) -> str:
    """Return the hidden Message-Id of a message of ours: `LINK`, `NOTE` or `MEMO`."""
    return f"<{mark}.{correlation}{_DOMAIN}"


def correlation_of(mark: str, messageid: str) -> str:
    """Return the correlation in a Message-Id of ours with this mark, or ""."""
    if messageid.startswith(f"<{mark}.") and messageid.endswith(_DOMAIN):
        return messageid[len(mark) + 2 : -len(_DOMAIN)]
    return ""


@dataclass(frozen=True, kw_only=True)
class Message:
    """A message of an issue: `stamp` is its time of last change, by which a copy is judged; "" if a
    copy must not be kept."""

    id: str
    content: str
    messageid: str
    author: str
    written: str
    stamp: str


def instant_of(text: str) -> Instant:
    """Return the instant of Roundup's `2026-11-20.20:09:44`, always UTC over REST."""
    try:
        moment = dt.datetime.strptime(text, "%Y-%m-%d.%H:%M:%S").replace(tzinfo=dt.UTC)
    except ValueError as cause:
        raise Rejected(f"Roundup sent {text!r} where a time belongs.") from cause
    return from_datetime(moment)


def observation(
    connection: str,
    url: str,
    item: Mapping[str, Json],
    messages: Sequence[Message] | None,
    mapping: RecordMapping,
) -> Observation:
    """Return what one issue says. `item` is id → attributes with protected fields and names (verbose 2).

    `messages` None means that they were not read: no comments, and no description either.
    """
    number = str(item["id"])
    first, rest = split(messages or ())
    values: dict[str, Json] = {}
    for name in mapping.read():
        external = mapping.fields[name].external
        if external == DESCRIPTION:
            if messages is not None:
                values[name] = "" if first is None or first.content == NO_DESCRIPTION else first.content
        else:
            values[name] = _named(item.get(external))
    return Observation(
        kind=mapping.kind,
        external=ExternalRef(
            connection=connection, kind=ISSUE, key=number, label=f"issue{number}", url=f"{url}/issue{number}"
        ),
        values=values,
        version=str(item["activity"]),
        coarse=True,
        occurred_at=instant_of(str(item["activity"])),
        source_zone="UTC",
        partner_actor=str(_named(item.get("actor")) or ""),
        comments=None if messages is None else tuple(comment(each) for each in rest),
        correlation=correlation_of(LINK, first.messageid) if first else "",
    )


def split(messages: Sequence[Message]) -> tuple[Message | None, list[Message]]:
    """Return the message that is the description and the others: ours if we wrote one, else the first,
    unless that one is a comment of ours on an issue that never had a description."""
    ours = next((each for each in messages if _describes(each)), None)
    first = ours or next(iter(messages), None)
    if first is None or comment(first).correlation:
        return None, list(messages)
    return first, [each for each in messages if each is not first]


def _describes(message: Message) -> bool:
    return any(correlation_of(mark, message.messageid) for mark in (LINK, TEXT))


def comment(message: Message) -> ObservedComment:
    """Return a message as a comment: public unless it is an internal one of ours."""
    memo = correlation_of(MEMO, message.messageid)
    return ObservedComment(
        key=message.id,
        body=message.content,
        author=message.author,
        public=not memo,
        at=instant_of(message.written),
        correlation=memo or correlation_of(NOTE, message.messageid),
    )


def _named(value: Json) -> Json:
    """Return the name of a linked item, the sorted names of several, or the plain value ("" for none)."""
    if isinstance(value, dict):
        return str(value.get("name") or value.get("username") or value.get("id"))
    if isinstance(value, list):
        return list[Json](sorted(str(_named(each)) for each in value))
    return "" if value is None else value
