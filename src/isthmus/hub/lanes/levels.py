"""Asks for a link to be converged: a level, not a queued patch. At most one is open per link."""

from __future__ import annotations

from typing import TYPE_CHECKING

from isthmus.hub import connections, due
from isthmus.hub.lanes.models import Delivery
from isthmus.kernel.instant import Instant

if TYPE_CHECKING:
    from isthmus.hub.sync.models import Link
    from isthmus.ledger.work import Work

CONVERGE = "converge"
"""The `what` of the due row and the kind of the delivery; the subject of both is the link."""


def converge(work: Work, link: Link, *, trace: str = "", at: Instant | None = None) -> None:
    """Have the connection's lane bring both sides of `link` together, at once unless `at` says later.

    Asking again re-drives one that is stuck: its attempts count anew. Why it last failed stays in sight until
    it succeeds.
    """
    asked: set[str] = work.__dict__.setdefault("asked_levels", set())
    if link.id in asked or link.state != "active" or _only_tells(link.connection):
        return
    asked.add(link.id)
    wake_lane(work, link.connection)
    when = work.now if at is None else at
    work.upsert(
        Delivery,
        key={"organisation": link.organisation, "connection": link.connection, "subject": link.id, "key": CONVERGE},
        values={
            "id": link.id, "kind": CONVERGE, "record_kind": link.record_kind, "record": link.record, "state": "due",
            "attempts": 0, "trace": trace or work.trace, "created_at": work.now, "updated_at": work.now, "next_at": when,
        },
    )  # fmt: skip
    due.schedule(work, CONVERGE, link.id, when, organisation=link.organisation, lane=link.connection)


def _only_tells(connection: str) -> bool:
    """Return whether a connection can only tell: mail and the like have no objects that could be read or written."""
    found = connections.in_force().get(connection)
    return found is not None and (found.connector.open is None or not found.manifest.can("write"))


def already_asked(work: Work, link_id: str) -> None:
    """Say that the lane itself deals with this link in this Work: nobody else needs to wake it."""
    work.__dict__.setdefault("asked_levels", set()).add(link_id)


def lanes_asked(work: Work) -> set[str]:
    """Return the connections whose lanes this Work gave something to do."""
    found: set[str] = work.__dict__.get("asked_lanes", set())
    return found


def wake_lane(work: Work, connection: str) -> None:
    """Remember that the connection's lane has something to do once this Work is durable."""
    work.__dict__.setdefault("asked_lanes", set()).add(connection)


def withdraw(work: Work, link: Link) -> None:
    """Owe nothing more for a link."""
    due.cancel(work, CONVERGE, link.id, organisation=link.organisation)
    work.remove(Delivery, {"id": link.id})
