"""Raising and editing problems, their way from state to state, and what is done about their cause."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import Any, Final

from isthmus.kernel.errors import Conflict, NotFound, Problem, Rejected
from isthmus.kernel.record import Json, Reason
from isthmus.ledger.ids import source
from isthmus.ledger.work import Work
from isthmus.practices.incident import service as incidents
from isthmus.practices.problem import taming
from isthmus.practices.problem.models import Problem as ProblemRecord
from isthmus.practices.problem.rules import closing, states

ACTIONS_MAX: Final = 100
ACTION_CHARACTERS_MAX: Final = 2_000
INCIDENTS_MAX: Final = 500
"""Most incidents of one problem that are listed, the newest first."""


def who(work: Work) -> str:
    return work.actor.label or work.actor.id


def because(rule: str, text: str, **facts: Json) -> list[Reason]:
    return [Reason(rule=f"problem.{rule}", text=text, facts=facts)]


def create(
    work: Work, values: Mapping[str, Any], *, organisation: str, incident: incidents.Incident | None = None
) -> ProblemRecord:
    """Raise a problem. Out of an `incident` it takes what is not given, and the incident names it from then on."""
    given = dict(values)
    if incident is not None:
        given = {**_from_incident(incident), **given}
    tamed = taming.problem(given, organisation=organisation, partial=False)
    why = because("create", f"Raised by {who(work)}.")
    if incident is not None:
        why = because("create", f"Raised by {who(work)} out of {incident.number}.", incident=incident.id)
    made = work.create(
        ProblemRecord,
        organisation=organisation,
        values={**tamed, "state": states.INITIAL, "actions": [], "opened_at": work.now},
        why=why,
        trace=incident.trace if incident is not None else "",
    )
    if incident is not None:
        link(work, made, incident)
    return made


def _from_incident(incident: incidents.Incident) -> dict[str, Any]:
    found = {
        "title": incident.title,
        "priority": incident.priority,
        "service": next(iter(taming.on_map(incident.organisation, [incident.service])), ""),
        "cis": taming.on_map(incident.organisation, [incident.ci]),
        "root_cause": incident.root_cause,
        "cause_code": incident.cause_code,
        "assignment_group": incident.assignment_group,
    }
    return {name: value for name, value in found.items() if value}


def update(work: Work, problem: ProblemRecord, values: Mapping[str, Any]) -> ProblemRecord:
    """Edit a problem; one that is final stays as it is."""
    _still_open(problem)
    tamed = taming.problem(values, organisation=problem.organisation, partial=True)
    return work.change(problem, tamed, why=because("update", f"Edited by {who(work)}."))


def assess(work: Work, problem: ProblemRecord) -> ProblemRecord:
    """Say that it is worth analysing: it has been looked at and ranked."""
    return _move(work, problem, "assess", {}, f"Assessed by {who(work)}.")


def find_cause(work: Work, problem: ProblemRecord, *, cause_code: str, root_cause: str) -> ProblemRecord:
    """Say what causes it: of which sort, and in words."""
    values = {
        "cause_code": taming.text_of(cause_code, "cause_code", most=taming.WORD_CHARACTERS_MAX),
        "root_cause": taming.text_of(root_cause, "root_cause"),
    }
    return _move(work, problem, "find_cause", values, f"{who(work)} says what causes it.")


def resolve(work: Work, problem: ProblemRecord, *, resolution: str) -> ProblemRecord:
    """Say how the cause was removed, or why it is lived with."""
    values = {"resolution": taming.text_of(resolution, "resolution"), "resolved_at": work.now}
    return _move(work, problem, "resolve", values, f"Resolved by {who(work)}.")


def close(work: Work, problem: ProblemRecord) -> ProblemRecord:
    """Confirm that it is finished. This is final, and needs the analysis: a cause, and at least one action."""
    states.after("close", problem.state)
    lacking = closing.missing(
        cause_code=problem.cause_code, root_cause=problem.root_cause, actions=actions_of(problem)
    )
    if lacking:
        names = " and ".join(each.path.removeprefix("/").replace("_", " ") for each in lacking)
        raise Rejected(
            f"{problem.number} cannot close: its analysis lacks {names}.",
            remedy="Name the cause, and what is done about it.",
            problems=tuple(lacking),
        )
    return _move(work, problem, "close", {"closed_at": work.now}, f"Closed by {who(work)}.")


def reopen(work: Work, problem: ProblemRecord, *, reason: str) -> ProblemRecord:
    """Take a resolved problem up again: the cause is not removed after all."""
    text = taming.text_of(reason, "reason", most=ACTION_CHARACTERS_MAX)
    return _move(work, problem, "reopen", {"resolved_at": None}, f"Reopened by {who(work)}: {text}")


def cancel(work: Work, problem: ProblemRecord, *, reason: str) -> ProblemRecord:
    """Give a problem up that is none, or is another's. Its incidents keep naming it."""
    text = taming.text_of(reason, "reason", most=ACTION_CHARACTERS_MAX)
    return _move(work, problem, "cancel", {"closed_at": work.now}, f"Cancelled by {who(work)}: {text}")


def _move(
    work: Work, problem: ProblemRecord, move: str, values: Mapping[str, Any], text: str
) -> ProblemRecord:
    after = states.after(move, problem.state)
    return work.change(problem, {**values, "state": after}, why=because(move, text))


# What is done about the cause ---------------------------------------------------------------------------------


def actions_of(problem: ProblemRecord) -> list[dict[str, Any]]:
    """Return the actions: `{"id", "text", "owner", "due", "done", "added_at", "done_at"}`; none once erased."""
    held = problem.actions
    return [dict(each) for each in held] if isinstance(held, list) else []


def add_action(work: Work, problem: ProblemRecord, *, text: str, owner: str, due: str = "") -> ProblemRecord:
    """Add something to be done about the cause: what, who, and by when (a date, or "")."""
    _still_open(problem)
    held = actions_of(problem)
    if len(held) >= ACTIONS_MAX:
        raise Conflict(f"A problem has at most {ACTIONS_MAX} actions.", remedy="Raise another problem.")
    action: dict[str, Json] = {
        "id": source.new_id(),
        "text": taming.text_of(text, "text", most=ACTION_CHARACTERS_MAX),
        "owner": taming.text_of(owner, "owner", most=taming.WORD_CHARACTERS_MAX),
        "due": _date(due),
        "done": False,
        "added_at": work.now,
        "done_at": None,
    }
    return work.change(
        problem, {"actions": [*held, action]}, why=because("action", f"Action added by {who(work)}.")
    )


def settle_action(work: Work, problem: ProblemRecord, action_id: str, *, done: bool) -> ProblemRecord:
    """Say that an action is done, or that it is not after all. Also of a closed problem: its actions go on."""
    held = actions_of(problem)
    found = next((each for each in held if each["id"] == action_id), None)
    if found is None:
        raise NotFound("There is no such action.", remedy="List the actions of the problem.")
    found |= {"done": done, "done_at": work.now if done else None}
    text = f"{who(work)} says that an action is {'done' if done else 'still to do'}."
    return work.change(problem, {"actions": held}, why=because("action", text, action=action_id))


def _date(text: str) -> str:
    try:
        return dt.date.fromisoformat(text.strip()).isoformat() if text.strip() else ""
    except ValueError as cause:
        raise Rejected(
            f"{text[:40]!r} is no date.",
            problems=(Problem(path="/due", message="not a date", remedy="Write 2026-12-24."),),
        ) from cause


def _still_open(problem: ProblemRecord) -> None:
    if problem.state in states.FINAL:
        raise Conflict(f"{problem.number} is {problem.state}.", remedy="Raise a new problem.")


# Its incidents ------------------------------------------------------------------------------------------------


def link(work: Work, problem: ProblemRecord, incident: incidents.Incident) -> incidents.Incident:
    """Have an incident name this problem as its cause; one that named another names this one from then on."""
    if incident.organisation != problem.organisation:
        raise Rejected("They belong to different organisations.", remedy="Raise a problem there.")
    if problem.state == "cancelled":
        raise Conflict(f"{problem.number} is cancelled.", remedy="Name another problem.")
    text = f"{who(work)} says that a problem is behind it."
    return incidents.blame(work, incident, problem.id, because("link", text, problem=problem.id))


def unlink(work: Work, problem: ProblemRecord, incident: incidents.Incident) -> incidents.Incident:
    """Have an incident no longer name this problem."""
    if incident.problem != problem.id:
        raise NotFound(f"{incident.number} does not name {problem.number}.", remedy="List its incidents.")
    text = f"{who(work)} says that the problem is not behind it."
    return incidents.blame(work, incident, "", because("unlink", text, problem=problem.id))


def incidents_of(problem: ProblemRecord) -> list[incidents.Incident]:
    """Return the incidents that name a problem, the newest first, at most `INCIDENTS_MAX`."""
    return incidents.caused_by(problem.organisation, problem.id, most=INCIDENTS_MAX)
