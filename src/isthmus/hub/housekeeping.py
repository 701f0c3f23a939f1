"""What the engine forgets: events nobody can repeat any more, raw messages past their retention."""

from __future__ import annotations

import structlog
from django.contrib.sessions.models import Session

from isthmus.hub import connections
from isthmus.hub.connections import Connection
from isthmus.hub.intake.log import IntakeLog
from isthmus.hub.models import EventId
from isthmus.hub.pump import events, parking
from isthmus.hub.pump.deciding import offset_of
from isthmus.kernel.actor import Origin, system
from isthmus.kernel.errors import IsthmusError
from isthmus.kernel.instant import DAY, Instant, to_datetime
from isthmus.ledger.door import perform
from isthmus.ledger.work import Work

_log = structlog.get_logger(__name__)

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
        try:
            unlinked += _forget_messages_of(connection, log, now)
        except (IsthmusError, OSError):
            # One log that cannot be opened must not keep every other past its time.
            _log.exception("retention_failed", connection=connection.name)
    return unlinked


def forget_sessions(now: Instant) -> int:
    """Forget browser sessions that have run out; return how many rows."""
    return Session.objects.filter(expire_date__lt=to_datetime(now)).delete()[0]


def _forget_messages_of(connection: Connection, log: IntakeLog, now: Instant) -> int:
    offset = offset_of(connection)
    if offset is None or not offset.position:
        return 0
    unlinked, up_to = 0, offset.position
    parked = parking.oldest_position(connection)
    if parked is not None:
        unlinked = log.forget(connection.name, Instant(now - PARKED_DAYS_MAX * DAY), up_to)
        up_to = min(up_to, parked - 1)
    return unlinked + log.forget(
        connection.name, Instant(now - connection.entry.limits.log_days * DAY), up_to
    )
