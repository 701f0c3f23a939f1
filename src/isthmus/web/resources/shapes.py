"""How records look in the API: every canonical field, the envelope, times as RFC 3339, and a link to the trace."""

from __future__ import annotations

from typing import Any

from isthmus.kernel.instant import Instant, to_rfc3339
from isthmus.kernel.record import FieldType
from isthmus.ledger.reading import EntryView
from isthmus.ledger.records import kind_of


def record(found: Any, *, without: tuple[str, ...] = ()) -> dict[str, Any]:
    """Return a record as JSON; `without` names fields that never leave (hashes of secrets)."""
    body: dict[str, Any] = {
        "id": found.id,
        "kind": found.kind,
        "organisation": found.organisation,
        "version": found.version,
        "created_at": to_rfc3339(found.created_at),
        "updated_at": to_rfc3339(found.updated_at),
        "occurred_at": to_rfc3339(found.occurred_at),
        "synthetic": found.synthetic,
        "trace": f"/api/v1/traces/{found.id}",
    }
    for field in kind_of(found).fields:
        if field.name in without:
            continue
        value = getattr(found, field.name)
        body[field.name] = time(value) if field.type is FieldType.INSTANT else value
    return body


def time(at: int | None) -> str | None:
    return None if at is None else to_rfc3339(Instant(at))


def entry(found: EntryView) -> dict[str, Any]:
    """Return a journal entry with both times, reasons, inputs and rule versions."""
    return {
        "id": found.id,
        "kind": found.kind,
        "record": found.record,
        "version": found.version,
        "organisation": found.organisation,
        "occurred_at": to_rfc3339(found.occurred_at),
        "recorded_at": to_rfc3339(found.recorded_at),
        "actor": found.actor,
        "channel": found.channel,
        "connection": found.connection,
        "cause": found.cause,
        "trace": found.trace,
        "generation": found.generation,
        "changes": {name: list(pair) for name, pair in found.changes.items()},
        "why": [{"rule": each.rule, "text": each.text, "facts": dict(each.facts)} for each in found.why],
        "versions": dict(found.versions),
        "inputs": [list(each) for each in found.inputs],
    }
