"""What operators do with lanes: retry one or many, pause and resume, see what waits."""

from __future__ import annotations

from typing import TYPE_CHECKING

from isthmus.hub import connections, due, health
from isthmus.hub.lanes import levels
from isthmus.hub.lanes.effects import ONCE
from isthmus.hub.lanes.models import Delivery
from isthmus.hub.sync.models import Link
from isthmus.kernel.errors import Conflict, NotFound
from isthmus.kernel.record import Reason

if TYPE_CHECKING:
    from isthmus.ledger.work import Work

RETRIED_MAX = 10_000


def retry(work: Work, delivery_id: str) -> None:
    """Try a delivery again now, whatever it waits for; the order of its subject is kept."""
    delivery = Delivery.objects.filter(id=delivery_id).first()
    if delivery is None:
        raise NotFound("There is no such delivery.")
    if delivery.state == "done":
        raise Conflict(
            "This delivery is done.", remedy="Edit the record, or compare the link, to send something new."
        )
    _again(work, delivery)
    why = [Reason(rule="delivery.retried", text=f"A delivery to {delivery.connection} is tried again.")]
    work.journal(delivery.organisation, f"delivery:{delivery.id}", {"attempts": delivery.attempts}, why)


def retry_dead(work: Work, connection: str) -> int:
    """Try all dead letters of a connection again, oldest first; return how many."""
    rows = list(
        Delivery.objects.filter(connection=connection, state="dead").order_by("created_at")[:RETRIED_MAX]
    )
    for each in rows:
        _again(work, each)
    if rows:
        why = [
            Reason(rule="delivery.retried", text=f"{len(rows)} dead letters to {connection} are tried again.")
        ]
        work.journal(rows[0].organisation, f"connection:{connection}", {"count": len(rows)}, why)
    return len(rows)


def _again(work: Work, delivery: Delivery) -> None:
    if delivery.kind == levels.CONVERGE:
        link = Link.objects.filter(id=delivery.subject).first()
        if link is None or link.state != "active":
            raise Conflict("The link of this delivery no longer follows.", remedy="Link the record again.")
        from isthmus.hub.sync import service as sync

        sync.retry_parked(work, link, at_once=True)
        return
    work.advance(Delivery, where={"id": delivery.id}, values={"state": "due", "attempts": 0, "updated_at": work.now,
                                                              "next_at": work.now})  # fmt: skip
    due.schedule(work, ONCE, delivery.subject, work.now, organisation=delivery.organisation, key=delivery.id,
                 lane=delivery.connection)  # fmt: skip
    levels.wake_lane(work, delivery.connection)


def pause(work: Work, connection: str, reason: str) -> None:
    """Stop calls to a partner; what comes from it is still taken and merged."""
    health.pause(work, connections.get(connection).organisation, connection, reason)


def resume(work: Work, connection: str) -> None:
    """Let calls go out again, oldest first."""
    health.resume(work, connections.get(connection).organisation, connection)
    levels.wake_lane(work, connection)
