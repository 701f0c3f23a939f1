"""What the engine forgets: events nobody can repeat any more, raw messages past their retention."""

from __future__ import annotations

from isthmus.hub import connections
from isthmus.hub.intake.log import IntakeLog
from isthmus.hub.models import EventId
from isthmus.hub.pump import events, parking
from isthmus.hub.pump.deciding import offset_of
from isthmus.kernel.actor import Origin, system
from isthmus.kernel.instant import DAY, Instant
from isthmus.ledger.door import perform
from isthmus.ledger.work import Work

EXPIRED_MAX = 2_000
PARKED_DAYS_MAX = 90
"""A parked message keeps its part of the log past the retention, but not for ever."""


def forget_expired(now: Instant) -> int:
    """Forget events whose time is over, a bounded number at once; return how many."""
    rows = events.expired(now, EXPIRED_MAX)

    def act(work: Work) -> None:
        for row in rows:
            work.remove(EventId, {"id": row})

    if rows:
        perform(act, actor=system("housekeeping"), origin=Origin(channel="timer"), now=now)
    return len(rows)


def forget_messages(log: IntakeLog, now: Instant) -> int:
    """Forget raw messages past their connection's retention, taken and not parked; destroy their keys."""
    unlinked = 0
    for connection in connections.in_force().values():
        offset = offset_of(connection)
        if offset is None or not offset.position:
            continue
        up_to = offset.position
        parked = parking.oldest_position(connection)
        days = connection.entry.limits.log_days
        if parked is not None:
            unlinked += log.forget(connection.name, Instant(now - PARKED_DAYS_MAX * DAY), up_to)
            up_to = min(up_to, parked - 1)
        unlinked += log.forget(connection.name, Instant(now - days * DAY), up_to)
    return unlinked
