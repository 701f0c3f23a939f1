"""When a change is moved, cancelled or finished, what its window kept quiet is decided anew; overruns are flagged.

Change enablement knows nothing of alerts: this looks at the changes of a Work before it is flushed and sets waits,
so that the decision is made after the change is durable.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from isthmus.hub import due
from isthmus.hub.models import Due
from isthmus.kernel.instant import Instant, to_rfc3339
from isthmus.kernel.record import Reason

if TYPE_CHECKING:
    from isthmus.ledger.work import Work

MOVED: Final = "monitoring.window"
OVER: Final = "monitoring.overrun"
_WATCHED: Final = frozenset(
    {"window_start", "window_end", "state", "authorisation", "cis", "authorised_until"}
)
_RUNNING: Final = frozenset({"implementation"})


def prepare(work: Work) -> None:
    """Before a flush: set the waits that follow from a changed window."""
    for pending in list(work.pending.values()):
        record = pending.record
        if record.kind != "change" or not pending.journalled or not _WATCHED & pending.changes.keys():
            continue
        if not pending.created:
            due.schedule(work, MOVED, record.id, work.now, organisation=record.organisation)
        end = vars(record).get("window_end")
        if end is not None and end > work.now:
            due.schedule(work, OVER, record.id, Instant(end), organisation=record.organisation)
        else:
            due.cancel(work, OVER, record.id, organisation=record.organisation)


def moved(work: Work, row: Due, now: Instant) -> None:
    """The change is as it will be: what it kept quiet stays quiet only where its window still covers it."""
    from isthmus.practices.monitoring import service

    text = "The change whose window kept it quiet was changed."
    service.release(work, row.organisation, row.subject, now, text=text, ended=False)


def over(work: Work, row: Due, now: Instant) -> None:
    """A window is over: a change that is still being carried out overruns it, and says so."""
    # Change enablement looks at incidents too: the import must wait until both are there.
    from isthmus.practices.change import service as changes

    change = changes.load(work, row.subject)
    end = vars(change).get("window_end")
    if change.state not in _RUNNING or end is None:
        return
    if end > now:
        due.schedule(work, OVER, change.id, Instant(end), organisation=row.organisation)
        return
    text = f"Overrun: its window ended {to_rfc3339(Instant(end))} and it is still being carried out."
    work.note(change, why=[Reason(rule="change.overrun", text=text, facts={"window_end": end})])


def overrunning(work: Work, change_id: str, now: Instant) -> str:
    """Return a sentence if a change is still being carried out after its window, else ""."""
    from isthmus.practices.change import service as changes

    change = changes.load(work, change_id)
    end = vars(change).get("window_end")
    if change.state not in _RUNNING or end is None or end > now:
        return ""
    return f"{change.number} overruns: its window ended {to_rfc3339(Instant(end))} and it is still being carried out."


def register() -> None:
    """Make the handlers known; called when the app is ready."""
    due.register(MOVED, moved)
    due.register(OVER, over)
