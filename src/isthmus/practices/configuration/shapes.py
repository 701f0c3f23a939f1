"""How records of the practices stand in API answers: fields by name, instants as RFC 3339."""

from __future__ import annotations

from typing import Any

from isthmus.kernel.instant import Instant, to_rfc3339
from isthmus.kernel.record import FieldType
from isthmus.ledger.records import RecordModel, kind_of

_ENVELOPE = ("id", "organisation", "version", "trace", "channel", "synthetic")


def record_out(record: RecordModel) -> dict[str, Any]:
    """Return every field of a record's kind with its envelope."""
    found: dict[str, Any] = {name: getattr(record, name) for name in _ENVELOPE}
    for each in kind_of(record).fields:
        value = getattr(record, each.name)
        if each.type is FieldType.INSTANT:
            value = time_out(value)
        elif each.type is FieldType.SET:
            value = value or []
        found[each.name] = value
    return found | {"created_at": time_out(record.created_at), "updated_at": time_out(record.updated_at)}


def time_out(value: int | None) -> str | None:
    """Return an instant as text, None if there is none."""
    return None if value is None else to_rfc3339(Instant(value))
