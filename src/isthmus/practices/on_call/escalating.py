"""Runs ladders: a process that is a record, pinned to its definition, with due times, until somebody acknowledges."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from isthmus.hub import due
from isthmus.hub.models import Due
from isthmus.identity import people
from isthmus.kernel.errors import Conflict, NotFound, Rejected
from isthmus.kernel.instant import Instant
from isthmus.kernel.record import Reason
from isthmus.practices.incident import service as incidents
from isthmus.practices.on_call import attempts, directory, endings, notifying, subjects, targets
from isthmus.practices.on_call.blueprint import ladder_of
from isthmus.practices.on_call.models import Acknowledgement, Escalation, Notification
from isthmus.practices.on_call.rules import ladder as ladders

if TYPE_CHECKING:
    from isthmus.ledger.work import Work

STEP = "on_call.step"
COMMENT_CHARACTERS_MAX = 1_000


def start(
    work: Work,
    *,
    key: str,
    policy: str,
    trigger: str,
    ladder: str,
    subject_kind: str,
    subject: str,
    organisation: str,
    facts: Mapping[str, Any] | None = None,
    comment: str = "",
    started_at: Instant | None = None,
) -> Escalation | None:
    """Begin a ladder and take its first steps; None if one with this key is open, or the subject needs nobody.

    Its times count from `started_at` (default: now): a hub that was down meanwhile takes at once what is overdue.
    """
    if open_one(work, organisation, key) is not None:
        return None
    spec = directory.section().ladders.get(ladder)
    seen = subjects.view(work, subject_kind, subject, organisation)
    if spec is None or seen is None or not seen.open:
        return None
    pinned = ladder_of(ladder, spec)
    escalation = work.create(
        Escalation,
        organisation=organisation,
        values={
            "key": key, "open": True, "subject_kind": subject_kind, "subject": subject, "policy": policy, "trigger": trigger,
            "ladder": ladders.to_json(pinned), "definition_version": str(work.generation), "facts": dict(facts or {}),
            "comment": comment, "state": "running", "awaiting": "acknowledgement", "fired": [],
            "started_at": work.now if started_at is None else started_at,
        },
        why=[Reason(rule=f"on_call.{trigger}", text=f"{policy or 'By hand'}: ladder {ladder} begins about {seen.label}.")],
        versions={"blueprint": str(work.generation)},
    )  # fmt: skip
    advance(work, escalation)
    return escalation


def open_one(work: Work, organisation: str, key: str) -> Escalation | None:
    """Return the open escalation of a key, as this Work holds it."""
    for each in work.created_or_changed():
        if (
            isinstance(each, Escalation)
            and each.key == key
            and each.organisation == organisation
            and each.open
        ):
            return each
    found: Escalation | None = Escalation.objects.filter(
        organisation=organisation, key=key, open=True
    ).first()
    return found


def advance(work: Work, escalation: Escalation) -> None:
    """Take every step that is due, and set the wait for the next one."""
    if escalation.state != "running":
        return
    ladder, started = ladders.from_json(escalation.ladder), Instant(escalation.started_at or work.now)
    if not _needed(work, escalation):
        return
    while pending := ladders.due(ladder, started, _fired(escalation), work.now):
        _take(work, escalation, ladder, *pending[0])
    _settle(work, escalation, ladder, started)


def at_share(work: Work, escalation: Escalation, percent: int, facts: Mapping[str, Any]) -> None:
    """Take the steps that wait for this share of the target."""
    if escalation.state != "running" or not _needed(work, escalation):
        return
    ladder, started = ladders.from_json(escalation.ladder), Instant(escalation.started_at or work.now)
    held = escalation.facts if isinstance(escalation.facts, dict) else {}
    for round_, index in ladders.at_share(ladder, percent, _fired(escalation)):
        work.change(escalation, {"facts": {**held, **facts}}, why=[])
        _take(work, escalation, ladder, round_, index)
    _settle(work, escalation, ladder, started)


def _needed(work: Work, escalation: Escalation) -> bool:
    seen = subjects.view(work, escalation.subject_kind, escalation.subject, escalation.organisation)
    if seen is None or not seen.open:
        stop(work, escalation, "It needs nobody any more.")
        return False
    return True


def _fired(escalation: Escalation) -> list[str]:
    return [str(each) for each in escalation.fired] if isinstance(escalation.fired, list) else []


def _take(work: Work, escalation: Escalation, ladder: ladders.Ladder, round_: int, index: int) -> None:
    """Take one step; one that reaches nobody brings the next one forward."""
    step = ladder.steps[index]
    fired = [*_fired(escalation), ladders.mark(round_, index)]
    seen = subjects.view(work, escalation.subject_kind, escalation.subject, escalation.organisation)
    assigned, owner = (seen.assigned, seen.owner) if seen is not None else ("", "")
    if step.assign and step.assign != assigned and escalation.subject_kind == "incident":
        text = f"Step {index + 1} of ladder {ladder.name}: functional escalation to {step.assign}."
        incident = incidents.get(work, escalation.subject)
        incidents.update(
            work,
            incident,
            {"assignment_group": step.assign},
            why=[Reason(rule="on_call.functional", text=text)],
        )
        assigned = step.assign
    told: list[Notification] = []
    why = [Reason(rule="on_call.step", text=f"Step {index + 1}: {ladders.describe(step.notify)}.")]
    for target in step.notify:
        found, missing = targets.resolved(
            target, organisation=escalation.organisation, assigned=assigned, owner=owner, at=work.now
        )
        if missing:
            why.append(Reason(rule="on_call.nobody", text=missing))
        told += [
            made for who in found if (made := _tell(work, escalation, ladder, round_, index, who)) is not None
        ]
    work.change(escalation, {"fired": fired}, why=why)
    if step.notify and not any(each.state != "failed" for each in told):
        _bring_forward(work, escalation, ladder, round_)


def _tell(
    work: Work,
    escalation: Escalation,
    ladder: ladders.Ladder,
    round_: int,
    index: int,
    who: directory.Recipient,
) -> Notification | None:
    return notifying.plan(
        work, who, key=f"{escalation.id}:{round_}:{index}:{who.id}", organisation=escalation.organisation,
        escalation=escalation, step=index, urgent=ladder.urgent,
    )  # fmt: skip


def _bring_forward(work: Work, escalation: Escalation, ladder: ladders.Ladder, round_: int) -> None:
    """Take the next step of this round; the rounds after it keep their times, by then somebody may be there."""
    coming = ladders.upcoming(ladder, Instant(escalation.started_at or work.now), _fired(escalation))
    if coming is not None and coming[1] == round_:
        _take(work, escalation, ladder, coming[1], coming[2])


def _settle(work: Work, escalation: Escalation, ladder: ladders.Ladder, started: Instant) -> None:
    coming = ladders.upcoming(ladder, started, _fired(escalation))
    if coming is not None:
        work.change(escalation, {"next_at": coming[0]}, why=[])
        due.schedule(work, STEP, escalation.id, coming[0], organisation=escalation.organisation)
        return
    due.cancel(work, STEP, escalation.id, organisation=escalation.organisation)
    values: dict[str, Any] = {"next_at": None}
    if ladders.exhausted(ladder, started, _fired(escalation)):
        values |= {"state": "finished", "awaiting": "", "ended_at": work.now}
    why = [Reason(rule="on_call.finished", text="Every step was taken; nobody has acknowledged.")]
    work.change(escalation, values, why=why if "state" in values else [])


def step_due(work: Work, row: Due, now: Instant) -> None:
    """Go on with a ladder whose next step is due."""
    del now
    escalation = Escalation.objects.filter(id=row.subject).first()
    if escalation is not None:
        advance(work, escalation)


def bring_forward(work: Work, row: Due, now: Instant) -> None:
    """Take the next step at once if everybody whom the last one wanted to tell could not be reached."""
    del now
    escalation = Escalation.objects.filter(id=row.subject).first()
    if escalation is None or escalation.state != "running":
        return
    rows = Notification.objects.filter(organisation=escalation.organisation, escalation=escalation.id)
    last = rows.order_by("-id").first()
    if last is None:
        return
    step = ":".join(last.key.split(":")[:3])
    if rows.filter(key__startswith=f"{step}:").exclude(state="failed").exists():
        return
    ladder = ladders.from_json(escalation.ladder)
    _bring_forward(work, escalation, ladder, int(last.key.split(":")[1]))
    _settle(work, escalation, ladder, Instant(escalation.started_at or work.now))


# Ending ---------------------------------------------------------------------------------------------------------


def acknowledge(
    work: Work,
    escalation: Escalation,
    *,
    door: str,
    person: str = "",
    partner_actor: str = "",
    connection: str = "",
    notification: str = "",
    comment: str = "",
    cause: str = "",
) -> Escalation:
    """Stop every ladder about this subject: somebody looks after it. Doing it again changes nothing."""
    if len(comment) > COMMENT_CHARACTERS_MAX:
        raise Rejected(
            f"The comment is longer than {COMMENT_CHARACTERS_MAX} characters.", remedy="Shorten it."
        )
    if escalation.state == "acknowledged":
        return escalation
    if not escalation.open:
        raise Conflict("This escalation has ended already.", remedy="Nothing needs to be done.")
    who = person or (work.actor.id if door in {"api", "console"} else "")
    work.create(
        Acknowledgement,
        organisation=escalation.organisation,
        values={
            "escalation": escalation.id, "notification": notification, "action": "acknowledge", "person": who,
            "partner_actor": partner_actor, "connection": connection, "door": door, "comment": comment,
        },
        why=[Reason(rule="on_call.acknowledged", text=f"Somebody looks after it ({door}).")],
        cause=cause,
    )  # fmt: skip
    by = people.labels([who]).get(who, "") or partner_actor
    for each in running_about(work, escalation):
        values = {
            "state": "acknowledged", "awaiting": "", "next_at": None, "acknowledged_at": work.now, "acknowledged_by": who,
        }  # fmt: skip
        why = [Reason(rule="on_call.acknowledged", text=f"Acknowledged ({door}): the ladder stops.")]
        work.change(each, values, why=why, cause=cause)
        _quieten(work, each, "It was acknowledged.")
        endings.tell(work, each, "acknowledge", by=by, text=_taken(by), came_from=connection)
    return escalation


def running_about(work: Work, escalation: Escalation) -> list[Escalation]:
    """Return the escalations about the same subject that nobody has acknowledged, this one first."""
    rows = Escalation.objects.filter(
        organisation=escalation.organisation,
        subject=escalation.subject,
        open=True,
        state__in=("running", "finished"),
    ).exclude(id=escalation.id)
    held = [work.pending[each.id].record if each.id in work.pending else each for each in rows]
    return [escalation, *(each for each in held if isinstance(each, Escalation))]


def _taken(by: str) -> str:
    return f"It was acknowledged by {by}." if by else "It was acknowledged."


def stop(work: Work, escalation: Escalation, why: str, *, over: bool = True) -> None:
    """End a ladder because its subject needs nobody any more (`over`), or because it is begun anew."""
    if not escalation.open:
        return
    values: dict[str, Any] = {"open": False, "awaiting": "", "next_at": None, "ended_at": work.now}
    if escalation.state in {"running", "finished"}:
        values["state"] = "stopped"
    work.change(escalation, values, why=[Reason(rule="on_call.stopped", text=why)])
    _quieten(work, escalation, why)
    if over:
        endings.tell(work, escalation, "resolve", text=why)


def stop_about(work: Work, organisation: str, subject: str, why: str) -> None:
    """End every ladder about a subject."""
    for each in Escalation.objects.filter(organisation=organisation, subject=subject, open=True):
        stop(work, each, why)


def _quieten(work: Work, escalation: Escalation, why: str) -> None:
    due.cancel(work, STEP, escalation.id, organisation=escalation.organisation)
    rows = Notification.objects.filter(
        organisation=escalation.organisation, escalation=escalation.id, state__in=attempts.WAITING
    )
    for each in rows:
        held = work.pending.get(each.id)
        attempts.withdraw(
            work, held.record if held is not None and isinstance(held.record, Notification) else each, why
        )


def of(escalation_id: str) -> Escalation:
    """Return an escalation within the open scope."""
    found = Escalation.objects.filter(id=escalation_id).first()
    if not isinstance(found, Escalation):
        raise NotFound("There is no such escalation, or none that you may see.")
    return found
