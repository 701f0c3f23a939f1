"""What happens to an open incident: edits, resolution, reopening, closing, absorption, major incidents."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from isthmus import blueprint
from isthmus.hub import due
from isthmus.kernel.actor import ActorKind
from isthmus.kernel.duration import microseconds
from isthmus.kernel.errors import Problem, Rejected
from isthmus.kernel.instant import Instant
from isthmus.kernel.kinds.incident import HOLD_REASONS, INCIDENT, LEVELS
from isthmus.kernel.record import Reason
from isthmus.ledger.work import Work
from isthmus.practices.incident import escalating, guards, major, resolution, reviewing
from isthmus.practices.incident.blueprint import IncidentSection, table
from isthmus.practices.incident.loading import chunks
from isthmus.practices.incident.models import Comment, Incident
from isthmus.practices.incident.opening import closing_times
from isthmus.practices.incident.rules import priority, recurrence, states, steps

CLOSE = "incident.close"
_FIXED = frozenset(
    {
        "number",
        "opened_at",
        "resolved_at",
        "closed_at",
        "respond_by",
        "resolve_by",
        "collision_checked",
        "correlation_key",
        "gathering",
        "merged_into",
        "problem",
        "escalation_path",
        "escalation_level",
    }
)


def _section() -> IncidentSection:
    found: IncidentSection = blueprint.current().section("incident")
    return found


def update(
    work: Work,
    incident: Incident,
    values: Mapping[str, Any],
    *,
    why: Sequence[Reason] = (),
    occurred_at: Instant | None = None,
    cause: str = "",
    partner: bool = False,
) -> Incident:
    """Change fields; a state moves only along the table, and what follows from a field follows here.

    A new impact or urgency gives a new priority (unless one is given); its targets are kept by service level management. What a
    `partner` says (as merge took it) has happened there already: its state may skip steps, and nothing that it
    did not say is derived from it.
    """
    if not partner:
        _check_fields(values)
        major.require_fired(work, incident, values)
    partner = partner or work.actor.kind is ActorKind.PARTNER
    section = _section()
    wanted = dict(values)
    reasons = list(why) or [
        Reason(rule="incident.update", text=f"Changed by {work.actor.label or work.actor.id}.")
    ]
    if incident.hold_reason and wanted.get("state", incident.state) != "on_hold":
        wanted["hold_reason"] = ""
    if wanted.get("state", incident.state) != incident.state:
        wanted, more = _move(work, incident, wanted, section, partner=partner)
        reasons += more
    levels = {name: wanted.get(name) or getattr(incident, name) for name in ("impact", "urgency")}
    if (
        not partner
        and "priority" not in wanted
        and ({"impact", "urgency"} & wanted.keys())
        and all(levels.values())
    ):
        wanted["priority"] = priority.from_levels(table(section), levels["impact"], levels["urgency"])
        reasons.append(
            Reason(
                rule="incident.priority",
                text=f"Priority {wanted['priority']}: impact {levels['impact']} × urgency {levels['urgency']}.",
            )
        )
    if wanted.get("priority", incident.priority) != incident.priority:
        path, more = escalating.path_again(work, incident, wanted["priority"])
        if path != incident.escalation_path:
            wanted["escalation_path"] = path
            reasons += more
    return work.change(
        incident,
        wanted,
        why=reasons,
        occurred_at=occurred_at,
        cause=cause,
        versions={"blueprint": str(work.generation)},
    )


def _check_fields(values: Mapping[str, Any]) -> None:
    problems = [
        Problem(path=f"/{name}", message="cannot be set", remedy="Leave it out.")
        for name in values
        if name in _FIXED or name not in INCIDENT.by_name
    ]
    problems += [
        Problem(path=f"/{name}", message=f"{values[name]!r} is not a level", remedy="Use 1 (highest) to 4.")
        for name in ("impact", "urgency", "priority")
        if name in values and values[name] not in (*LEVELS, "")
    ]
    if values.get("hold_reason", "") not in (*HOLD_REASONS, ""):
        problems.append(
            Problem(path="/hold_reason", message="unknown", remedy=f"Use {', '.join(HOLD_REASONS)}.")
        )
    if "steps" in values:
        problems += steps.problems(values["steps"])
    if "title" in values and not str(values["title"]).strip():
        problems.append(Problem(path="/title", message="is empty", remedy="Give a title."))
    if problems:
        raise Rejected("The incident was not changed.", problems=tuple(problems))


def _move(
    work: Work, incident: Incident, wanted: dict[str, Any], section: IncidentSection, *, partner: bool
) -> tuple[dict[str, Any], list[Reason]]:
    """Check a change of state and add what goes with it."""
    old, new = incident.state, str(wanted["state"])
    steps = states.check(old, new, partner=partner)
    checked = incident.collision_checked or {}
    # The hub reopens on facts, and a partner's move has happened already: only people can still be told.
    if work.actor.kind in {ActorKind.PERSON, ActorKind.SERVICE}:
        recurrence.require_check(
            is_recurring=bool(checked.get("due")), checked="checked_at" in checked, entering=new
        )
    reasons = guards.passed(work, incident, new, partner=partner)
    if len(steps) > 1:
        reasons.append(
            Reason(
                rule="incident.states",
                text=f"The partner went from {old} to {new}; that passes {' → '.join(steps[:-1])}.",
            )
        )
    wanted |= closing_times(new, work.now)
    if new == "resolved":
        due.schedule(
            work,
            CLOSE,
            incident.id,
            Instant(work.now + microseconds(section.close_after)),
            organisation=incident.organisation,
        )
    elif old == "resolved":
        due.cancel(work, CLOSE, incident.id, organisation=incident.organisation)
    if old == "resolved" and new in states.OPEN:
        wanted = {"resolution_code": "", "resolution_notes": "", **wanted}
    if new == "resolved" and incident.major:
        reviewing.owe(work, incident)
    if new in states.FINAL and not incident.merged_into:
        wanted["gathering"] = False
    if partner and "resolved" in steps:
        said = {
            name: wanted.get(name, getattr(incident, name))
            for name in ("resolution_code", "resolution_notes")
        }
        missing, more = resolution.left_out(said, section)
        wanted |= missing
        reasons += more
    if new in states.FINAL and incident.major:
        wanted["trigger_owner"] = ""
        ended = Reason(rule="incident.major", text="The ownership of triggers ends with the major incident.")
        reasons.append(ended)
        major.end(work, incident, [ended])
    return wanted, reasons


def resolve(work: Work, incident: Incident, *, code: str, notes: str, why: Sequence[Reason] = ()) -> Incident:
    """Declare the service restored. A resolution says how: code and notes are needed."""
    if not code.strip() or not notes.strip():
        raise Rejected(
            "A resolution needs a code and notes.",
            remedy="Say what restored the service.",
            problems=tuple(
                Problem(path=f"/{name}", message="missing")
                for name, value in (("resolution_code", code), ("resolution_notes", notes))
                if not value.strip()
            ),
        )
    reasons = why or [
        Reason(rule="incident.resolve", text=f"Resolved by {work.actor.label or work.actor.id}.")
    ]
    return update(
        work, incident, {"state": "resolved", "resolution_code": code, "resolution_notes": notes}, why=reasons
    )


def reopen(work: Work, incident: Incident, *, why: Sequence[Reason] = ()) -> Incident:
    """Take a resolved incident up again; it stays the same incident, also in the figures."""
    reasons = why or [
        Reason(rule="incident.reopen", text=f"Reopened by {work.actor.label or work.actor.id}.")
    ]
    return update(work, incident, {"state": "in_progress"}, why=reasons)


def close(work: Work, incident: Incident, *, why: Sequence[Reason] = ()) -> Incident:
    """Confirm that a resolved incident is finished. This is final."""
    reasons = why or [Reason(rule="incident.close", text=f"Closed by {work.actor.label or work.actor.id}.")]
    return update(work, incident, {"state": "closed"}, why=reasons)


def set_priority(
    work: Work, incident: Incident, impact: str, urgency: str, *, why: Sequence[Reason] = ()
) -> Incident:
    """Set the levels; the priority follows from the table."""
    return update(work, incident, {"impact": impact, "urgency": urgency}, why=why)


def raise_severity(work: Work, incident: Incident, severity: str, *, why: Sequence[Reason]) -> Incident:
    """Raise the urgency to what a worse alert asks for; never lower it."""
    urgency = table(_section()).urgency_by_severity.get(severity, "")
    if urgency and incident.state in states.OPEN and urgency < (incident.urgency or "9"):
        return update(work, incident, {"urgency": urgency}, why=why)
    return incident


def absorb(work: Work, child: Incident, parent: Incident, *, why: Sequence[Reason]) -> Incident:
    """Put an incident under another that turned out to be its cause.

    One that nobody has touched is cancelled; where people work, it stays open and only names its parent.
    """
    values: dict[str, Any] = {"parent": parent.id}
    untouched = child.state == "new" and not human_work([child])[child.id]
    if untouched and not guards.held_against(child, "cancelled"):
        values["state"] = "cancelled"
    return update(work, child, values, why=why)


def settle(work: Work, incidents: Sequence[Incident], *, why: Sequence[Reason]) -> None:
    """Resolve incidents whose alerts have all cleared and stayed clear, unless people have worked on them."""
    worked = human_work(incidents)
    for incident in incidents:
        if incident.state not in states.OPEN:
            continue
        if worked[incident.id]:
            text = f"All alerts have cleared, but people have worked on it ({worked[incident.id]}): left open for them to resolve."
            work.note(incident, why=[*why, Reason(rule="incident.settle.human_work", text=text)])
            continue
        resolve(work, incident, code="cleared", notes="All alerts cleared and stayed clear.", why=why)


def human_work(incidents: Iterable[Incident]) -> dict[str, str]:
    """Return, per incident, what shows human work ("" for none), as the blueprint counts it."""
    counted = _section().human_work
    found: dict[str, str] = {}
    for incident in incidents:
        signs = []
        if "assignee" in counted and incident.assignee:
            signs.append("it has an assignee")
        if "state" in counted and incident.state not in {"new", *states.FINAL}:
            signs.append(f"it is {incident.state}")
        found[incident.id] = " and ".join(signs)
    if "comment" in counted:
        for chunk in chunks(found):
            rows = Comment.objects.filter(record__in=chunk, state="shown").exclude(author="", connection="")
            for record in rows.values_list("record", flat=True):
                found[record] = found[record] or "there are comments"
    return found
