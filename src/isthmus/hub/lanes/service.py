"""What operators do with lanes: retry one or many, pause and resume, see what waits."""

from __future__ import annotations

from typing import TYPE_CHECKING

from isthmus.hub import connections, due, health
from isthmus.hub.lanes import levels
from isthmus.hub.lanes.effects import ONCE
from isthmus.hub.lanes.models import SETTLED_STATES, Delivery
from isthmus.hub.sync.models import Link
from isthmus.kernel.errors import Conflict, NotFound, Problem, Rejected
from isthmus.kernel.record import Json, Reason

if TYPE_CHECKING:
    from isthmus.ledger.work import Work

RETRIED_MAX = 10_000
REASON_CHARACTERS_MAX = 500


def retry(work: Work, delivery_id: str) -> None:
    """Try a delivery again now, whatever it waits for; the order of its subject is kept."""
    delivery = Delivery.objects.filter(id=delivery_id).first()
    if delivery is None:
        raise NotFound("There is no such delivery.")
    if delivery.state in SETTLED_STATES:
        raise Conflict(
            "This delivery is done." if delivery.state == "done" else "This delivery was given up.",
            remedy="Edit the record, or compare the link, to send something new.",
        )
    _again(work, delivery)
    why = [Reason(rule="delivery.retried", text=f"A delivery to {delivery.connection} is tried again.")]
    work.journal(delivery.organisation, f"delivery:{delivery.id}", {"attempts": delivery.attempts}, why)


def discard(work: Work, delivery_id: str, reason: str) -> None:
    """Give a dead letter up for good, with a reason: what it would have done stays undone.

    A level (a link to bring in step) is owed anew as soon as either side changes.
    """
    reason = reason.strip()
    if not 0 < len(reason) <= REASON_CHARACTERS_MAX:
        raise Rejected(
            "A delivery is given up with a reason.",
            remedy=f"Say in at most {REASON_CHARACTERS_MAX} characters why it is not needed.",
            problems=(Problem(path="/body/reason", message=f"1 to {REASON_CHARACTERS_MAX} characters"),),
        )
    delivery = Delivery.objects.filter(id=delivery_id).first()
    if delivery is None:
        raise NotFound("There is no such delivery.")
    if delivery.state != "dead":
        raise Conflict(
            f"This delivery is {delivery.state}, no dead letter.", remedy="Only what is stuck is given up."
        )
    # The payload goes with it: nothing will be sent, so nothing needs to be kept of it.
    values = {
        "state": "dropped",
        "payload": None,
        "done_at": work.now,
        "updated_at": work.now,
        "next_at": None,
    }
    work.advance(Delivery, where={"id": delivery.id, "state": "dead"}, values=values)
    facts: dict[str, Json] = {
        "connection": delivery.connection, "verb": delivery.verb or delivery.kind, "record": delivery.record,
        "cause": delivery.cause, "reason": reason,
    }  # fmt: skip
    why = [
        Reason(rule="delivery.discarded", text=f"A delivery to {delivery.connection} is given up: {reason}")
    ]
    work.journal(delivery.organisation, f"delivery:{delivery.id}", facts, why)


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

        sync.retry_parked(work, link)
        return
    work.advance(Delivery, where={"id": delivery.id}, values={"state": "due", "attempts": 0, "updated_at": work.now,
                                                              "next_at": work.now})  # fmt: skip
    due.schedule(work, ONCE, delivery.subject, work.now, organisation=delivery.organisation, key=delivery.id,
                 lane=delivery.connection)  # fmt: skip
    levels.wake_lane(work, delivery.connection)


def pause(work: Work, connection: str, reason: str) -> None:
    """Stop calls to a partner; what comes from it is still taken and merged."""
    health.pause(work, connections.get(connection).organisation, connection, reason)


def confirm_gone(work: Work, connection: str, reason: str) -> None:
    """Say that what vanished at a partner was deleted there; calls go out again, oldest first."""
    from isthmus.hub.sync import vanishing

    vanishing.release(work, connection, gone=True, reason=reason)
    health.resume(work, connections.get(connection).organisation, connection)
    levels.wake_lane(work, connection)


def resume(work: Work, connection: str) -> None:
    """Let calls go out again, oldest first; what the brake for vanished objects held is looked for again."""
    home = connections.get(connection).organisation
    if health.state_of(home, connection).vanished_held_at is not None:
        from isthmus.hub.sync import vanishing

        vanishing.release(work, connection)
    health.resume(work, connections.get(connection).organisation, connection)
    levels.wake_lane(work, connection)
