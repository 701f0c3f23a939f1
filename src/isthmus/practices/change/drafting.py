"""Raising and editing changes, and looking at their impact before anybody is asked to approve."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from isthmus.hub.sync import loading
from isthmus.kernel.errors import Conflict, NotFound, Problem, Rejected
from isthmus.kernel.instant import Instant
from isthmus.kernel.kinds.change import CHANGE_TYPES
from isthmus.kernel.kinds.incident import LEVELS
from isthmus.kernel.record import Reason
from isthmus.ledger.work import Work
from isthmus.practices.approval import service as approval
from isthmus.practices.change import proof
from isthmus.practices.change.blueprint import ChangeSection
from isthmus.practices.change.models import Change
from isthmus.practices.change.rules import risk, states
from isthmus.practices.change.rules.content import CONTENT_FIELDS, content_hash
from isthmus.practices.change.rules.risk import Exposure
from isthmus.practices.configuration import service as configuration
from isthmus.practices.incident import service as incidents

TEXT_CHARACTERS_MAX = 20_000
TITLE_CHARACTERS_MAX = 255
CIS_MAX = 200
OVERLAPS_LISTED_MAX = 50

GIVEN = frozenset(
    {
        "title", "description", "type", "model", "window_start", "window_end", "cis", "environment", "artefact_hash",
        "implementation_plan", "backout_plan", "assignment_group", "priority", "incident",
    }
)  # fmt: skip
"""Fields that a caller may give; all others follow from what happens to the change."""

_CHOICES = {"type": CHANGE_TYPES, "priority": LEVELS}
_TEXTS = {
    "description": TEXT_CHARACTERS_MAX,
    "implementation_plan": TEXT_CHARACTERS_MAX,
    "backout_plan": TEXT_CHARACTERS_MAX,
}


def load(work: Work, reference: str) -> Change:
    """Return a change by id or number, within the open scope: the instance that this Work goes on with."""
    held = work.pending.get(reference)
    if held is not None and isinstance(held.record, Change):
        return held.record
    found = find(reference)
    if found is None:
        raise NotFound("There is no such change, or none that you may see.")
    held = work.pending.get(found.id)
    # Sync loads records before it judges evidence about them: one Work goes on with one instance.
    shared = held.record if held is not None else loading.held_by(work).records.get(found.id)
    return shared if isinstance(shared, Change) else found


def find(reference: str, organisation: str = "") -> Change | None:
    """Return a change by id or number; a number that several visible organisations use names none."""
    rows = Change.objects.filter(organisation=organisation) if organisation else Change.objects.all()
    found = list(rows.filter(id=reference)[:1]) or list(rows.filter(number=reference.strip().upper())[:2])
    return found[0] if len(found) == 1 else None


def create(work: Work, values: Mapping[str, Any], *, organisation: str) -> Change:
    """Raise a change (state `new`); the actor is its requester. `Rejected` names each wrong field."""
    given = _tame(work, values, organisation, partial=False)
    whole = {**given, "type": given.get("type") or "normal"}
    _require_trigger(work, whole)
    change = work.create(
        Change,
        organisation=organisation,
        values={
            **whole, "state": "new", "authorisation": "not_requested", "requester": approval.person_behind(work.actor),
            "content_hash": content_hash(whole),
        },
        why=[Reason(rule="change.create", text=f"Raised by {work.actor.label or work.actor.id}.")],
    )  # fmt: skip
    _note_gaps(work, change)
    return change


def update(work: Work, change: Change, values: Mapping[str, Any]) -> Change:
    """Edit a change. Editing content after an approval voids it; content of a started change stays."""
    given = _tame(work, values, change.organisation, partial=True)
    different = {
        name: value for name, value in given.items() if (getattr(change, name) or None) != (value or None)
    }
    if change.state in states.TERMINAL and different:
        raise Conflict(f"{change.number} is {change.state}.", remedy="Raise a new change.")
    content = sorted(set(different) & set(CONTENT_FIELDS))
    if content and change.state not in states.EDITABLE:
        raise Conflict(
            f"{change.number} is in state {change.state!r}: {', '.join(content)} cannot be edited any more.",
            remedy="Raise a new change.",
        )
    if "type" in different and change.state != "new":
        raise Conflict(
            "The type is settled when the change is submitted.", remedy="Cancel it and raise a new one."
        )
    _check_window({**{name: getattr(change, name) for name in ("window_start", "window_end")}, **given})
    if {"type", "incident"} & different.keys():
        _require_trigger(work, {name: getattr(change, name) for name in ("type", "incident")} | different)
    work.change(
        change,
        different,
        why=[Reason(rule="change.update", text=f"Edited by {work.actor.label or work.actor.id}.")],
    )
    _note_gaps(work, change)
    return change


def assess(work: Work, change: Change, section: ChangeSection) -> Change:
    """Look at the map: write the impact report and the risk that follows.

    The report carries the version of the map, whom the change reaches, what the services are promised, open
    incidents there and other changes in the window.
    """
    held = configuration.snapshot_of(change.organisation)
    report = configuration.impact(change.cis or [], organisation=change.organisation)
    exposure = Exposure(
        dependants=report.dependants_count, users=report.users, criticality=report.criticality, shared=bool(report.shared),
        unresolved=bool(report.unresolved),
    )  # fmt: skip
    level, reasons = risk.assess(exposure, section.risk)
    told: dict[str, Any] = msgspec.to_builtins(report)
    told |= {
        "at": work.now,
        "risk": level,
        "incidents": msgspec.to_builtins(
            incidents.open_on(change.organisation, {*report.cis, *held.graph.affected(report.cis)})
        ),
        "targets": msgspec.to_builtins(incidents.promised(report.services)),
        "changes": _overlapping(change, {*report.cis, *held.graph.affected(report.cis)}, work.now),
    }
    work.change(
        change,
        {"impact_report": told, "risk": level},
        why=[
            Reason(rule="change.assess", text=f"Impact read from the map {report.graph_version}."),
            *reasons,
        ],
    )
    return change


def outdated(report: Any, references: list[str], organisation: str, *, by: str) -> bool:
    """Return whether an impact report no longer speaks about the map. `by`: `map` (any edit) or `path`."""
    if not isinstance(report, dict):
        return True
    graph = configuration.graph(organisation)
    if report.get("graph_version") == graph.version:
        return False
    if by == "map":
        return True
    resolved = configuration.resolve(references, organisation=organisation)
    return bool(
        report.get("path_version") != graph.subgraph_version(sorted({ci for ci in resolved.values() if ci}))
    )


def _overlapping(change: Change, reach: set[str], now: Instant) -> list[dict[str, Any]]:
    """Return other changes whose window overlaps this one's and whose items lie within its reach."""
    from isthmus.practices.change import schedule

    if change.window_start is None or change.window_end is None:
        return []
    found: dict[str, dict[str, Any]] = {}
    for ci, planned in schedule.current(change.organisation, now).by_item().items():
        for each in planned:
            clash = (
                each.starts_at is not None
                and each.ends_at is not None
                and each.starts_at < change.window_end
                and change.window_start < each.ends_at
            )
            if ci in reach and clash and each.change != change.id and each.state not in states.TERMINAL:
                found[each.change] = {
                    "change": each.change,
                    "number": each.number,
                    "starts_at": each.starts_at,
                    "ends_at": each.ends_at,
                    "ci": ci,
                }
    return [found[key] for key in sorted(found)][:OVERLAPS_LISTED_MAX]


def _tame(work: Work, values: Mapping[str, Any], organisation: str, *, partial: bool) -> dict[str, Any]:
    """Return canonical values of the given fields, or raise `Rejected` naming each problem."""
    problems: list[Problem] = []
    found: dict[str, Any] = {}

    def no(name: str, message: str, remedy: str) -> None:
        problems.append(Problem(path=f"/{name}", message=message, remedy=remedy))

    for name, value in values.items():
        if (fault := _fault(name, value)) is not None:
            no(name, *fault)
            continue
        found[name] = value.strip() if isinstance(value, str) else value
    if (not partial or "title" in values) and not found.get("title"):
        no("title", "A title is needed.", "Say in a few words what is changed.")
    if "cis" in found:
        found["cis"] = _references(found["cis"], organisation, no)
    if found.get("incident"):
        found["incident"] = _incident(work, found["incident"], organisation, no)
    if problems:
        raise Rejected(
            "The change is not accepted.", problems=tuple(problems), remedy="Correct the fields named."
        )
    if not partial:
        _check_window(found)
    return found


def _fault(name: str, value: Any) -> tuple[str, str] | None:
    """Return (message, remedy) if this field cannot be given or has the wrong shape; lists are read later."""
    if name not in GIVEN:
        return f"{name!r} cannot be given.", f"Possible: {', '.join(sorted(GIVEN))}."
    if name in {"window_start", "window_end"}:
        right = value is None or (isinstance(value, int) and not isinstance(value, bool) and value >= 0)
        return None if right else ("An instant is needed.", "Use RFC 3339.")
    possible = _CHOICES.get(name)
    if possible is not None and value and value not in possible:
        return f"{value!r} is not possible.", f"Use {', '.join(possible)}."
    limit = _TEXTS.get(name, TITLE_CHARACTERS_MAX)
    if name != "cis" and (not isinstance(value, str) or len(value) > limit):
        return f"A text of at most {limit} characters is needed.", "Shorten it."
    return None


def _check_window(values: Mapping[str, Any]) -> None:
    start, end = values.get("window_start"), values.get("window_end")
    if start is not None and end is not None and start >= end:
        raise Rejected(
            "The window ends before it begins.",
            problems=(Problem(path="/window_end", message="Not after window_start.", remedy="Swap them."),),
        )


def _references(value: Any, organisation: str, no: Any) -> list[str]:
    """Return ids of the items named; a name that the map does not know stays as it is, and resolves on arrival."""
    if (
        not isinstance(value, list)
        or not all(isinstance(each, str) and each.strip() for each in value)
        or len(value) > CIS_MAX
    ):
        no("cis", f"A list of at most {CIS_MAX} items is needed.", "Name each by id, key, name or alias.")
        return []
    resolved = configuration.resolve([each.strip() for each in value], organisation=organisation)
    return sorted({ci or reference for reference, ci in resolved.items()})


def _incident(work: Work, reference: str, organisation: str, no: Any) -> str:
    try:
        found = incidents.get(work, reference)
    except NotFound:
        found = None
    if found is None or found.organisation != organisation:
        no("incident", f"There is no incident {reference!r}.", "Cite an incident by number or id.")
        return ""
    return str(found.id)


def _require_trigger(work: Work, values: Mapping[str, Any]) -> None:
    """In a major incident one desk alone raises emergency changes for it."""
    if values.get("type") == "emergency" and values.get("incident"):
        incidents.require_own_trigger(work, incidents.get(work, values["incident"]), "emergency_change")


def _note_gaps(work: Work, change: Change) -> None:
    for reference, ci in configuration.resolve(change.cis or [], organisation=change.organisation).items():
        if not ci:
            configuration.gap(work, reference, organisation=change.organisation, found_by=change.id)


def section() -> ChangeSection:
    """Return the section in force."""
    return proof.section()
