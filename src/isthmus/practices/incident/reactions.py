"""What incident management does by itself: closing resolved incidents in time."""

from __future__ import annotations

from isthmus.hub import due
from isthmus.hub.models import Due
from isthmus.kernel.instant import Instant
from isthmus.kernel.record import Reason
from isthmus.ledger.work import Work
from isthmus.practices.incident import lifecycle, loading
from isthmus.practices.incident.models import Incident


def close_in_time(work: Work, row: Due, now: Instant) -> None:
    """Close an incident that has been resolved long enough; one that was reopened stays open."""
    found = loading.many(work, Incident, [row.subject]).get(row.subject)
    if found is not None and found.state == "resolved":
        text = "Resolved long enough without anybody reopening it."
        lifecycle.close(
            work,
            found,
            why=[
                Reason(rule="incident.close", text=text, facts={"resolved_at": found.resolved_at, "now": now})
            ],
        )


def register() -> None:
    """Make the reactions known; called when the app is ready."""
    due.register(lifecycle.CLOSE, close_in_time)
