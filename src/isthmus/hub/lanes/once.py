"""The store's side of effects that happen once: in the order of their subject, never beside each other."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from isthmus.hub import due
from isthmus.hub.lanes import closing, effects, files
from isthmus.hub.lanes.calls import Result, Turn
from isthmus.hub.lanes.limits import backoff
from isthmus.hub.lanes.models import OPEN_STATES, SETTLED_STATES, Delivery
from isthmus.hub.models import Due
from isthmus.hub.sync import loading
from isthmus.kernel.instant import SECOND, Instant
from isthmus.ledger.columns import open_json

if TYPE_CHECKING:
    from isthmus.ledger.work import Work


def begin(work: Work, row: Due) -> list[Turn]:
    """Return the turn of an effect; none if it is done, or if an older one of its subject is still open."""
    delivery = Delivery.objects.filter(id=row.key).first()
    if delivery is None or delivery.state in {*SETTLED_STATES, "dead"}:
        due.finish(work, row)
        return []
    older = Delivery.objects.filter(connection=delivery.connection, subject=delivery.subject, kind="once",
                                    state__in=OPEN_STATES, id__lt=delivery.id)  # fmt: skip
    if older.exists():
        due.postpone(work, row, Instant(work.now + SECOND), attempts=0)
        return []
    payload = {} if delivery.payload is None else open_json(delivery.payload)
    turn = (files.begin if delivery.verb in files.VERBS else _turn)(work, row, delivery, payload)
    if turn is None:
        return []
    work.advance(Delivery, where={"id": delivery.id}, values={"state": "sending", "updated_at": work.now})
    return [turn]


def _turn(_work: Work, row: Due, delivery: Delivery, payload: Any) -> Turn | None:
    return Turn(
        due_id=row.id, due_epoch=row.epoch, subject=delivery.subject, organisation=delivery.organisation, do="once",
        kind=delivery.record_kind, verb=delivery.verb, payload=payload, key=delivery.key, attempts=row.attempts,
        # Left behind in the middle of a call, or answered by nothing: it may have happened.
        doubtful=delivery.state == "sending" or delivery.fault == "unknown",
    )  # fmt: skip


def conclude(work: Work, row: Due | None, result: Result, jitter: float) -> None:
    """Record what came of an effect."""
    if row is None:
        return
    fault = result.fault
    if result.turn.verb in files.VERBS and files.conclude(work, row, result):
        return
    given_up = effects.heard(work, row.key, result)
    if fault is None:
        said = result.written.ref.label or result.written.ref.key if result.written else "done"
        closing.close(work, row, state="done", outcome=said)
    elif given_up:
        closing.close(work, row, state="done", outcome=f"Given up, another way was taken: {fault.cause}")
    elif fault.passing:
        wait = backoff(result.turn.attempts, jitter, after_seconds=fault.after_seconds)
        if fault.fault == "unknown":
            # A late request may still land: looking before that would find nothing and make a twin.
            wait = max(wait, loading.wait_out(row.lane))
        closing.give_back(work, row, Instant(work.now + wait), state="due", fault=fault)
    else:
        closing.bury(work, row, fault)
