"""How a due row ends: finished, buried as a dead letter, or given back until later; pages see the same."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from isthmus.hub import due
from isthmus.hub.lanes import levels
from isthmus.hub.lanes.calls import Fault
from isthmus.hub.lanes.levels import CONVERGE
from isthmus.hub.lanes.models import Delivery
from isthmus.hub.models import Due
from isthmus.kernel.instant import Instant
from isthmus.ledger import rows as table

if TYPE_CHECKING:
    from isthmus.ledger.work import Work


def close(work: Work, row: Due, *, state: str, outcome: str) -> None:
    due.finish(work, row)
    mark(
        work,
        row,
        state=state,
        outcome=outcome,
        attempts=0,
        done_at=work.now,
        next_at=None,
        fault="",
        cause="",
        remedy="",
    )


def bury(work: Work, row: Due | None, fault: Fault) -> None:
    """Dead letter: with its class, its cause and what to do about it. A newer event brings it back."""
    if row is not None:
        due.finish(work, row)
        mark(work, row, state="dead", fault=fault.fault if fault.fault != "gone" else "rejected", cause=fault.cause,
              remedy=fault.remedy, next_at=None, attempts=row.attempts)  # fmt: skip


def tell(work: Work, link: str, fault: Fault) -> None:
    """Say why a link's last call failed where its row was asked for anew meanwhile and goes on."""
    told(work)[link] = fault
    if link in shown(work):
        values = {
            "fault": fault.fault if fault.fault != "gone" else "rejected",
            "cause": fault.cause,
            "remedy": fault.remedy,
        }
        work.advance(Delivery, where={"id": link}, values=values)


def told(work: Work) -> dict[str, Fault]:
    """Return what `tell` said in this Work, by link: the store does not show it yet."""
    found: dict[str, Fault] = work.__dict__.setdefault("told_faults", {})
    return found


def give_back(work: Work, row: Due, at: Instant, *, state: str, fault: Fault | None) -> None:
    if row.what == CONVERGE:
        levels.already_asked(work, row.subject)
    due.postpone(work, row, at, error="" if fault is None else fault.cause)
    said = {} if fault is None else {"fault": fault.fault, "cause": fault.cause, "remedy": fault.remedy}
    mark(work, row, state=state, next_at=at, attempts=row.attempts, **said)


def mark(work: Work, row: Due, **values: Any) -> None:
    delivery = row.subject if row.what == CONVERGE else row.key
    if delivery in shown(work):
        work.advance(Delivery, where={"id": delivery}, values={"updated_at": work.now, **values})


def shown(work: Work) -> set[str]:
    """Return the deliveries that pages show for the rows of this Work."""
    found: set[str] = work.__dict__.setdefault("shown_deliveries", set())
    return found


def show(work: Work, rows: Iterable[Due]) -> None:
    """Look up once which rows have a delivery: unlinking takes it away."""
    wanted = ids_of(rows) - shown(work)
    shown(work).update(each for (each,) in table.tuples(Delivery, ("id",), "id", list(wanted)))


def ids_of(rows: Iterable[Due]) -> set[str]:
    """Return what rows are about: a link, or an effect's delivery."""
    return {row.subject if row.what == CONVERGE else row.key for row in rows}
