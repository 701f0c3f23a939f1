"""Projections rebuilt from entries: the book is the truth, every projection is a cache of it."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from django.db import models, transaction

from isthmus.ledger import shapes, turnstile, visibility
from isthmus.ledger.body import Body, decode_body
from isthmus.ledger.models import Entry
from isthmus.ledger.records import RecordModel, kind_of

WRITTEN_ROWS = 500


@dataclass(frozen=True, kw_only=True)
class Rebuilt:
    """What a rebuild did to one projection."""

    kind: str
    records: int
    removed: int


def rebuild(model: type[RecordModel]) -> Rebuilt:
    """Write every record of a projection anew from its entries; rows that have none are gone afterwards.

    Counters are no facts of the book: existing rows keep theirs. Runs in one transaction and holds the
    turnstile throughout: for repair, while the hub is stopped or calm.
    """
    kind, extras = kind_of(model).name, sorted(shapes.of(model).extras)
    # A plain queryset: the guard of records is for everybody else.
    unguarded: models.QuerySet[Any] = models.QuerySet(model)
    visibility.apply(None)
    written = 0
    batch: list[RecordModel] = []
    with turnstile.entered(), transaction.atomic():
        held = {row[0]: row[1:] for row in unguarded.values_list("id", *extras)}
        # All rows go first: a forged one may hold a unique key that belongs to a true one.
        unguarded._raw_delete(unguarded.db)  # noqa: SLF001 - `delete` would load every row
        for state in _end_states(model, kind):
            if kept := held.pop(state["id"], None):
                state |= dict(zip(extras, kept, strict=True))
            batch.append(model.made(state))
            if len(batch) >= WRITTEN_ROWS:
                written += len(unguarded.bulk_create(batch))
                batch = []
        written += len(unguarded.bulk_create(batch))
    return Rebuilt(kind=kind, records=written, removed=len(held))


def _end_states(model: type[RecordModel], kind: str) -> Iterator[dict[str, Any]]:
    """Yield the last state of each record of a kind, as the columns of its row (sealed values as envelopes)."""
    bodies = Entry.objects.filter(kind=kind).order_by("record", "version").values_list("body", flat=True)
    state: dict[str, Any] = {}
    for raw in bodies.iterator(chunk_size=2_000):
        body = decode_body(bytes(raw))
        if state and state["id"] != body.record:
            yield state
            state = {}
        _apply(model, state, body)
    if state:
        yield state


def _apply(model: type[RecordModel], state: dict[str, Any], body: Body) -> None:
    shape = shapes.of(model)
    if not state:
        state |= shape.blanks
        state |= {
            "id": body.record, "organisation": body.organisation, "created_at": body.recorded_at,
            "occurred_at": body.occurred_at, "channel": body.channel, "synthetic": body.synthetic, "trace": body.trace,
        }  # fmt: skip
        for name, declared in shape.fields.items():
            if declared.sealed:
                state[name] = None
    state["version"], state["updated_at"] = body.version, body.recorded_at
    for name, (_, new) in body.changes.items():
        sealed = shape.fields[name].sealed and new is not None
        state[name] = base64.b64decode(new) if sealed else new
