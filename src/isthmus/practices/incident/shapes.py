"""How the API shows incidents and what belongs to them; times in RFC 3339."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from isthmus.kernel.instant import Instant, to_rfc3339
from isthmus.kernel.kinds.incident import INCIDENT
from isthmus.kernel.record import FieldType
from isthmus.practices.incident.models import Attachment, Comment, Incident, Suspect

_TIMES = tuple(each.name for each in INCIDENT.fields if each.type is FieldType.INSTANT)


def time(value: int | None) -> str | None:
    """Return an instant as text, None if there is none."""
    return None if value is None else to_rfc3339(Instant(value))


def picked(record: Any, names: Iterable[str], times: Iterable[str]) -> dict[str, Any]:
    """Return attributes of a record by name, times as text."""
    return {name: getattr(record, name) for name in names} | {
        name: time(getattr(record, name)) for name in times
    }


def incident_out(incident: Incident) -> dict[str, Any]:
    names = ["id", "organisation", "version", "trace", "channel", "synthetic"]
    names += [each.name for each in INCIDENT.fields if each.name not in _TIMES]
    return picked(incident, names, (*_TIMES, "created_at", "updated_at")) | {
        "tags": incident.tags or [],
        "steps": incident.steps or [],
    }


def comment_out(comment: Comment) -> dict[str, Any]:
    return picked(
        comment, ("id", "version", "body", "public", "author", "author_label", "connection"), ("written_at",)
    )


def attachment_out(file: Attachment) -> dict[str, Any]:
    """Return a file without its content. `state` oversized: the content stays at `connection`."""
    names = ("id", "version", "filename", "content_type", "size", "sha256", "author", "author_label",
             "connection", "state")  # fmt: skip
    return picked(file, names, ("added_at",))


def suspect_out(suspect: Suspect) -> dict[str, Any]:
    return picked(
        suspect, ("id", "version", "incident", "change", "hops", "reason", "verdict"), ("created_at",)
    )


def item_out(item: Mapping[str, Any]) -> dict[str, Any]:
    """Return one item of a timeline."""
    why = [msgspec.to_builtins(each) for each in item["why"]]
    return {**item, "at": time(item["at"]), "recorded_at": time(item["recorded_at"]), "why": why}


def link_out(link: Any) -> dict[str, Any]:
    """Return a ticket on another system."""
    names = (
        "id",
        "version",
        "connection",
        "external_kind",
        "external_key",
        "external_label",
        "external_url",
        "state",
    )
    return picked(link, names, ("created_at",))
