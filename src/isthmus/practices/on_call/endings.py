"""Tells a partner that keeps what it was told open (a pager) that somebody looks after it, and that it is over.

A message is told and done; a page goes on until it hears more. A connection that carries messages and can acknowledge and
resolve alerts is such a pager: it hears of the end under the name that it gave the message. One that said so itself
hears nothing, so nothing goes round in a circle.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Literal

from isthmus.hub import connections
from isthmus.hub.lanes import effects
from isthmus.kernel.record import Json, Reason
from isthmus.practices.on_call.models import Escalation, Notification

if TYPE_CHECKING:
    from isthmus.hub.lanes.calls import Result
    from isthmus.hub.lanes.models import Delivery
    from isthmus.ledger.work import Work

Verb = Literal["acknowledge", "resolve"]
ARRIVED: Final = "delivered"
"""State of the receipt of a message that has arrived."""
MESSAGES_MAX: Final = 200
NAME_MAX: Final = 200
_DONE: Final = {"acknowledge": "acknowledged", "resolve": "resolved"}


def keeps(connection: str) -> bool:
    """Return whether a connection's partner keeps what it is told open until it hears more."""
    found = connections.in_force().get(connection)
    if found is None:
        return False
    able = {(each.kind, each.verb) for each in found.manifest.able()}
    return {("notification", "notify"), ("alert", "acknowledge"), ("alert", "resolve")} <= able


def tell(
    work: Work, escalation: Escalation, verb: Verb, *, by: str = "", text: str, came_from: str = ""
) -> None:
    """Have every pager that was told about an escalation hear what became of it."""
    rows = Notification.objects.filter(
        organisation=escalation.organisation, escalation=escalation.id, receipts__isnull=False
    )
    told: set[tuple[str, str]] = set()
    for row in rows.order_by("id")[:MESSAGES_MAX]:
        for page in pages(row):
            if page not in told and page[0] != came_from and keeps(page[0]):
                told.add(page)
                _tell(work, row, escalation, verb, page, by=by, text=text)


def pages(notification: Notification) -> list[tuple[str, str]]:
    """Return (connection, the partner's name of it) of each attempt that has arrived: a message may have taken more than
    one way."""
    return [
        (str(each.get("connection", "")), str(each["ref"]))
        for each in notification.evidence
        if each.get("state") == ARRIVED and each.get("ref")
    ]


def arrived(
    work: Work, notification: Notification, escalation: Escalation | None, page: tuple[str, str]
) -> None:
    """A page has arrived: if what it is about has ended meanwhile, the pager hears that at once."""
    if escalation is None or not page[1] or not keeps(page[0]):
        return
    if not escalation.open:
        _tell(work, notification, escalation, "resolve", page, text="It needs nobody any more.")
    elif escalation.state == "acknowledged":
        _tell(work, notification, escalation, "acknowledge", page, text="It was acknowledged.")


def may_stand(delivery: Delivery, fault: str = "") -> bool:
    """Return whether a page may stand at a pager although nobody knows: it is not given up, or it would never end.

    `fault` is how its last call ended, where that is not recorded yet."""
    return "unknown" in {delivery.fault, fault} and keeps(delivery.connection)


def _tell(
    work: Work,
    notification: Notification,
    escalation: Escalation,
    verb: Verb,
    page: tuple[str, str],
    *,
    by: str = "",
    text: str,
) -> None:
    payload: dict[str, Json] = {"alert": page[1], "labels": {}, "by": by[:NAME_MAX], "comment": text}
    # Behind the page itself: effects about one record keep their order.
    key = f"{verb}:{escalation.id}"
    effects.once(work, page[0], verb, payload, key=key, record=notification)


def settled(work: Work, notification: Notification, delivery: Delivery, result: Result) -> bool:
    """Keep what came of it as evidence beside the receipts of the message."""
    fault = result.fault
    if fault is not None and fault.passing:
        return False
    done = _DONE.get(delivery.verb, delivery.verb)
    state = done if fault is None else f"not {done}"
    cause = "" if fault is None else f"{fault.cause} {fault.remedy}".strip()
    ref = next((name for where, name in pages(notification) if where == delivery.connection), "")
    receipt: dict[str, Any] = {
        "channel": notification.channel, "connection": delivery.connection, "state": state, "at": int(work.now),
        "ref": ref, "cause": cause,
        "read_back": bool(result.written is not None and result.written.version),
    }  # fmt: skip
    text = (
        f"{delivery.connection} has it {done}."
        if fault is None
        else f"{delivery.connection} could not be told: {cause}"
    )
    why = [Reason(rule=f"on_call.ending.{delivery.verb}", text=text)]
    work.change(notification, {"receipts": [*notification.evidence, receipt]}, why=why)
    return False
