"""Carries one notification to its recipient: one effect per attempt, evidence of each, the next channel where one fails.

A message is an effect of the lanes, so it is committed before it is sent, and an effect whose outcome is unknown is
looked for before it is repeated. When the last channel cannot say whether the message arrived, it is sent there once
more: of a page, a second copy is better than none.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from isthmus.hub import due
from isthmus.hub.lanes import effects
from isthmus.hub.lanes.calls import Fault, Result
from isthmus.hub.lanes.models import Delivery
from isthmus.hub.models import Due
from isthmus.kernel.duration import microseconds
from isthmus.kernel.instant import SECOND, Instant
from isthmus.kernel.record import Reason
from isthmus.practices.on_call import endings, wording
from isthmus.practices.on_call.directory import section
from isthmus.practices.on_call.models import Escalation, Notification

if TYPE_CHECKING:
    from isthmus.ledger.work import Work

VERB = "notify"
PATIENCE = "on_call.patience"
BRING_FORWARD = "on_call.bring_forward"
WAITING = ("queued", "held")
ENDED = ("acknowledged", "stopped")
"""States of an escalation in which nobody needs to be told any more."""


def send(work: Work, notification: Notification, escalation: Escalation | None) -> None:
    """Plan the message on the method of the present attempt."""
    methods = notification.ways
    attempt = notification.attempt or 0
    channels = section().channels
    while attempt < len(methods) and methods[attempt][0] not in channels:
        attempt += 1
    if attempt >= len(methods):
        _fail(work, notification, "There is no way to reach this recipient.")
        return
    name, address = methods[attempt]
    channel = channels[name]
    message = wording.compose(
        work,
        notification,
        escalation,
        channel,
        address,
        thread=_thread(notification, name) if channel.threads else "",
    )
    delivery = effects.once(
        work,
        channel.connection,
        VERB,
        {"message": message},
        key=f"{notification.id}:{attempt}",
        record=notification,
    )
    values = {
        "channel": name, "connection": channel.connection, "attempt": attempt, "delivery": delivery,
        "title": message["title"], "text": message["text"],
    }  # fmt: skip
    why = [Reason(rule="on_call.attempt", text=f"Sent by {name}.", facts={"attempt": attempt + 1})]
    work.change(notification, values, why=why)
    until = Instant(work.now + microseconds(channel.patience))
    due.schedule(work, PATIENCE, notification.id, until, organisation=notification.organisation)


def _thread(notification: Notification, channel: str) -> str:
    earlier = Notification.objects.filter(
        organisation=notification.organisation, subject=notification.subject, channel=channel, state="sent"
    ).exclude(partner_ref="")
    return str(earlier.order_by("id").values_list("partner_ref", flat=True).first() or "")


def settled(work: Work, delivery: Delivery, result: Result) -> bool:
    """Take the partner's answer as evidence; return whether this attempt is given up for the next channel."""
    notification = Notification.objects.filter(id=delivery.record).first()
    if notification is None:
        return False
    if delivery.verb != VERB:
        return endings.settled(work, notification, delivery, result)
    if result.fault is None:
        _arrived(work, notification, delivery, result)
        return False
    in_doubt = endings.may_stand(delivery, result.fault.fault)
    if notification.delivery != delivery.id or notification.state != "queued":
        return not in_doubt
    escalation = escalation_of(work, notification)
    if escalation is not None and escalation.state in ENDED:
        if not (in_doubt and result.fault.passing):
            _withdrawn(work, notification, "Nobody needs to be told any more.")
        return not in_doubt
    return _refused(work, notification, result, result.fault)


def _refused(work: Work, notification: Notification, result: Result, fault: Fault) -> bool:
    """The present attempt has failed: wait, go the next way, or fail; return whether it is given up."""
    known = fault.fault not in {"unknown", "stale"}
    # A partner that names the time to come back is busy, not broken: within our patience that is the fastest way.
    patience = _patience_until(notification)
    waits = fault.after_seconds is not None and work.now + fault.after_seconds * SECOND <= patience
    if fault.fault == "retryable" and waits:
        return False
    if known and _next(work, notification, fault.cause, state="refused"):
        return True
    if not fault.passing:
        if result.turn.doubtful and _once_more(work, notification, fault.cause):
            return True
        _fail(work, notification, fault.cause)
    return False


def _arrived(work: Work, notification: Notification, delivery: Delivery, result: Result) -> None:
    ref = result.written.ref if result.written is not None else None
    methods = notification.ways
    attempt = int(delivery.key.rpartition(":")[2] or 0)
    other = Delivery.objects.filter(id=notification.delivery).exclude(id=delivery.id).first()
    if other is not None and other.state not in {"done", "dead", "sending"}:
        # An attempt that was given up has arrived after all: the one that took its place need not.
        _take_back(work, other, "An earlier attempt has arrived.")
    receipt = {
        "channel": methods[attempt][0] if attempt < len(methods) else notification.channel, "connection": delivery.connection, "state": endings.ARRIVED, "at": int(work.now),
        "ref": ref.key if ref is not None else "", "url": ref.url if ref is not None else "",
        "read_back": bool(result.written is not None and result.written.version),
    }  # fmt: skip
    values: dict[str, Any] = {"receipts": [*notification.evidence, receipt]}
    if notification.state in WAITING:
        values |= {"state": "sent", "sent_at": work.now, "cause": "", "partner_ref": receipt["ref"]}
        due.cancel(work, PATIENCE, notification.id, organisation=notification.organisation)
    text = f"{delivery.connection} has taken it{f' as {ref.key}' if ref is not None and ref.key else ''}."
    work.change(notification, values, why=[Reason(rule="on_call.receipt", text=text)])
    page = (delivery.connection, ref.key if ref is not None else "")
    endings.arrived(work, notification, escalation_of(work, notification), page)
    # The address stood in the payload; what is left as evidence is the receipt.
    work.advance(Delivery, where={"id": delivery.id}, values={"payload": None})


def patience_over(work: Work, row: Due, now: Instant) -> None:
    """No receipt in time: take the next channel, and take the message back from this one if it has not left."""
    notification = Notification.objects.filter(id=row.subject).first()
    if notification is None or notification.state != "queued":
        return
    delivery = Delivery.objects.filter(id=notification.delivery).first()
    if delivery is None or delivery.state in {"done", "dead"}:
        return
    if delivery.state == "sending":
        # Its answer is under way, and comes within the client's own time limit.
        due.schedule(work, PATIENCE, notification.id, Instant(now + SECOND), organisation=row.organisation)
        return
    cause = delivery.cause or "There was no receipt in time."
    if _next(work, notification, cause, state="no receipt"):
        _take_back(work, delivery, cause)


def _take_back(work: Work, delivery: Delivery, cause: str) -> None:
    if endings.may_stand(delivery):
        return
    due.cancel(work, effects.ONCE, delivery.subject, organisation=delivery.organisation, key=delivery.id)
    values = {
        "state": "done", "outcome": f"Given up, another way was taken: {cause}", "done_at": work.now, "next_at": None,
        "updated_at": work.now, "payload": None,
    }  # fmt: skip
    work.advance(Delivery, where={"id": delivery.id, "state": delivery.state}, values=values)


def _next(work: Work, notification: Notification, cause: str, *, state: str) -> bool:
    """Go on with the next method, if there is one."""
    methods = notification.ways
    attempt = (notification.attempt or 0) + 1
    if attempt >= len(methods):
        return False
    _again(work, notification, attempt, cause, state=state)
    return True


def _once_more(work: Work, notification: Notification, cause: str) -> bool:
    """Repeat a message on the last channel if nobody can say whether it arrived; once."""
    if any(each.get("state") == "in doubt" for each in notification.evidence):
        return False
    methods = notification.ways
    last = (notification.attempt or 0) + 1
    ways = [list(each) for each in (*methods[:last], methods[last - 1])]
    work.change(notification, {"methods": ways}, why=[])
    _again(work, notification, last, cause, state="in doubt")
    return True


def _again(work: Work, notification: Notification, attempt: int, cause: str, *, state: str) -> None:
    receipt = {
        "channel": notification.carrier, "connection": notification.connection, "state": state, "at": int(work.now), "cause": cause,
    }  # fmt: skip
    text = f"{notification.carrier} did not carry it: {cause}"
    work.change(
        notification,
        {"attempt": attempt, "receipts": [*notification.evidence, receipt]},
        why=[Reason(rule="on_call.fallback", text=text)],
    )
    send(work, notification, escalation_of(work, notification))


def _fail(work: Work, notification: Notification, cause: str) -> None:
    receipt = {
        "channel": notification.carrier, "connection": notification.connection, "state": "failed", "at": int(work.now), "cause": cause,
    }  # fmt: skip
    work.change(
        notification,
        {"state": "failed", "cause": cause, "receipts": [*notification.evidence, receipt]},
        why=[Reason(rule="on_call.failed", text=f"Nobody was told: {cause}")],
    )
    due.cancel(work, PATIENCE, notification.id, organisation=notification.organisation)
    if notification.escalation:
        # Whoever the next step tells need not wait until its time has come.
        due.schedule(
            work, BRING_FORWARD, notification.escalation, work.now, organisation=notification.organisation
        )


def withdraw(work: Work, notification: Notification, why: str) -> None:
    """Take back what has not left: the reason for it has passed."""
    if notification.state not in WAITING:
        return
    delivery = Delivery.objects.filter(id=notification.delivery).first() if notification.delivery else None
    if delivery is not None and (delivery.state == "sending" or endings.may_stand(delivery)):
        return
    if delivery is not None and delivery.state not in {"done", "dead"}:
        _take_back(work, delivery, why)
    _withdrawn(work, notification, why)


def _withdrawn(work: Work, notification: Notification, why: str) -> None:
    due.cancel(work, PATIENCE, notification.id, organisation=notification.organisation)
    work.change(
        notification, {"state": "withdrawn", "cause": why}, why=[Reason(rule="on_call.withdrawn", text=why)]
    )


def _patience_until(notification: Notification) -> int:
    at = Due.objects.filter(organisation=notification.organisation, what=PATIENCE, subject=notification.id)
    return int(at.values_list("due_at", flat=True).first() or 0)


def escalation_of(work: Work, notification: Notification) -> Escalation | None:
    """Return what a notification belongs to, as this Work holds it; None for a digest or a test."""
    if not notification.escalation:
        return None
    pending = work.pending.get(notification.escalation)
    if pending is not None and isinstance(pending.record, Escalation):
        return pending.record
    found: Escalation | None = Escalation.objects.filter(id=notification.escalation).first()
    return found
