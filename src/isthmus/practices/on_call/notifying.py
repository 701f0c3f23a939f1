"""Sends notifications: one record, one effect per attempt, evidence of each, the next channel where one fails.

A notification is named by its key (escalation, round, step, recipient): asked for again it is the one that is
there. Its message is an effect of the lanes, so it is committed before it is sent, and an effect whose outcome is
unknown is looked for before it is repeated. When the last channel cannot say whether the message arrived, it is
sent there once more: of a page, a second copy is better than none.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from isthmus.hub import due
from isthmus.hub.lanes import effects
from isthmus.hub.lanes.calls import Result
from isthmus.hub.lanes.models import Delivery
from isthmus.hub.models import Due
from isthmus.kernel.duration import in_words, microseconds
from isthmus.kernel.errors import NotFound
from isthmus.kernel.instant import SECOND, Instant
from isthmus.kernel.record import Reason
from isthmus.practices.on_call import wording
from isthmus.practices.on_call.directory import Recipient, section
from isthmus.practices.on_call.models import Escalation, Notification
from isthmus.practices.on_call.rules import quiet

if TYPE_CHECKING:
    from isthmus.ledger.work import Work

VERB = "notify"
PATIENCE = "on_call.patience"
RELEASE = "on_call.release"
BRING_FORWARD = "on_call.bring_forward"
SENT_LOOKED_AT_MAX = 500
HELD_MAX = 500
WAITING = ("queued", "held")


def plan(
    work: Work,
    recipient: Recipient,
    *,
    key: str,
    organisation: str,
    purpose: str = "step",
    escalation: Escalation | None = None,
    step: int = 0,
    urgent: bool = False,
    content: Sequence[dict[str, Any]] = (),
) -> Notification | None:
    """Tell a recipient, now or when they may be disturbed; None if this message exists already.

    `content` is what a message without an escalation says: `{"comment": …}` or `{"list": […]}`.
    """
    if _held_already(work, organisation, key):
        return None
    until, why = _hold(work, recipient, organisation, urgent=urgent) if purpose == "step" else (None, "")
    values: dict[str, Any] = {
        "key": key, "purpose": purpose, "escalation": escalation.id if escalation is not None else "", "step": step,
        "subject_kind": escalation.subject_kind if escalation is not None else "",
        "subject": escalation.subject if escalation is not None else "", "target": recipient.target,
        "person": recipient.person, "recipient": recipient.id, "methods": [list(each) for each in recipient.methods], "attempt": 0,
        "locale": recipient.locale, "urgent": urgent, "state": "queued" if until is None else "held", "cause": why,
        "receipts": [{"zone": recipient.zone}, *content], "planned_at": work.now, "held_until": until,
    }  # fmt: skip
    text = f"{recipient.target} is told." if until is None else f"{recipient.target} is told later: {why}"
    notification = work.create(
        Notification,
        organisation=organisation,
        values=values,
        why=[Reason(rule=f"on_call.{purpose}", text=text)],
    )
    if until is None:
        _send(work, notification, escalation)
    else:
        _release_at(work, notification, until)
    return notification


def _held_already(work: Work, organisation: str, key: str) -> bool:
    if any(isinstance(each, Notification) and each.key == key for each in work.created_or_changed()):
        return True
    return bool(Notification.objects.filter(organisation=organisation, key=key).exists())


def _hold(work: Work, who: Recipient, organisation: str, *, urgent: bool) -> tuple[Instant | None, str]:
    noise = section().noise
    if not urgent and (until := quiet.quiet_until(who.quiet_hours, who.zone, work.now)) is not None:
        return until, "quiet hours"
    window = microseconds(noise.window)
    limit = noise.urgent_per_recipient if urgent else noise.per_recipient
    rows = Notification.objects.filter(
        organisation=organisation, recipient=who.id, planned_at__gt=work.now - window
    ).exclude(state__in=("held", "digested"))
    sent = list(rows.order_by("-planned_at").values_list("planned_at", flat=True)[:SENT_LOOKED_AT_MAX])
    sent += [
        each.planned_at
        for each in work.created_or_changed()
        if isinstance(each, Notification)
        and each.recipient == who.id
        and each.state == "queued"
        and each.version == 1
    ]
    until = quiet.flooded(sent, limit=limit, window=window, now=work.now)
    return until, f"{limit} messages within {in_words(window)}" if until is not None else ""


def _release_at(work: Work, notification: Notification, at: Instant) -> None:
    held = Due.objects.filter(
        organisation=notification.organisation, what=RELEASE, subject=notification.recipient
    ).first()
    if held is None or held.due_at > at:
        due.schedule(work, RELEASE, notification.recipient, at, organisation=notification.organisation)


def release(work: Work, row: Due, now: Instant) -> None:
    """Tell a recipient what was held back: one message as it is, several as one digest."""
    rows = list(
        Notification.objects.filter(
            organisation=row.organisation, recipient=row.subject, state="held"
        ).order_by("id")[:HELD_MAX]
    )
    ready = [each for each in rows if (each.held_until or 0) <= now]
    later = [each.held_until for each in rows if (each.held_until or 0) > now]
    if later:
        due.schedule(work, RELEASE, row.subject, Instant(min(later)), organisation=row.organisation)
    running = {
        each.id: each for each in Escalation.objects.filter(id__in={each.escalation for each in ready})
    }
    wanted = []
    for each in ready:
        escalation = running.get(each.escalation)
        if escalation is not None and escalation.state in {"acknowledged", "stopped"}:
            withdraw(work, each, "Nobody needs to be told any more.")
        else:
            wanted.append(each)
    if len(wanted) == 1:
        work.change(
            wanted[0],
            {"state": "queued"},
            why=[Reason(rule="on_call.release", text="The time of silence is over.")],
        )
        _send(work, wanted[0], running.get(wanted[0].escalation))
    elif wanted:
        _digest(work, wanted, running)


def _digest(work: Work, held: Sequence[Notification], running: dict[str, Escalation]) -> None:
    first = held[0]
    lines = [_line(work, each, running.get(each.escalation)) for each in held]
    methods = first.methods if isinstance(first.methods, list) else []
    zone = _kept(first, "zone") or "UTC"
    who = Recipient(
        id=first.recipient, person=first.person, target=first.target, locale=first.locale, zone=zone,
        methods=tuple((str(channel), str(address)) for channel, address in methods),
    )  # fmt: skip
    made = plan(
        work, who, key=f"digest:{first.id}", organisation=first.organisation, purpose="digest", urgent=first.urgent,
        content=[{"list": lines}],
    )  # fmt: skip
    for each in held:
        work.change(
            each,
            {"state": "digested", "digest": made.id if made is not None else ""},
            why=[Reason(rule="on_call.digest", text=f"Told together with {len(held) - 1} others.")],
        )


def _line(work: Work, notification: Notification, escalation: Escalation | None) -> str:
    name = _first_channel(notification)
    if name not in section().channels:
        return notification.subject
    said = wording.compose(
        work,
        notification,
        escalation,
        section().channels[name],
        "",
        zone=_kept(notification, "zone") or "UTC",
    )
    return str(said["title"])


def _first_channel(notification: Notification) -> str:
    methods = notification.methods if isinstance(notification.methods, list) else []
    return str(methods[0][0]) if methods else ""


def _kept(notification: Notification, name: str) -> str:
    rows = notification.receipts if isinstance(notification.receipts, list) else []
    return next((str(each[name]) for each in rows if name in each), "")


# One attempt ----------------------------------------------------------------------------------------------------


def _send(work: Work, notification: Notification, escalation: Escalation | None) -> None:
    """Plan the message on the method of the present attempt."""
    methods = notification.methods if isinstance(notification.methods, list) else []
    attempt = notification.attempt or 0
    channels = section().channels
    while attempt < len(methods) and methods[attempt][0] not in channels:
        attempt += 1
    if attempt >= len(methods):
        _fail(work, notification, "There is no way to reach this recipient.")
        return
    name, address = str(methods[attempt][0]), str(methods[attempt][1])
    channel = channels[name]
    message = wording.compose(
        work, notification, escalation, channel, address, zone=_kept(notification, "zone") or channel.zone,
        thread=_thread(notification, name) if channel.threads else "",
    )  # fmt: skip
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
    if result.fault is None:
        _arrived(work, notification, delivery, result)
        return False
    current = notification.delivery == delivery.id and notification.state == "queued"
    if not current:
        return True
    fault = result.fault
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
    methods = notification.methods if isinstance(notification.methods, list) else []
    attempt = int(delivery.key.rpartition(":")[2] or 0)
    other = Delivery.objects.filter(id=notification.delivery).exclude(id=delivery.id).first()
    if other is not None and other.state not in {"done", "dead", "sending"}:
        # An attempt that was given up has arrived after all: the one that took its place need not.
        _take_back(work, other, "An earlier attempt has arrived.")
    receipt = {
        "channel": str(methods[attempt][0]) if attempt < len(methods) else notification.channel, "connection": delivery.connection, "state": "delivered", "at": int(work.now),
        "ref": ref.key if ref is not None else "", "url": ref.url if ref is not None else "",
        "read_back": bool(result.written is not None and result.written.version),
    }  # fmt: skip
    values: dict[str, Any] = {"receipts": [*_receipts(notification), receipt]}
    if notification.state in WAITING:
        values |= {"state": "sent", "sent_at": work.now, "cause": "", "partner_ref": receipt["ref"]}
        due.cancel(work, PATIENCE, notification.id, organisation=notification.organisation)
    text = f"{delivery.connection} has taken it{f' as {ref.key}' if ref is not None and ref.key else ''}."
    work.change(notification, values, why=[Reason(rule="on_call.receipt", text=text)])
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
    due.cancel(work, effects.ONCE, delivery.subject, organisation=delivery.organisation, key=delivery.id)
    values = {
        "state": "done", "outcome": f"Given up, another way was taken: {cause}", "done_at": work.now, "next_at": None,
        "updated_at": work.now, "payload": None,
    }  # fmt: skip
    work.advance(Delivery, where={"id": delivery.id, "state": delivery.state}, values=values)


def _next(work: Work, notification: Notification, cause: str, *, state: str) -> bool:
    """Go on with the next method, if there is one."""
    methods = notification.methods if isinstance(notification.methods, list) else []
    attempt = (notification.attempt or 0) + 1
    if attempt >= len(methods):
        return False
    _again(work, notification, attempt, cause, state=state)
    return True


def _once_more(work: Work, notification: Notification, cause: str) -> bool:
    """Repeat a message on the last channel if nobody can say whether it arrived; once."""
    if any(each.get("state") == "in doubt" for each in _receipts(notification)):
        return False
    methods = notification.methods if isinstance(notification.methods, list) else []
    last = (notification.attempt or 0) + 1
    work.change(notification, {"methods": [*methods[:last], methods[last - 1]]}, why=[])
    _again(work, notification, last, cause, state="in doubt")
    return True


def _again(work: Work, notification: Notification, attempt: int, cause: str, *, state: str) -> None:
    receipt = {
        "channel": notification.channel, "connection": notification.connection, "state": state, "at": int(work.now), "cause": cause,
    }  # fmt: skip
    text = f"{notification.channel} did not carry it: {cause}"
    work.change(
        notification,
        {"attempt": attempt, "receipts": [*_receipts(notification), receipt]},
        why=[Reason(rule="on_call.fallback", text=text)],
    )
    _send(work, notification, _escalation(work, notification))


def _fail(work: Work, notification: Notification, cause: str) -> None:
    receipt = {
        "channel": notification.channel, "connection": notification.connection, "state": "failed", "at": int(work.now), "cause": cause,
    }  # fmt: skip
    work.change(
        notification,
        {"state": "failed", "cause": cause, "receipts": [*_receipts(notification), receipt]},
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
    if delivery is not None and delivery.state == "sending":
        return
    if delivery is not None and delivery.state not in {"done", "dead"}:
        _take_back(work, delivery, why)
    due.cancel(work, PATIENCE, notification.id, organisation=notification.organisation)
    work.change(
        notification, {"state": "withdrawn", "cause": why}, why=[Reason(rule="on_call.withdrawn", text=why)]
    )


def _receipts(notification: Notification) -> list[dict[str, Any]]:
    return list(notification.receipts) if isinstance(notification.receipts, list) else []


def _patience_until(notification: Notification) -> int:
    at = Due.objects.filter(organisation=notification.organisation, what=PATIENCE, subject=notification.id)
    return int(at.values_list("due_at", flat=True).first() or 0)


def _escalation(work: Work, notification: Notification) -> Escalation | None:
    pending = work.pending.get(notification.escalation)
    if pending is not None and isinstance(pending.record, Escalation):
        return pending.record
    found: Escalation | None = Escalation.objects.filter(id=notification.escalation).first()
    return found


def of(notification_id: str) -> Notification:
    """Return a notification within the open scope."""
    found = Notification.objects.filter(id=notification_id).first()
    if not isinstance(found, Notification):
        raise NotFound("There is no such notification, or none that you may see.")
    return found
