"""Major incidents: declared by a person or by priority; each workflow trigger has one owner until it is over."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from isthmus import blueprint
from isthmus.kernel.actor import ActorKind
from isthmus.kernel.duration import microseconds
from isthmus.kernel.errors import Conflict, Forbidden, NotFound, Problem, Rejected
from isthmus.kernel.instant import Instant
from isthmus.kernel.record import Reason
from isthmus.ledger.work import Work
from isthmus.practices.incident import desks
from isthmus.practices.incident.blueprint import MajorSpec
from isthmus.practices.incident.comments import comment
from isthmus.practices.incident.models import Comment, Incident, MajorIncident, TriggerHandover
from isthmus.practices.incident.rules import states, trigger

PARTS: Final = ("incident_manager", "technical_lead", "communications_lead", "scribe")
"""The parts that people play in a major incident."""
_RULE: Final = "incident.major"


def _spec() -> MajorSpec:
    found: MajorSpec = blueprint.current().section("incident").major
    return found


def active(work: Work | None, incident: Incident) -> MajorIncident | None:
    """Return the procedure that runs for an incident, as the Work holds it."""
    if work is not None:
        for pending in work.pending.values():
            held = pending.record
            if isinstance(held, MajorIncident) and held.record == incident.id and held.state == "active":
                return held
    found = MajorIncident.objects.filter(
        organisation=incident.organisation, record=incident.id, state="active"
    ).first()
    if found is not None and work is not None and found.id in work.pending:
        return None  # this Work has just ended it
    return found


def latest(incident: Incident) -> MajorIncident | None:
    """Return the procedure of an incident, also one that is over."""
    found: MajorIncident | None = (
        MajorIncident.objects.filter(organisation=incident.organisation, record=incident.id)
        .order_by("-id")
        .first()
    )
    return found


def begin(work: Work, incident: Incident, owner: str, why: Sequence[Reason]) -> MajorIncident:
    """Start the procedure: every trigger gets its owner, and the first update gets its time."""
    spec = _spec()
    every = microseconds(spec.update_every)
    return work.create(
        MajorIncident,
        organisation=incident.organisation,
        values={
            "record": incident.id,
            "owner": owner,
            "triggers": trigger.matrix(spec.triggers, owner),
            "people": {},
            "state": "active",
            "declared_at": work.now,
            "update_due": work.now + every if every else None,
        },
        why=why,
        trace=incident.trace,
        versions={"blueprint": str(work.generation)},
    )


def declare_major(work: Work, incident: Incident, *, owner: str, reason: str) -> Incident:
    """Declare a major incident and say which desk owns its workflow triggers."""
    if incident.state not in states.OPEN:
        raise Rejected("Only an open incident can be a major one.", remedy="Reopen it first.")
    if not owner.strip():
        raise Rejected("A major incident needs an owner of its triggers.", remedy="Name a group.")
    if incident.major:
        raise Conflict("It is a major incident already.", remedy="Hand its triggers over instead.")
    elsewhere = {name: desk for name, desk in _spec().triggers.items() if desk != owner}
    said = "".join(f" {name.replace('_', ' ')}: {desk}." for name, desk in sorted(elsewhere.items()))
    why = [
        Reason(
            rule=_RULE,
            text=f"Major incident declared; {owner} owns the triggers.{said} {reason}".strip(),
            facts={"owner": owner, "triggers": {**elsewhere}},
        )
    ]
    begin(work, incident, owner, why)
    return work.change(incident, {"major": True, "trigger_owner": owner}, why=why)


def hand_over(
    work: Work, incident: Incident, *, owner: str, reason: str, triggers: Sequence[str] = ()
) -> Incident:
    """Give triggers (all, if none is named) to another desk; who owns one now does that, or who owns the rest."""
    if not incident.major or not owner.strip():
        raise Rejected("There is nothing to hand over.", remedy="Declare a major incident and name a group.")
    unknown = [name for name in triggers if name not in trigger.TRIGGERS]
    if unknown:
        raise Rejected(
            f"{unknown[0]!r} is not a trigger.",
            problems=(
                Problem(path="/triggers", message="unknown", remedy=f"Use {', '.join(trigger.TRIGGERS)}."),
            ),
        )
    held = active(work, incident) or begin(work, incident, incident.trigger_owner, [])
    for name in triggers or ("",):
        _require(work, incident, name, held, doing="hand over")
    whole = not triggers
    before = incident.trigger_owner
    table = dict(held.triggers or {}) | dict.fromkeys(triggers or trigger.TRIGGERS, owner)
    what = "Triggers" if whole else ", ".join(triggers).replace("_", " ")
    text = f"{what} handed over from {before if whole else 'their owner'} to {owner}. {reason}".strip()
    why = [Reason(rule=_RULE, text=text, facts={"triggers": list(triggers), "owner": owner})]
    work.change(held, {"triggers": table, "owner": owner if whole else held.owner}, why=why)
    _answer(work, incident, [*(triggers or trigger.TRIGGERS)], "handed_over", why)
    if whole:
        return work.change(incident, {"trigger_owner": owner}, why=why)
    work.note(incident, why=why)
    return incident


def keep(work: Work, handover: TriggerHandover, *, reason: str) -> TriggerHandover:
    """Decline an offered hand-over: the owner keeps the trigger."""
    if handover.state != "offered":
        raise Conflict(f"This offer is {handover.state} already.")
    owner = handover.owner
    if desks.closed(owner) and not desks.acts_for(work.actor, owner, handover.organisation):
        raise Forbidden(f"Only {owner} can decline this.", remedy=f"Ask somebody of {owner}.")
    why = [
        Reason(rule=_RULE, text=f"{handover.owner} keeps the trigger {handover.trigger}. {reason}".strip())
    ]
    return work.change(handover, {"state": "kept", "answered_at": work.now}, why=why)


def stand_down(work: Work, incident: Incident, *, reason: str) -> Incident:
    """End the major incident; everybody entitled may fire triggers again."""
    require(work, incident, "stand_down")
    why = [Reason(rule=_RULE, text=f"No longer a major incident. {reason}".strip())]
    end(work, incident, why)
    return work.change(incident, {"major": False, "trigger_owner": ""}, why=why)


def end(work: Work, incident: Incident, why: Sequence[Reason]) -> None:
    """End the procedure: the ownership of triggers reverts, offers of them lapse."""
    held = active(work, incident)
    if held is not None:
        work.change(held, {"state": "ended", "ended_at": work.now, "update_due": None}, why=why)
    _answer(work, incident, list(trigger.TRIGGERS), "lapsed", why)


def _answer(work: Work, incident: Incident, names: Sequence[str], state: str, why: Sequence[Reason]) -> None:
    rows = TriggerHandover.objects.filter(
        organisation=incident.organisation, record=incident.id, state="offered", trigger__in=names
    )
    for each in rows[:100]:
        if each.id not in work.pending:
            work.change(each, {"state": state, "answered_at": work.now}, why=why)


# Triggers ------------------------------------------------------------------------------------------------


def require(work: Work, incident: Incident, name: str) -> None:
    """Refuse a trigger that another desk owns; the refusal is recorded, with the offer of a hand-over."""
    if incident.major and work.actor.kind in {ActorKind.PERSON, ActorKind.SERVICE}:
        _require(work, incident, name, active(work, incident), doing=trigger.TRIGGERS[name])


def require_fired(work: Work, incident: Incident, values: Mapping[str, Any]) -> None:
    """Refuse a change of fields that fires a trigger which another desk owns."""
    if incident.major:
        before = {name: getattr(incident, name) for name in values}
        for name in trigger.fired_by(before, values):
            require(work, incident, name)


def _require(work: Work, incident: Incident, name: str, held: MajorIncident | None, *, doing: str) -> None:
    if work.actor.kind not in {ActorKind.PERSON, ActorKind.SERVICE}:
        return
    owner = ((held.triggers or {}).get(name) if held is not None and name else "") or incident.trigger_owner
    if not desks.closed(owner) or desks.acts_for(work.actor, owner, incident.organisation):
        return
    if doing == "hand over" and desks.acts_for(work.actor, incident.trigger_owner, incident.organisation):
        return
    mine = desks.desk_of(work.actor, incident.organisation)
    incident_id, who = incident.id, work.actor

    def on_record(later: Work) -> None:
        _offer(later, incident_id, name or "all", owner=owner, wanted_by=mine or who.label or who.id)

    raise Forbidden(
        f"In this major incident {owner} owns the trigger “{(name or 'hand over').replace('_', ' ')}”, not {mine or 'you'}.",
        remedy=f"Ask {owner} to {doing}; a hand-over has been offered to them.",
        on_record=on_record,
    )


def _offer(work: Work, incident_id: str, name: str, *, owner: str, wanted_by: str) -> None:
    incident = Incident.objects.get(id=incident_id)
    text = f"Refused to {wanted_by}: the trigger {name.replace('_', ' ')}, which {owner} owns. A hand-over is offered."
    why = [
        Reason(
            rule="incident.trigger.refused",
            text=text,
            facts={"trigger": name, "owner": owner, "wanted_by": wanted_by},
        )
    ]
    open_already = TriggerHandover.objects.filter(
        organisation=incident.organisation,
        record=incident.id,
        trigger=name,
        wanted_by=wanted_by,
        state="offered",
    )
    if not open_already.exists():
        work.create(
            TriggerHandover,
            organisation=incident.organisation,
            values={
                "record": incident.id,
                "trigger": name,
                "owner": owner,
                "wanted_by": wanted_by,
                "asked_by": work.actor.id,
                "state": "offered",
                "asked_at": work.now,
            },
            why=why,
            trace=incident.trace,
        )
    work.note(incident, why=why)


def handovers(incident: Incident) -> list[TriggerHandover]:
    """Return the triggers that were refused in an incident, the newest first."""
    return list(
        TriggerHandover.objects.filter(organisation=incident.organisation, record=incident.id).order_by(
            "-id"
        )[:100]
    )


def handover(handover_id: str) -> TriggerHandover:
    """Return an offered hand-over or raise `NotFound`."""
    found: TriggerHandover | None = TriggerHandover.objects.filter(id=handover_id).first()
    if found is None:
        raise NotFound(f"There is no hand-over {handover_id}.", remedy="List those of the incident.")
    return found


# The room ------------------------------------------------------------------------------------------------


def cast(work: Work, incident: Incident, people: Mapping[str, str]) -> MajorIncident:
    """Say who plays which part; an empty name leaves the part open."""
    held = active(work, incident)
    if held is None:
        raise Conflict("It is no major incident.", remedy="Declare it first.")
    unknown = [name for name in people if name not in PARTS]
    if unknown:
        raise Rejected(
            f"{unknown[0]!r} is not a part.",
            problems=(Problem(path="/people", message="unknown", remedy=f"Use {', '.join(PARTS)}."),),
        )
    table = {**(held.people or {}), **{name: each.strip()[:120] for name, each in people.items()}}
    said = ", ".join(f"{name.replace('_', ' ')}: {each or 'open'}" for name, each in people.items())
    why = [Reason(rule="incident.major.people", text=f"Parts given: {said}.")]
    return work.change(held, {"people": {name: each for name, each in table.items() if each}}, why=why)


def tell(work: Work, incident: Incident, text: str, *, next_in: int | None = None) -> Comment:
    """Tell those concerned how it stands: a public comment that reaches every system; the next update gets its time."""
    held = active(work, incident)
    if held is None:
        raise Conflict("It is no major incident.", remedy="Comment on it instead.")
    require(work, incident, "communicate")
    every = microseconds(_spec().update_every) if next_in is None else next_in
    said = comment(
        work,
        incident,
        text,
        public=True,
        why=[Reason(rule="incident.major.update", text="An update to those concerned.")],
    )
    following: Instant | None = Instant(work.now + every) if every else None
    why = [Reason(rule="incident.major.update", text="Those concerned were told how it stands.")]
    work.change(held, {"updated_last": work.now, "update_due": following}, why=why)
    return said
