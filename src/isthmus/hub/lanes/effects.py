"""Effects that happen once: a chat message, a provisioning step. Payload and key are committed before the
call; effects on one subject keep their order.

A practice that must know what came of its effects follows them by the kind of its record: it hears every result in
the transaction that records it, and may give an effect up that it has found another way for.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from isthmus.hub import due
from isthmus.hub.lanes import levels
from isthmus.hub.lanes.models import Delivery
from isthmus.hub.sync.recording import sealed
from isthmus.kernel.errors import Bug
from isthmus.kernel.record import Json
from isthmus.ledger.ids import source
from isthmus.ledger.records import RecordModel

if TYPE_CHECKING:
    from isthmus.hub.lanes.calls import Result
    from isthmus.ledger.work import Work

ONCE = "once"

Follower = Callable[["Work", Delivery, "Result"], bool]
_followers: dict[str, Follower] = {}


def follow(kind: str, hear: Follower) -> None:
    """Have `hear(work, delivery, result)` called with every result of effects about records of `kind`; once, from
    `ready`. It returns whether an effect that failed is given up: it is closed then instead of tried again."""
    held = _followers.get(kind)
    if held is not None and held is not hear:
        raise Bug(f"Two parts follow effects about records of kind {kind!r}.")
    _followers[kind] = hear


def heard(work: Work, delivery_id: str, result: Result) -> bool:
    """Tell whoever follows an effect what came of it; return whether it is given up."""
    hear = _followers.get(result.turn.kind)
    delivery = Delivery.objects.filter(id=delivery_id).first() if hear is not None else None
    return hear is not None and delivery is not None and hear(work, delivery, result)


def once(
    work: Work,
    connection: str,
    verb: str,
    payload: Mapping[str, Json],
    *,
    key: str,
    record: RecordModel,
    subject: str = "",
) -> str:
    """Have the connector's `verb` called with `payload` once, and return the delivery's id.

    The same (connection, subject, key) asked for again is the same effect. The connector gets `key` as
    `idempotency_key` and must look before it repeats an effect whose outcome is unknown.
    """
    about = subject or record.id
    held = Delivery.objects.filter(
        organisation=record.organisation, connection=connection, subject=about, key=key
    ).first()
    if held is not None:
        return held.id
    delivery_id = source.new_id()
    work.insert(
        Delivery, id=delivery_id, organisation=record.organisation, connection=connection, kind=ONCE, subject=about,
        record_kind=record.kind, record=record.id, verb=verb, key=key, payload=sealed(record.id, dict(payload)), state="due",
        trace=work.trace, created_at=work.now, updated_at=work.now, next_at=work.now,
    )  # fmt: skip
    due.schedule(
        work, ONCE, about, work.now, organisation=record.organisation, key=delivery_id, lane=connection
    )
    levels.wake_lane(work, connection)
    return delivery_id


def unsendable(
    work: Work, connection: str, verb: str, *, key: str, record: RecordModel, subject: str, cause: str, remedy: str
) -> None:  # fmt: skip
    """Put an effect among the dead letters at once: it is known that it cannot be done, and that must be seen."""
    held = Delivery.objects.filter(
        organisation=record.organisation, connection=connection, subject=subject, key=key
    )
    if held.exists():
        return
    work.insert(
        Delivery, id=source.new_id(), organisation=record.organisation, connection=connection, kind=ONCE, subject=subject,
        record_kind=record.kind, record=record.id, verb=verb, key=key, payload=None, state="dead", trace=work.trace,
        created_at=work.now, updated_at=work.now, fault="rejected", cause=cause, remedy=remedy,
    )  # fmt: skip
