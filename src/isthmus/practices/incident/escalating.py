"""Escalating an incident by hand: to a group with more expertise, or to somebody with more authority."""

from __future__ import annotations

from isthmus import blueprint
from isthmus.kernel.errors import Rejected
from isthmus.kernel.record import Reason
from isthmus.ledger.work import Work
from isthmus.practices.incident import hooks, major, surroundings
from isthmus.practices.incident.blueprint import IncidentSection, escalation_rules, path_of
from isthmus.practices.incident.models import Incident
from isthmus.practices.incident.rules import escalation, states
from isthmus.practices.incident.rules.assignment import Place

KINDS = ("functional", "hierarchical")


def _section() -> IncidentSection:
    found: IncidentSection = blueprint.current().section("incident")
    return found


def path_for(work: Work, place: Place, priority: str) -> tuple[str, list[Reason]]:
    """Return the path that belongs to an incident at `place`, with the reason."""
    section = _section()
    if not section.escalation and not section.default_path:
        return "", []
    name, reason = escalation.choose(
        escalation_rules(section), section.default_path, place, priority, work.now
    )
    return name, [reason] if reason else []


def path_again(work: Work, incident: Incident, priority: str) -> tuple[str, list[Reason]]:
    """Return the path after a new priority; the place is read from the map."""
    section = _section()
    if not section.escalation and not section.default_path:
        return incident.escalation_path, []
    where = (incident.ci, incident.service)
    place = surroundings.of(incident.organisation, [where])[where]
    return path_for(work, place.assignment(), priority)


def path(incident: Incident) -> escalation.Path | None:
    """Return the escalation path that is attached to an incident."""
    return path_of(_section(), incident.escalation_path)


def escalate(work: Work, incident: Incident, kind: str, *, reason: str) -> Incident:
    """Take one step along the path; whoever registered hears of it."""
    if kind not in KINDS:
        raise Rejected(f"{kind!r} is no kind of escalation.", remedy=f"Use {' or '.join(KINDS)}.")
    if not reason.strip():
        raise Rejected("An escalation needs a reason.", remedy="Say why, in a sentence.")
    if incident.state not in states.OPEN:
        raise Rejected("Only an open incident is escalated.", remedy="Reopen it first.")
    major.require(work, incident, "escalate")
    held = path(incident)
    level = incident.escalation_level or 0
    if kind == "functional":
        to = escalation.functional(held, incident.assignment_group)
        values: dict[str, object] = {"assignment_group": to, "assignee": ""}
    else:
        level, to = escalation.hierarchical(held, level)
        values = {"escalation_level": level}
    why = [
        Reason(
            rule=f"incident.escalated.{kind}",
            text=f"Escalated ({kind}) to {to}. {reason}".strip(),
            facts={"path": incident.escalation_path, "to": to, "level": level},
        )
    ]
    changed = work.change(incident, values, why=why)
    found = hooks.Escalated(
        incident=changed, kind=kind, level=level, to=to, path=incident.escalation_path, reason=reason
    )
    hooks.escalated(work, found)
    return changed
