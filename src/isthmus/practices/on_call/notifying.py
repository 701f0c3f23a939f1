"""Tells people: one record per message, now or when they may be disturbed; what was held back comes as one digest.

A notification is named by its key (escalation, round, step, recipient): asked for again it is the one that is
there. How it is carried to its recipient stands in `attempts`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from isthmus.hub import due
from isthmus.hub.models import Due
from isthmus.kernel.duration import in_words, microseconds
from isthmus.kernel.errors import NotFound
from isthmus.kernel.instant import Instant
from isthmus.kernel.record import Reason
from isthmus.practices.on_call import attempts
from isthmus.practices.on_call.directory import Recipient, section
from isthmus.practices.on_call.models import Escalation, Notification
from isthmus.practices.on_call.rules import quiet

if TYPE_CHECKING:
    from isthmus.ledger.work import Work

RELEASE = "on_call.release"
SENT_LOOKED_AT_MAX = 500
HELD_MAX = 500


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
    comment: str = "",
) -> Notification | None:
    """Tell a recipient, now or when they may be disturbed; None if this message exists already.

    `comment` is what a message without an escalation says.
    """
    if _held_already(work, organisation, key):
        return None
    until, why = _hold(work, recipient, organisation, urgent=urgent) if purpose == "step" else (None, "")
    text = f"{recipient.target} is told." if until is None else f"{recipient.target} is told later: {why}"
    values: dict[str, Any] = {
        "key": key, "purpose": purpose, "escalation": escalation.id if escalation is not None else "", "step": step,
        "subject_kind": escalation.subject_kind if escalation is not None else "",
        "subject": escalation.subject if escalation is not None else "", "target": recipient.target,
        "person": recipient.person, "recipient": recipient.id, "methods": [list(each) for each in recipient.methods], "attempt": 0,
        "locale": recipient.locale, "zone": recipient.zone, "comment": comment, "urgent": urgent,
        "state": "queued" if until is None else "held", "cause": why, "receipts": [], "planned_at": work.now, "held_until": until,
    }  # fmt: skip
    notification = work.create(
        Notification,
        organisation=organisation,
        values=values,
        why=[Reason(rule=f"on_call.{purpose}", text=text)],
    )
    if until is None:
        attempts.send(work, notification, escalation)
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
        if escalation is not None and escalation.state in attempts.ENDED:
            attempts.withdraw(work, each, "Nobody needs to be told any more.")
        else:
            wanted.append(each)
    if len(wanted) == 1:
        work.change(
            wanted[0],
            {"state": "queued"},
            why=[Reason(rule="on_call.release", text="The time of silence is over.")],
        )
        attempts.send(work, wanted[0], running.get(wanted[0].escalation))
    elif wanted:
        _digest(work, wanted)


def _digest(work: Work, held: Sequence[Notification]) -> None:
    """Put what was held back into one message: what it says of each is written per channel, when it is sent."""
    first = held[0]
    digest = work.create(
        Notification,
        organisation=first.organisation,
        values={
            "key": f"digest:{first.id}", "purpose": "digest", "target": first.target, "person": first.person,
            "recipient": first.recipient, "methods": first.methods, "attempt": 0, "locale": first.locale, "zone": first.zone,
            "urgent": first.urgent, "state": "queued", "receipts": [], "planned_at": work.now,
        },
        why=[Reason(rule="on_call.digest", text=f"{first.target} is told {len(held)} things at once.")],
    )  # fmt: skip
    for each in held:
        work.change(
            each,
            {"state": "digested", "digest": digest.id},
            why=[Reason(rule="on_call.digest", text=f"Told together with {len(held) - 1} others.")],
        )
    attempts.send(work, digest, None)


def of(notification_id: str) -> Notification:
    """Return a notification within the open scope."""
    found = Notification.objects.filter(id=notification_id).first()
    if not isinstance(found, Notification):
        raise NotFound("There is no such notification, or none that you may see.")
    return found
