"""From the book to what happened: the happenings of records, in the order in which they occurred."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from isthmus.kernel.instant import Instant
from isthmus.kernel.kinds import KINDS
from isthmus.kernel.record import FieldType, Json
from isthmus.ledger import reading, shapes
from isthmus.ledger.reading import FieldChange
from isthmus.ledger.records import RecordModel, kind_of
from isthmus.ledger.work import Work
from isthmus.practices.service_level.definitions import Definitions, FactsMaker
from isthmus.practices.service_level.rules.clock import Clock, Happening, Terms, fold

NAMED_MAX = 3
VALUE_CHARACTERS_MAX = 40


@dataclass(frozen=True, kw_only=True)
class Told:
    """One instant of a record's life: what it was like from then on."""

    at: Instant
    recorded_at: Instant
    cause: str
    facts: Mapping[str, Any]
    said: str


def changes_of(
    records: Sequence[RecordModel], kind: str, known: Definitions, work: Work | None = None
) -> dict[str, list[FieldChange]]:
    """Return the changes of watched fields per record: those in the book, and those that `work` is about to write."""
    watched = known.watched[kind]
    stored = [each.id for each in records if work is None or not _created(work, each.id)]
    found: dict[str, list[FieldChange]] = {each.id: [] for each in records}
    for change in reading.field_changes(stored, watched):
        found[change.record].append(change)
    for record in records:
        pending = work.pending.get(record.id) if work is not None else None
        if pending is not None and pending.journalled and work is not None:
            found[record.id].append(
                FieldChange(
                    record=record.id,
                    version=record.version,
                    occurred_at=Instant(pending.occurred_at),
                    recorded_at=work.now,
                    values={name: new for name, (_, new) in pending.changes.items() if name in watched},
                )
            )
    return found


def _created(work: Work, record_id: str) -> bool:
    pending = work.pending.get(record_id)
    return pending is not None and pending.created


def told(
    record: RecordModel, changes: Iterable[FieldChange], known: Definitions, facts: FactsMaker
) -> list[Told]:
    """Return the record's life in the order of occurrence, not of becoming known."""
    kind = kind_of(record).name
    watched = known.watched[kind]
    fields = shapes.of(type(record)).fields
    values: dict[str, Json] = {name: fields[name].blank for name in watched if name in fields}
    found = []
    ordered = sorted(changes, key=lambda each: (each.occurred_at, each.version))
    for change in ordered:
        values = {**values, **change.values}
        found.append(
            Told(
                at=change.occurred_at,
                recorded_at=change.recorded_at,
                cause=change.id,
                facts=facts(values),
                said=_said(kind, change),
            )
        )
    return found


def _said(kind: str, change: FieldChange) -> str:
    if change.version == 1:
        return "it was opened"
    known = KINDS[kind].by_name
    named = [
        f"{name.replace('_', ' ')} became {_shown(value)}"
        for name, value in sorted(change.values.items())
        if not known[name].sealed and known[name].type is not FieldType.INSTANT
    ]
    return " and ".join(named[:NAMED_MAX])


def _shown(value: Json) -> str:
    text = "empty" if value in (None, "", [], {}) else str(value)
    return text if len(text) <= VALUE_CHARACTERS_MAX else text[: VALUE_CHARACTERS_MAX - 1] + "…"


def happenings(record: RecordModel, life: Sequence[Told], target: str, known: Definitions) -> list[Happening]:
    """Return a life as one target sees it: with the terms that its facts are promised at each instant."""
    kind = kind_of(record).name
    terms = [known.terms(kind, target, each.facts) for each in life]
    begins = _begins(record, terms)
    return [
        Happening(
            at=Instant(max(each.at, begins)),
            cause=each.cause,
            facts=each.facts,
            terms=promised,
            said=each.said,
        )
        for each, promised in zip(life, terms, strict=True)
    ]


def _begins(record: RecordModel, terms: Sequence[Terms | None]) -> int:
    """Return the earliest instant that may count: no sooner than the record was opened here, unless said otherwise."""
    last = next((each for each in reversed(terms) if each is not None), None)
    opened = getattr(record, "opened_at", None)
    return int(opened) if last is not None and last.begins == "opened" and opened else 0


def folded(
    record: RecordModel,
    changes: Iterable[FieldChange],
    known: Definitions,
    facts: FactsMaker | None = None,
) -> dict[str, Clock | None]:
    """Return the clock of every target that records of this kind may have."""
    kind = kind_of(record).name
    life = told(record, changes, known, facts or FactsMaker(record.organisation))
    return {target: fold(happenings(record, life, target, known)) for target in known.promises[kind]}
