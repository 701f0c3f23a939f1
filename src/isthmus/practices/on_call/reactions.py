"""What on-call does by itself: pressed buttons, due steps, results of messages, policies."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from isthmus.hub import due, observing
from isthmus.hub.lanes import effects
from isthmus.hub.observing import Outcome, Seen, outcome
from isthmus.identity.models import Person
from isthmus.kernel.instant import Instant
from isthmus.ledger import organisations, scope
from isthmus.ledger.work import Work, register_preparer
from isthmus.practices.monitoring import alert_mirrors
from isthmus.practices.on_call import (
    attempts,
    directory,
    escalating,
    integrations,
    notifying,
    receipts,
    stalled,
    subjects,
    triggers,
    trust,
)
from isthmus.practices.on_call.models import ContactCard, Escalation, Notification
from isthmus.practices.service_level import service as levels

if TYPE_CHECKING:
    from isthmus.kernel.observation import Observation

CARDS_MAX = 2_000
COMMENT_MAX = escalating.COMMENT_CHARACTERS_MAX


def pressed(work: Work, seens: Sequence[Seen], now: Instant) -> list[Outcome]:
    """Take the buttons that people pressed in messages: `values.notification` is the key that the message carried, or
    the name that the partner gave it."""
    del now
    return [_pressed(work, each) for each in seens]


def _pressed(work: Work, seen: Seen) -> Outcome:
    observation = seen.observation
    if str(observation.values.get("action", "")) != "acknowledge":
        return outcome(seen, "ignored", reason="This button means nothing here.")
    key = str(observation.values.get("notification", ""))
    carried = Notification.objects.filter(id=key.partition(":")[0]).first()
    found = carried or receipts.named(seen, key)
    if found is None and (elsewhere := alert_mirrors.taken_there(work, seen, key)) is not None:
        return elsewhere
    # A connection speaks for its own organisation and those below it; a stranger's button stops nobody's ladder.
    if found is None or not directory.serves(seen.organisation, found.organisation):
        return outcome(seen, "ignored", reason="No notification of ours is meant.")
    if carried is not None and found.connection != seen.connection:
        return outcome(seen, "ignored", reason="The notification was not sent by this connection.")
    escalation = _escalation(work, found.escalation)
    if escalation is None or not escalation.open:
        return outcome(seen, "ignored", reason="Its escalation has ended.", records=[found.id])
    if escalation.state == "acknowledged":
        return outcome(seen, "repeat", reason="Acknowledged already.", records=[escalation.id])
    if carried is None and receipts.earlier(seen, escalation):
        return outcome(seen, "ignored", reason="It was before this escalation began.", records=[found.id])
    person = whose(observation.partner_actor, seen.connection, found)
    escalating.acknowledge(
        work, escalation, door="button", person=person, partner_actor=_said(observation), connection=seen.connection,
        notification=found.id, comment=str(observation.values.get("comment") or "")[:COMMENT_MAX], cause=seen.message_id,
    )  # fmt: skip
    return outcome(seen, "entry", records=[escalation.id, found.id])


def _escalation(work: Work, escalation_id: str) -> Escalation | None:
    pending = work.pending.get(escalation_id)
    if pending is not None and isinstance(pending.record, Escalation):
        return pending.record
    found: Escalation | None = Escalation.objects.filter(id=escalation_id).first()
    return found


def _said(observation: Observation) -> str:
    return observation.partner_actor[:200]


def whose(partner_actor: str, connection: str, notification: Notification) -> str:
    """Return the person of ours behind a partner's name: by contact card, or by the names that are kept of them."""
    if not partner_actor:
        return ""
    if notification.person and any(address == partner_actor for _, address in notification.ways):
        return notification.person
    channels = {
        name
        for name, spec in directory.section().channels.items()
        if spec.connection == connection and not spec.recipient
    }
    near = organisations.lineage(notification.organisation)
    with scope.everywhere("a partner's name is looked up among those who serve the organisation"):
        for card in ContactCard.objects.filter(organisation__in=near).order_by("id")[:CARDS_MAX]:
            held: list[dict[str, Any]] = card.methods if isinstance(card.methods, list) else []
            if any(each.get("channel") in channels and each.get("address") == partner_actor for each in held):
                return str(card.person)
        for each in Person.objects.filter(organisation__in=near, state="active").order_by("id")[:CARDS_MAX]:
            if isinstance(each.partner_names, dict) and each.partner_names.get(connection) == partner_actor:
                return str(each.id)
    return ""


def clock_told(work: Work, clock: levels.SlaClock, percent: int, now: Instant) -> None:
    """Take a threshold from the clocks of service levels: `percent` of the target is used."""
    del now
    triggers.threshold(
        work, clock=f"{clock.id}:{clock.cycle or 0}", organisation=clock.organisation, subject_kind=clock.record_kind,
        subject=clock.record, target=clock.target, percent=percent, deadline=clock.due_at,
    )  # fmt: skip


def declare() -> None:
    """Register everything; called once from `ready`."""
    subjects.declare()
    register_preparer(triggers.prepare)
    observing.register("acknowledgement", pressed)
    effects.follow(Notification.kind, attempts.settled)
    due.register(triggers.LOOK, triggers.look)
    due.register(triggers.END, triggers.end)
    due.register(integrations.WATCH, integrations.watch)
    due.register(escalating.STEP, escalating.step_due)
    due.register(attempts.BRING_FORWARD, escalating.bring_forward)
    due.register(attempts.PATIENCE, attempts.patience_over)
    due.register(notifying.RELEASE, notifying.release)
    levels.register_threshold(clock_told)
    stalled.declare()
    trust.declare()
