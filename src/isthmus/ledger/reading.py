"""Reads of the book: histories, as-of on both time axes, traces, the journal.

Everything here keeps to the open scope, and opens sealed values; erased ones read `[erased]`.
"""

from __future__ import annotations

import base64
from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from django.db.models import QuerySet

from isthmus.kernel.errors import Rejected
from isthmus.kernel.instant import Instant
from isthmus.kernel.kinds import KINDS
from isthmus.kernel.record import FieldType, Json, Reason
from isthmus.ledger import scope, shapes
from isthmus.ledger.body import Body, decode_body
from isthmus.ledger.columns import open_json, open_text
from isthmus.ledger.models import Entry
from isthmus.ledger.records import RecordModel

LIMIT_MAX = 500
TRACE_MAX = 5_000
"""Entries read of one trace: a storm of thousands of alerts is cut, in sight."""


@dataclass(frozen=True, kw_only=True)
class EntryView:
    """One entry, readable. `changes`: field → (old, new); `inputs`: (record, version) pairs."""

    seq: int
    organisation: str
    kind: str
    record: str
    version: int
    occurred_at: Instant
    recorded_at: Instant
    zone: str
    assumed_error: int
    actor: str
    actor_kind: str
    channel: str
    connection: str
    synthetic: bool
    cause: str
    trace: str
    generation: int
    changes: Mapping[str, tuple[Json, Json]]
    why: Sequence[Reason]
    versions: Mapping[str, str]
    inputs: Sequence[tuple[str, int]]

    @property
    def id(self) -> str:
        """The entry's name: record and version."""
        return f"{self.record}.{self.version}"


@dataclass(frozen=True, kw_only=True)
class JournalFilter:
    """What to show of the journal; empty members do not filter. `since` and `until` bound `recorded_at`."""

    organisation: str = ""
    kind: str = ""
    record: str = ""
    actor: str = ""
    channel: str = ""
    connection: str = ""
    trace: str = ""
    since: Instant | None = None
    until: Instant | None = None


@dataclass(frozen=True, kw_only=True)
class JournalPage:
    """Entries, newest first; `cursor` asks for the next page and is empty at the end."""

    entries: Sequence[EntryView] = field(default_factory=tuple)
    cursor: str = ""


def history(record_id: str) -> list[EntryView]:
    """Return all entries of a record, oldest first."""
    return _views(_visible().filter(record=record_id).order_by("version"))


def histories(record_ids: Sequence[str]) -> list[EntryView]:
    """Return all entries of several records in storage order; one query."""
    return _views(_visible().filter(record__in=list(record_ids)).order_by("seq")) if record_ids else []


@dataclass(frozen=True, kw_only=True, slots=True)
class FieldChange:
    """What one entry says about the fields that were asked for: their new values, and when."""

    record: str
    version: int
    occurred_at: Instant
    recorded_at: Instant
    values: Mapping[str, Json]

    @property
    def id(self) -> str:
        return f"{self.record}.{self.version}"


def field_changes(record_ids: Sequence[str], names: Container[str]) -> list[FieldChange]:
    """Return the entries of several records that touch one of these fields, and every first one; one query.

    Only the values asked for are opened: a history of long texts costs nothing here.
    """
    if not record_ids:
        return []
    found = []
    rows = _visible().filter(record__in=list(record_ids)).order_by("record", "version")
    for (raw,) in rows.values_list("body"):
        body = decode_body(bytes(raw))
        kept = {name: pair for name, pair in body.changes.items() if name in names}
        if kept or body.version == 1:
            values = {name: new for name, (_, new) in _opened(body, kept).items()}
            found.append(
                FieldChange(
                    record=body.record,
                    version=body.version,
                    occurred_at=Instant(body.occurred_at),
                    recorded_at=Instant(body.recorded_at),
                    values=values,
                )
            )
    return found


def entry(entry_id: str) -> EntryView | None:
    """Return the entry named `<record>.<version>`, if it is visible."""
    record, _, version = entry_id.partition(".")
    if not version.isdigit():
        return None
    found = _views(_visible().filter(record=record, version=int(version)))
    return found[0] if found else None


def by_trace(trace: str) -> list[EntryView]:
    """Return the entries of one trace in storage order, at most `TRACE_MAX`."""
    return _views(_visible().filter(trace=trace).order_by("seq")[:TRACE_MAX])


def since(seq: int, *, limit: int = LIMIT_MAX) -> list[EntryView]:
    """Return visible entries stored after `seq`, oldest first: what a live page shows next.

    On PostgreSQL a slow transaction may commit an entry with a lower seq later; readers that must not miss
    one follow the seals instead.
    """
    return _views(_visible().filter(seq__gt=seq).order_by("seq")[: min(limit, LIMIT_MAX)])


def journal(filters: JournalFilter, cursor: str = "", limit: int = 50) -> JournalPage:
    """Return a page of the journal, newest first."""
    wanted = _visible()
    for name in ("organisation", "kind", "record", "actor", "channel", "connection", "trace"):
        if value := getattr(filters, name):
            wanted = wanted.filter(**{name: value})
    if filters.since is not None:
        wanted = wanted.filter(recorded_at__gte=filters.since)
    if filters.until is not None:
        wanted = wanted.filter(recorded_at__lt=filters.until)
    if cursor:
        if not cursor.isdigit():
            raise Rejected("The cursor is not one of ours.", remedy="Start from the first page.")
        wanted = wanted.filter(seq__lt=int(cursor))
    limit = max(1, min(limit, LIMIT_MAX))
    found = _views(wanted.order_by("-seq")[: limit + 1])
    following = str(found[limit - 1].seq) if len(found) > limit else ""
    return JournalPage(entries=found[:limit], cursor=following)


def as_of(
    model: type[RecordModel],
    record_id: str,
    *,
    occurred: Instant | None = None,
    recorded: Instant | None = None,
) -> dict[str, Any] | None:
    """Return the fields of a record as they were, or None if there was no such record.

    `recorded`: what the book knew then (back-tests). `occurred`: what had happened by then, as far as it is
    known (targets); edits count in the order in which they happened, not in which they became known.
    """
    entries = [
        each
        for each in history(record_id)
        if (recorded is None or each.recorded_at <= recorded)
        and (occurred is None or each.occurred_at <= occurred)
    ]
    if not entries:
        return None
    if occurred is not None:
        entries.sort(key=lambda each: (each.occurred_at, each.version))
    found: dict[str, Any] = {name: each.blank for name, each in shapes.of(model).fields.items()}
    found |= {"id": record_id, "organisation": entries[0].organisation}
    for each in entries:
        found |= {name: new for name, (_, new) in each.changes.items()}
        found["version"] = each.version
    return found


def _visible() -> QuerySet[Entry]:
    organisations = scope.current()
    if organisations is None:
        return Entry.objects.all()
    return Entry.objects.filter(scope.owned_or_shared(organisations, "record"))


def _views(entries: Iterable[Entry]) -> list[EntryView]:
    return [view(each.seq, bytes(each.body)) for each in entries]


def view(seq: int, raw: bytes) -> EntryView:
    """Return the readable form of an entry's bytes."""
    body = decode_body(raw)
    return EntryView(
        seq=seq,
        organisation=body.organisation,
        kind=body.kind,
        record=body.record,
        version=body.version,
        occurred_at=Instant(body.occurred_at),
        recorded_at=Instant(body.recorded_at),
        zone=body.zone,
        assumed_error=body.assumed_error,
        actor=body.actor,
        actor_kind=body.actor_kind,
        channel=body.channel,
        connection=body.connection,
        synthetic=body.synthetic,
        cause=body.cause,
        trace=body.trace,
        generation=body.generation,
        changes=opened_changes(body),
        why=[Reason(rule=each["rule"], text=each["text"], facts=each["facts"]) for each in body.why],
        versions=body.versions,
        inputs=[(str(record), int(version)) for record, version in body.inputs],
    )


def opened_changes(body: Body) -> dict[str, tuple[Json, Json]]:
    """Return the changes of an entry with sealed values opened."""
    return _opened(body, body.changes)


def _opened(body: Body, changes: Mapping[str, Any]) -> dict[str, tuple[Json, Json]]:
    fields = KINDS[body.kind].by_name if body.kind in KINDS else {}
    found: dict[str, tuple[Json, Json]] = {}
    for name, (old, new) in changes.items():
        declared = fields.get(name)
        if declared is not None and declared.sealed:
            is_json = declared.type in {FieldType.JSON, FieldType.SET}
            # The first entry has nothing before it, which is not the same as an absent value.
            before = None if body.version == 1 else _open(old, is_json=is_json)
            found[name] = (before, _open(new, is_json=is_json))
        else:
            found[name] = (old, new)
    return found


def _open(value: Any, *, is_json: bool) -> Json:
    envelope = None if value is None else base64.b64decode(value)
    found: Json = open_json(envelope) if is_json else open_text(envelope)
    return found
