"""The sweeper: calls the handler of every wait that is over, in O(what is due)."""

from __future__ import annotations

import structlog

from isthmus.hub import due, metrics
from isthmus.hub.models import Due
from isthmus.kernel.actor import Origin, system
from isthmus.kernel.errors import Conflict, IsthmusError
from isthmus.kernel.instant import Instant
from isthmus.ledger.door import perform
from isthmus.ledger.work import Work

_log = structlog.get_logger(__name__)

ACTOR = system("due")
ORIGIN = Origin(channel="timer")
CLAIM_SECONDS = 15


def sweep(now: Instant) -> int:
    """Handle what is due at `now`, a bounded number at once; return how many rows were claimed.

    Rows were pushed ahead by the claim, so one that raises comes back later and stops nobody.
    """
    rows = due.claim(now, seconds=CLAIM_SECONDS)
    for row in rows:
        metrics.DUE.labels(row.what, _handle(row, now)).inc()
    return len(rows)


def _handle(row: Due, now: Instant) -> str:
    handler = due.handler_of(row.what)
    if handler is None:
        return _postponed(row, now, f"Nobody handles waits of kind {row.what!r}.")

    def act(work: Work) -> None:
        # Finished first: a handler that schedules the same wait again then makes a new row.
        due.finish(work, row)
        handler(work, row, now)

    try:
        perform(act, actor=ACTOR, origin=ORIGIN, now=now)
    except Conflict:
        # Cancelled or set anew while it was handled: the new row, if any, speaks for itself.
        if Due.objects.filter(id=row.id, epoch=row.epoch).exists():
            return _postponed(row, now, "Others kept changing the same record.")
        return "superseded"
    except Exception as fault:  # noqa: BLE001 - one bad row must not stop the loop
        _log.exception("due_failed", what=row.what, subject=row.subject, attempts=row.attempts)
        return _postponed(row, now, fault.text if isinstance(fault, IsthmusError) else type(fault).__name__)
    return "handled"


def _postponed(row: Due, now: Instant, error: str) -> str:
    """Leave the row pushed ahead as the claim put it, with the error in sight."""
    try:
        perform(
            lambda work: due.postpone(work, row, Instant(row.due_at), error=error[:500]),
            actor=ACTOR,
            origin=ORIGIN,
            now=now,
        )
    except Conflict:
        return "superseded"
    return "failed"
