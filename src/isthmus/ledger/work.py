"""`Work`: everything that one act wants to write, collected, then flushed once in one transaction.

Services take a Work first and never commit; the door opens and commits it. A Work sees its own pending
records only through the instances that it returned.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from isthmus.kernel.actor import Actor, Origin
from isthmus.kernel.errors import Bug, Conflict
from isthmus.kernel.instant import Instant
from isthmus.kernel.record import Json, Reason
from isthmus.ledger import shapes
from isthmus.ledger.beside import SideRowsOfWork
from isthmus.ledger.ids import source
from isthmus.ledger.pending import Pending, give_number, told
from isthmus.ledger.records import RecordModel

M = TypeVar("M", bound=RecordModel)

_NO_VERSIONS: Mapping[str, str] = {}


class StaleRecord(Conflict):
    """A record, counter or fence is no longer as this Work read it: the door runs the act again."""


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


class Work(SideRowsOfWork):
    """The unit of work of one act."""

    def __init__(self, *, actor: Actor, origin: Origin, now: Instant, trace: str) -> None:
        super().__init__()
        self.actor = actor
        self.origin = origin
        self.now = now
        self.trace = trace
        self.generation = _generation()
        self.pending: dict[str, Pending] = {}
        self.numbers: dict[tuple[str, str], list[Pending]] = {}
        self.reaches: set[str] = set()
        self.rechecks: list[Callable[[], None]] = []
        self.after: list[Callable[[], None]] = []
        self._first_numbers: dict[tuple[str, str], int] = {}

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
        for name in shape.shared:
            state[name] = state[name].copy()
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

    def reach(self, organisation: str) -> None:
        """Let this Work write records of an organisation beyond the open scope: a contract between two of them,
        checked by the service that calls this, says so."""
        self.reaches.add(organisation)

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
        return not (self.pending or self.side)

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
