"""`Work`: everything that one act wants to write, collected, then flushed once in one transaction.

Services take a Work first and never commit; the door opens and commits it. A Work sees its own pending
records only through the instances that it returned.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from django.db import models

from isthmus.kernel.actor import Actor, Origin
from isthmus.kernel.chain import plain
from isthmus.kernel.errors import Bug, Conflict
from isthmus.kernel.instant import Instant
from isthmus.kernel.record import Json, Reason
from isthmus.ledger import shapes
from isthmus.ledger.ids import source
from isthmus.ledger.records import RecordModel

M = TypeVar("M", bound=RecordModel)

_NO_VERSIONS: Mapping[str, str] = {}


class StaleRecord(Conflict):
    """A record, counter or fence is no longer as this Work read it: the door runs the act again."""


@dataclass(slots=True)
class Pending:
    """What one Work does to one record: exactly one entry, whatever the number of calls."""

    record: RecordModel
    shape: shapes.RecordShape
    created: bool
    expected: int
    occurred_at: int
    cause: str
    trace: str
    zone: str
    assumed_error: int
    changes: dict[str, list[Json]] = field(default_factory=dict)
    extras: dict[str, Any] = field(default_factory=dict)
    why: list[dict[str, Json]] = field(default_factory=list)
    inputs: list[list[str | int]] = field(default_factory=list)
    versions: dict[str, str] = field(default_factory=dict)
    journalled: bool = False


@dataclass(slots=True)
class Batch:
    """Rows of one kind appended without instances: ready projection rows, and what their entries share."""

    shape: shapes.RecordShape
    rows: list[tuple[Any, ...]]
    entries: list[tuple[str, dict[str, list[Json]]]]
    organisation: str
    occurred_at: int
    cause: str
    trace: str
    why: list[dict[str, Json]]
    inputs: list[list[str | int]]
    versions: dict[str, str]


@dataclass(slots=True)
class SideRows:
    """Rows for one statement on one side table. `exact`: every row must hit exactly one row of the store."""

    table: str
    verb: str
    shape: tuple[Any, ...]
    rows: list[tuple[Any, ...]]
    exact: bool


_preparers: list[Callable[[Work], None]] = []
_generation: Callable[[], int] = lambda: 0  # noqa: E731 - replaced by the blueprint at start


def register_preparer(prepare: Callable[[Work], None]) -> None:
    """Have `prepare` called once with every Work before it is flushed."""
    if prepare not in _preparers:
        _preparers.append(prepare)


def register_generation(read: Callable[[], int]) -> None:
    """Say where a Work reads the blueprint's generation."""
    global _generation  # noqa: PLW0603 - one hook per process, set at start
    _generation = read


def told(why: Sequence[Reason]) -> list[dict[str, Json]]:
    """Return reasons as they stand in an entry."""
    return [{"facts": plain(each.facts), "rule": each.rule, "text": each.text} for each in why]


class Work:
    """The unit of work of one act."""

    def __init__(self, *, actor: Actor, origin: Origin, now: Instant, trace: str) -> None:
        self.actor = actor
        self.origin = origin
        self.now = now
        self.trace = trace
        self.generation = _generation()
        self.pending: dict[str, Pending] = {}
        self.batches: list[Batch] = []
        self.side: list[SideRows] = []
        self.numbers: dict[tuple[str, str], list[Pending]] = {}
        self.rechecks: list[Callable[[], None]] = []
        self.after: list[Callable[[], None]] = []
        self._first_numbers: dict[tuple[str, str], int] = {}
        self._last_on_table: dict[str, SideRows] = {}

    # Records -------------------------------------------------------------------------------------------

    def create(
        self,
        model: type[M],
        *,
        organisation: str,
        values: Mapping[str, Any],
        why: Sequence[Reason],
        occurred_at: Instant | None = None,
        cause: str = "",
        inputs: Sequence[tuple[str, int]] = (),
        versions: Mapping[str, str] = _NO_VERSIONS,
        record_id: str = "",
        trace: str = "",
        zone: str = "",
        assumed_error: int = 0,
    ) -> M:
        """Return a new record: id, version 1 and, if its kind has a prefix, a number.

        The number is final only after the flush (another writer may take it first): show it, never copy it
        into other texts. `occurred_at` is the source's time (default: now), `zone` the offset that the source
        wrote, `assumed_error` the microseconds by which its clock may be off.
        """
        shape = shapes.of(model)
        if not organisation:
            raise Bug(f"A {shape.kind} needs an organisation.")
        record_id = record_id or source.new_id()
        occurred = self.now if occurred_at is None else occurred_at
        state = dict(shape.blanks)
        changes: dict[str, list[Json]] = {}
        fields = shape.fields
        for name, value in values.items():
            declared = fields.get(name)
            if declared is None:
                if name not in shape.extras:
                    raise Bug(f"A {shape.kind} has no field {name}.")
                state[name] = value
                continue
            found = declared.normalise(value)
            if found != declared.blank:
                state[name] = found
                changes[name] = [None, found]
        trace = trace or self.trace
        state["id"] = record_id
        state["organisation"] = organisation
        state["version"] = 1
        state["created_at"] = state["updated_at"] = self.now
        state["occurred_at"] = occurred
        state["channel"] = self.origin.channel
        state["synthetic"] = self.origin.synthetic
        state["trace"] = trace
        record = model.made(state)
        pending = Pending(
            record, shape, True, 0, occurred, cause, trace, zone, assumed_error,
            changes, {}, told(why), [list(each) for each in inputs], dict(versions), True,
        )  # fmt: skip
        if record_id in self.pending:
            raise Bug("A record was created twice in one Work.")
        self.pending[record_id] = pending
        if shape.prefix and "number" not in changes:
            self._provisional_number(pending)
        return record

    def change(
        self,
        record: M,
        values: Mapping[str, Any],
        *,
        why: Sequence[Reason],
        occurred_at: Instant | None = None,
        cause: str = "",
        inputs: Sequence[tuple[str, int]] = (),
        versions: Mapping[str, str] = _NO_VERSIONS,
        trace: str = "",
        zone: str = "",
        assumed_error: int = 0,
    ) -> M:
        """Set fields of a record; only those that differ are journalled, none differing is no entry."""
        shape = shapes.of(type(record))
        differing: dict[str, list[Json]] = {}
        extras: dict[str, Any] = {}
        for name, value in values.items():
            declared = shape.fields.get(name)
            if declared is None:
                if name not in shape.extras:
                    raise Bug(f"A {shape.kind} has no field {name}.")
                extras[name] = value
                continue
            found, held = declared.normalise(value), getattr(record, name)
            if found != held:
                differing[name] = [held, found]
        if not differing and not extras:
            return record
        pending = self._touch(record, shape)
        for name, (held, found) in differing.items():
            first = pending.changes[name][0] if name in pending.changes else held
            if pending.created and found == shape.fields[name].blank:
                pending.changes.pop(name, None)
            else:
                pending.changes[name] = [None if pending.created else first, found]
            setattr(record, name, found)
        for name, value in extras.items():
            pending.extras[name] = value
            setattr(record, name, value)
        if differing:
            self._tell(pending, why, occurred_at, cause, inputs, versions, trace, zone, assumed_error)
        return record

    def note(
        self,
        record: RecordModel,
        *,
        why: Sequence[Reason],
        inputs: Sequence[tuple[str, int]] = (),
        versions: Mapping[str, str] = _NO_VERSIONS,
        occurred_at: Instant | None = None,
        cause: str = "",
        trace: str = "",
    ) -> None:
        """Journal a decision about a record that changes none of its fields; its version still moves."""
        pending = self._touch(record, shapes.of(type(record)))
        self._tell(pending, why, occurred_at, cause, inputs, versions, trace, "", 0)

    def journal(
        self, organisation: str, subject: str, facts: Mapping[str, Json], why: Sequence[Reason]
    ) -> None:
        """Journal something that changes no record (a refusal, a restore) as a `system_event`."""
        from isthmus.ledger.models import SystemEvent

        self.create(
            SystemEvent, organisation=organisation, values={"subject": subject, "facts": dict(facts)}, why=why
        )

    def append_rows(
        self,
        model: type[RecordModel],
        *,
        organisation: str,
        fields: Sequence[str],
        rows: Sequence[Sequence[Any]],
        why: Sequence[Reason],
        occurred_at: Instant | None = None,
        cause: str = "",
        inputs: Sequence[tuple[str, int]] = (),
        versions: Mapping[str, str] = _NO_VERSIONS,
        trace: str = "",
    ) -> list[str]:
        """Create many records of one kind without instances and return their ids: the fast path.

        `rows` are tuples in the order of `fields`; values must be plain already. Kinds with sealed fields
        or numbers use `create`. Preparers do not see these records.
        """
        shape = shapes.of(model)
        if shape.sealed_at or shape.prefix:
            raise Bug(f"A {shape.kind} has sealed fields or a number.", remedy="Use work.create.")
        occurred = self.now if occurred_at is None else occurred_at
        trace = trace or self.trace
        state = dict(shape.blanks)
        state |= {
            "organisation": organisation, "version": 1, "created_at": self.now, "updated_at": self.now,
            "occurred_at": occurred, "channel": self.origin.channel, "synthetic": self.origin.synthetic, "trace": trace,
        }  # fmt: skip
        converted = [
            shapes.json_text(value) if shapes.is_json(shape, name) else value for name, value in state.items()
        ]
        places = {name: i for i, name in enumerate(state)}
        at = [(places[name], name, shape.fields[name]) for name in fields]
        id_at = places["id"]
        found, stored, entries = [], [], []
        new_id = source.new_id
        for row in rows:
            line = converted.copy()
            line[id_at] = record_id = new_id()
            changes: dict[str, list[Json]] = {}
            for (place, name, declared), value in zip(at, row, strict=True):
                if value == declared.blank:
                    continue
                changes[name] = [None, value]
                line[place] = shapes.json_text(value) if declared.is_json else value
            found.append(record_id)
            stored.append(tuple(line))
            entries.append((record_id, changes))
        self.batches.append(
            Batch(
                shape,
                stored,
                entries,
                organisation,
                occurred,
                cause,
                trace,
                told(why),
                [list(each) for each in inputs],
                dict(versions),
            )
        )
        return found

    def created_or_changed(self) -> list[RecordModel]:
        """Return the records that this Work has touched so far."""
        return [each.record for each in self.pending.values() if each.journalled]

    def next_number(self, organisation: str, kind: str) -> int:
        """Return the next number as it stands now; it is provisional until the flush takes it."""
        key = (organisation, kind)
        if key not in self._first_numbers:
            from isthmus.ledger.models import Number

            row = (
                Number.objects.filter(organisation=organisation, kind=kind)
                .values_list("next", flat=True)
                .first()
            )
            self._first_numbers[key] = row or 1
        return self._first_numbers[key] + len(self.numbers.get(key, ()))

    def first_number(self, key: tuple[str, str]) -> int:
        """Return the provisional number that this Work gave first under (organisation, kind)."""
        return self._first_numbers[key]

    # Side rows -----------------------------------------------------------------------------------------

    def insert(self, model: type[models.Model], **values: Any) -> None:
        """Insert one side row; absent fields take their defaults."""
        shape = shapes.beside(model)
        full = {
            name: values[name] if name in values else each.get_default()
            for name, each in shape.defaults.items()
        }
        for name in values.keys() - full.keys():
            full[name] = values[name]
        self._beside(
            shape, "insert", (tuple(shape.columns[name] for name in full),), shape.stored(full), exact=False
        )

    def upsert(self, model: type[models.Model], key: Mapping[str, Any], values: Mapping[str, Any]) -> None:
        """Insert or overwrite the side row with this unique key; on insert, absent fields take defaults."""
        self._merge(model, key, values, {})

    def bump(
        self,
        model: type[models.Model],
        key: Mapping[str, Any],
        add: Mapping[str, int],
        values: Mapping[str, Any] = _NO_VERSIONS,
    ) -> None:
        """Add to counters of the row with this key (and set `values`), inserting a side row if there is none.

        On a record only the counters of its kind may be bumped; the row must exist.
        """
        if issubclass(model, RecordModel):
            shape = shapes.of(model)
            if not {*add, *values} <= shape.extras:
                raise Bug(f"Only counters of a {shape.kind} can be bumped.", remedy="Use work.change.")
            side = shapes.beside(model)
            names = tuple(add), tuple(values), tuple(key)
            self._beside(side, "count", names, (*add.values(), *values.values(), *key.values()), exact=True)
            return
        self._merge(model, key, values, add)

    def advance(self, model: type[models.Model], where: Mapping[str, Any], values: Mapping[str, Any]) -> None:
        """Update the one side row that is as `where` says; none or several: `StaleRecord` at the flush."""
        self._side_only(model)
        shape = shapes.beside(model)
        names = tuple(shape.columns[each] for each in values), tuple(shape.columns[each] for each in where)
        self._beside(shape, "advance", names, shape.stored(values) + shape.stored(where), exact=True)

    def remove(self, model: type[models.Model], where: Mapping[str, Any]) -> None:
        """Delete the side rows that are as `where` says, if any."""
        self._side_only(model)
        shape = shapes.beside(model)
        self._beside(
            shape, "remove", (tuple(shape.columns[each] for each in where),), shape.stored(where), exact=False
        )

    def recheck(self, check: Callable[[], None]) -> None:
        """Have `check` called inside the write transaction, before anything is written; it may raise StaleRecord."""
        self.rechecks.append(check)

    def after_commit(self, act: Callable[[], None]) -> None:
        """Have `act` called once this Work is durable (waking a lane, telling a live page)."""
        self.after.append(act)

    # Inside --------------------------------------------------------------------------------------------

    def run_preparers(self) -> None:
        """Let the registered preparers add what follows from the records touched."""
        if self.pending:
            for each in _preparers:
                each(self)

    @property
    def empty(self) -> bool:
        """True if a flush would write nothing."""
        return not (self.pending or self.batches or self.side)

    def _touch(self, record: RecordModel, shape: shapes.RecordShape) -> Pending:
        found = self.pending.get(record.id)
        if found is None:
            found = Pending(record, shape, False, record.version, self.now, "", self.trace, "", 0)
            self.pending[record.id] = found
        elif found.record is not record:
            raise Bug(
                f"Two instances of one {shape.kind} are written in one Work.",
                remedy="Go on with the instance that the Work returned.",
            )
        return found

    def _tell(
        self,
        pending: Pending,
        why: Sequence[Reason],
        occurred_at: Instant | None,
        cause: str,
        inputs: Sequence[tuple[str, int]],
        versions: Mapping[str, str],
        trace: str,
        zone: str,
        assumed_error: int,
    ) -> None:
        """Add reasons to the record's one entry; the first telling moves its version."""
        if not pending.journalled:
            pending.journalled = True
            pending.record.version = pending.expected + 1
            pending.record.updated_at = self.now
            pending.occurred_at = self.now if occurred_at is None else occurred_at
            pending.zone, pending.assumed_error = zone, assumed_error
        pending.why.extend(told(why))
        pending.inputs.extend(list(each) for each in inputs)
        pending.versions.update(versions)
        pending.cause = cause or pending.cause
        pending.trace = trace or pending.trace

    def _provisional_number(self, pending: Pending) -> None:
        key = (pending.record.organisation, pending.shape.kind)
        number = self.next_number(*key)
        self.numbers.setdefault(key, []).append(pending)
        give_number(pending, number)

    def _side_only(self, model: type[models.Model]) -> None:
        if issubclass(model, RecordModel):
            raise Bug(f"{model.__name__} is a record.", remedy="Use work.change.")

    def _merge(
        self,
        model: type[models.Model],
        key: Mapping[str, Any],
        values: Mapping[str, Any],
        add: Mapping[str, int],
    ) -> None:
        self._side_only(model)
        shape = shapes.beside(model)
        given = {**key, **values, **add}
        full = given | {
            name: each.get_default() for name, each in shape.defaults.items() if name not in given
        }
        names = (
            tuple(shape.columns[name] for name in full),
            tuple(shape.columns[name] for name in key),
            tuple(shape.columns[name] for name in values),
            tuple(shape.columns[name] for name in add),
        )
        self._beside(shape, "merge", names, shape.stored(full), exact=False)

    def _beside(
        self, shape: shapes.SideShape, verb: str, names: tuple[Any, ...], row: tuple[Any, ...], *, exact: bool
    ) -> None:
        """Queue a row; it joins the last statement on its table only if that has the same form, so order holds."""
        last = self._last_on_table.get(shape.table)
        if last is not None and last.verb == verb and last.shape == names:
            last.rows.append(row)
            return
        last = SideRows(shape.table, verb, names, [row], exact)
        self._last_on_table[shape.table] = last
        self.side.append(last)


def give_number(pending: Pending, number: int) -> None:
    """Set the number of a created record, in the instance and in its entry."""
    text = f"{pending.shape.prefix}-{number:06d}"
    pending.record.number = text  # type: ignore[attr-defined]
    pending.changes["number"] = [None, text]
