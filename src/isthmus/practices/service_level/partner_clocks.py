"""What partners' clocks were seen to show, kept beside ours and never mixed with them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from isthmus.kernel.instant import Instant
from isthmus.kernel.kinds.service_level import PARTNER_CLOCK_STATES
from isthmus.kernel.observation import Observation, ObservedSlaClock
from isthmus.kernel.record import Reason
from isthmus.ledger import reading
from isthmus.ledger.records import RecordModel, kind_of
from isthmus.ledger.work import Work
from isthmus.practices.service_level.models import SlaPartnerClock
from isthmus.practices.service_level.rules.partner import Sight

CLOCKS_MAX: Final = 20
"""Most clocks of one partner object that are followed."""
RUNS_MAX: Final = 200
SIGHTS_MAX: Final = 200
"""Latest sights of one clock that a comparison looks at."""
_RESPONSE: Final = ("respon", "first", "reaction", "acknowledg")
_RESOLUTION: Final = ("resol", "restor", "solution", "fix", "close")


def target_of(clock: ObservedSlaClock) -> str:
    """Return our name of the promise: what the connector says, else what the partner's name tells."""
    if clock.target:
        return clock.target
    name = clock.name.casefold()
    for target, marks in (("response", _RESPONSE), ("resolution", _RESOLUTION)):
        if any(mark in name for mark in marks):
            return target
    return ""


def observed(work: Work, record: RecordModel, connection: str, observation: Observation) -> list[str]:
    """Keep what a partner shows; return the ids of the records that changed."""
    if not observation.sla_clocks:
        return []
    changed = []
    for each in observation.sla_clocks[:CLOCKS_MAX]:
        held = _held(work, record, connection, each.name)
        at = each.at if each.at is not None else Instant(observation.occurred_at or work.now)
        if held is not None and held.observed_at is not None and at < held.observed_at:
            continue
        values = _values(each, at)
        why = [
            Reason(
                rule="sla.partner", text=f"{connection} shows its clock {each.name!r} as {values['state']}.",
                facts={"at": at, "elapsed": each.elapsed},
            )
        ]  # fmt: skip
        if held is None:
            given = {"record_kind": kind_of(record).name, "record": record.id, "connection": connection,
                     "name": each.name, **values}  # fmt: skip
            held = work.create(
                SlaPartnerClock, organisation=record.organisation, values=given, why=why, occurred_at=at
            )
        elif _same(held, values):
            continue
        else:
            work.change(held, values, why=why, occurred_at=at)
        changed.append(held.id)
    return changed


def _held(work: Work, record: RecordModel, connection: str, name: str) -> SlaPartnerClock | None:
    for pending in work.pending.values():
        found = pending.record
        if isinstance(found, SlaPartnerClock) and (found.record, found.connection, found.name) == (
            record.id,
            connection,
            name,
        ):
            return found
    stored: SlaPartnerClock | None = SlaPartnerClock.objects.filter(
        organisation=record.organisation, record=record.id, connection=connection, name=name
    ).first()
    return stored


def _values(clock: ObservedSlaClock, at: Instant) -> dict[str, Any]:
    return {
        "target": target_of(clock),
        "state": clock.state if clock.state in PARTNER_CLOCK_STATES else "unknown",
        "breached": clock.breached,
        "amount": clock.amount,
        "elapsed": clock.elapsed,
        "started_at": clock.started_at,
        "stopped_at": clock.stopped_at,
        "due_at": clock.due_at,
        "runs": [list(each) for each in clock.runs[:RUNS_MAX]] or None,
        "observed_at": at,
    }


def _same(held: SlaPartnerClock, values: dict[str, Any]) -> bool:
    """A clock that shows the same as before is no news, whenever it was looked at."""
    return all(getattr(held, name) == value for name, value in values.items() if name != "observed_at")


def of(record_id: str) -> list[SlaPartnerClock]:
    """Return the partners' clocks of a record."""
    return list(SlaPartnerClock.objects.filter(record=record_id).order_by("connection", "name"))


def sights(clock: SlaPartnerClock) -> list[Sight]:
    """Return every sight of a partner's clock from its entries, oldest first."""
    values: dict[str, Any] = {}
    found = []
    for entry in reading.history(clock.id)[-SIGHTS_MAX:]:
        values |= {name: new for name, (_, new) in entry.changes.items()}
        if values.get("observed_at") is None:
            continue
        found.append(
            Sight(
                at=Instant(values["observed_at"]),
                elapsed=values.get("elapsed"),
                amount=values.get("amount"),
                state=values.get("state") or "unknown",
                started_at=values.get("started_at"),
                stopped_at=values.get("stopped_at"),
                runs=_runs(values.get("runs") or ()),
            )
        )
    return found


def _runs(stored: Sequence[Sequence[Any]]) -> tuple[tuple[Instant, Instant | None], ...]:
    return tuple(
        (Instant(start), None if end is None else Instant(end)) for start, end in stored if start is not None
    )
