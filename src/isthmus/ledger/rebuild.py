"""Projections rebuilt from entries: the book is the truth, every projection is a cache of it."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from django.db import models, transaction

from isthmus.ledger import scope, shapes, turnstile, visibility
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
    """Write every record of a projection anew from its entries, and remove rows that have none.

    Counters are no facts of the book: existing rows keep theirs. Runs in one transaction and holds the
    turnstile throughout: for repair, while the hub is stopped or calm.
    """
    kind = kind_of(model).name
    # A plain queryset: the guard of records is for everybody else.
    unguarded: models.QuerySet[Any] = models.QuerySet(model)
    facts = [each.name for each in model._meta.concrete_fields if each.name not in (*shapes.of(model).extras, "id")]  # noqa: SLF001
    kept: set[str] = set()
    batch: list[RecordModel] = []

    def write() -> None:
        unguarded.bulk_create(batch, update_conflicts=True, unique_fields=["id"], update_fields=facts)
        kept.update(each.id for each in batch)
        batch.clear()

    visibility.apply(scope.current())
    with turnstile.entered(), transaction.atomic():
        stale = set(unguarded.values_list("id", flat=True))
        for state in _end_states(model, kind):
            batch.append(model.made(state))
            if len(batch) >= WRITTEN_ROWS:
                write()
        if batch:
            write()
        extra = sorted(stale - kept)
        for start in range(0, len(extra), WRITTEN_ROWS):
            unguarded.filter(id__in=extra[start : start + WRITTEN_ROWS])._raw_delete("default")  # type: ignore[attr-defined]  # noqa: SLF001
    return Rebuilt(kind=kind, records=len(kept), removed=len(extra))


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

