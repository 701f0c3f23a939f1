"""Section `incident` of the blueprint: priority table, assignment, targets, when to resolve and reopen."""

from __future__ import annotations

import datetime as dt
from typing import Any, Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec

from isthmus.blueprint import sections
from isthmus.kernel import duration
from isthmus.kernel.duration import microseconds
from isthmus.kernel.errors import Problem
from isthmus.kernel.kinds.incident import LEVELS
from isthmus.practices.incident.rules import assignment, escalation, priority, targets, trigger

DEFAULT_MATRIX: Final = {
    "1": {"1": "1", "2": "1", "3": "2", "4": "3"},
    "2": {"1": "1", "2": "2", "3": "3", "4": "3"},
    "3": {"1": "2", "2": "3", "3": "3", "4": "4"},
    "4": {"1": "3", "2": "3", "3": "4", "4": "4"},
}
DEFAULT_TARGETS: Final = {"1": (15, 240), "2": (30, 480), "3": (240, 1440), "4": (480, 4320)}
"""Minutes to respond and to resolve."""


class HoursSpec(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Weekly hours: `days` of mon..sun, `since`/`until` as HH:MM in `zone`; may run past midnight."""

    days: list[str] = msgspec.field(default_factory=lambda: list(assignment.DAYS))
    since: str = "00:00"
    until: str = "24:00"
    zone: str = "UTC"


class AssignmentSpec(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Assign to `group` where everything that is given fits (names as on the map)."""

    name: str
    group: str
    services: list[str] = []
    cis: list[str] = []
    ci_classes: list[str] = []
    environments: list[str] = []
    priorities: list[str] = []
    hours: HoursSpec | None = None


class TargetSpec(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Durations around the clock (PT15M), from the opening."""

    respond: dt.timedelta
    resolve: dt.timedelta


class UsersSpec(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """From `at_least` users on, impact is at least `impact`. Test services are never raised."""

    at_least: int
    impact: str


class EscalationSpec(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Attach the escalation `path` where everything that is given fits (names as on the map)."""

    name: str
    path: str
    services: list[str] = []
    cis: list[str] = []
    ci_classes: list[str] = []
    environments: list[str] = []
    priorities: list[str] = []
    hours: HoursSpec | None = None


class PathSpec(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`functional`: groups in the order of their expertise; `hierarchical`: who is told at each level."""

    functional: list[str] = []
    hierarchical: list[str] = []


class MajorSpec(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`priorities` that make a major incident; `owner`: the desk that owns its workflow triggers.

    `triggers`: triggers that another desk owns, e.g. `{resolve: operations}`. `update_every`: how often those
    concerned are told. `review_within`: when the post-incident review is due after the end (PT0S: none owed);
    `review_owner`: who owes it ("": the owner of the triggers).
    """

    priorities: list[str] = []
    owner: str = "service-desk"
    triggers: dict[str, str] = {}
    update_every: dt.timedelta = dt.timedelta(minutes=30)
    review_within: dt.timedelta = dt.timedelta(days=5)
    review_owner: str = ""


class ResolutionSpec(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Code and notes of a resolution ("": leave empty)."""

    code: str = "resolved_by_partner"
    notes: str = "Resolved in a connected system, which gave no notes."


class IncidentSection(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How incidents get priority, group and targets, and when the hub resolves and reopens them."""

    matrix: dict[str, dict[str, str]] = msgspec.field(
        default_factory=lambda: {k: dict(v) for k, v in DEFAULT_MATRIX.items()}
    )
    """priority = matrix[impact][urgency]; all levels are "1" (highest) to "4"."""
    impact_by_criticality: dict[str, str] = msgspec.field(
        default_factory=lambda: {"gold": "1", "silver": "2", "bronze": "3", "test": "4"}
    )
    urgency_by_severity: dict[str, str] = msgspec.field(
        default_factory=lambda: {"critical": "1", "error": "2", "warning": "3", "informational": "4"}
    )
    users: list[UsersSpec] = []
    assignment: list[AssignmentSpec] = []
    default_group: str = "service-desk"
    targets: dict[str, TargetSpec] = msgspec.field(
        default_factory=lambda: {
            level: TargetSpec(respond=dt.timedelta(minutes=respond), resolve=dt.timedelta(minutes=resolve))
            for level, (respond, resolve) in DEFAULT_TARGETS.items()
        }
    )
    paths: dict[str, PathSpec] = {}
    """Escalation paths by name."""
    escalation: list[EscalationSpec] = []
    """Which path is attached to which incident: the first rule that fits."""
    default_path: str = ""
    major: MajorSpec = MajorSpec()
    human_work: list[str] = msgspec.field(default_factory=lambda: ["comment"])
    """What counts as human work, over which the hub never resolves: comment, assignee, state."""
    reopen_within: dt.timedelta = dt.timedelta(hours=1)
    """An alert that fires again this long after the resolution reopens the same incident."""
    partner_resolution: ResolutionSpec = ResolutionSpec()
    """What stands in where a partner resolves without code or notes, so that stricter systems can follow."""
    close_after: dt.timedelta = dt.timedelta(days=7)
    """A resolved incident closes after this time."""
    recurring_threshold: int = 3
    """From this many incidents of one signature on, a collision check is due before diagnosis (0: never)."""
    recurring_within: dt.timedelta = dt.timedelta(days=30)
    suspects_within: dt.timedelta = dt.timedelta(days=7)
    """How far back changes on the path are listed as suspects."""


_WORK: Final = ("comment", "assignee", "state")


def check(section: IncidentSection, _: Any) -> list[Problem]:
    """Find holes in the matrix, unknown levels, zones and clock times."""
    problems = [
        Problem(
            path=f"/matrix{cell}",
            message="the priority is missing or not a level",
            remedy='Give "1", "2", "3" or "4".',
        )
        for cell in priority.complete(section.matrix)
    ]
    for table, values in (
        ("impact_by_criticality", section.impact_by_criticality),
        ("urgency_by_severity", section.urgency_by_severity),
    ):
        problems += [
            Problem(
                path=f"/{table}/{key}",
                message=f"{value!r} is not a level",
                remedy='Give "1", "2", "3" or "4".',
            )
            for key, value in values.items()
            if value not in LEVELS
        ]
    problems += [
        Problem(
            path=f"/users/{index}/impact",
            message=f"{each.impact!r} is not a level",
            remedy='Give "1" to "4".',
        )
        for index, each in enumerate(section.users)
        if each.impact not in LEVELS
    ]
    problems += [
        Problem(
            path=f"/human_work/{index}", message=f"{each!r} is unknown", remedy=f"Use {', '.join(_WORK)}."
        )
        for index, each in enumerate(section.human_work)
        if each not in _WORK
    ]
    for index, rule in enumerate(section.assignment):
        problems += _check_hours(f"/assignment/{index}/hours", rule.hours) if rule.hours else []
    problems += _check_paths(section)
    problems += [
        Problem(
            path=f"/major/triggers/{name}",
            message=f"{name!r} is not a trigger",
            remedy=f"One of {', '.join(trigger.TRIGGERS)}.",
        )
        for name in section.major.triggers
        if name not in trigger.TRIGGERS
    ]
    spans = [
        (f"/{name}", getattr(section, name))
        for name in ("reopen_within", "close_after", "recurring_within", "suspects_within")
    ]
    spans += [
        ("/major/update_every", section.major.update_every),
        ("/major/review_within", section.major.review_within),
    ]
    for level, target in section.targets.items():
        spans += [
            (f"/targets/{level}/respond", target.respond),
            (f"/targets/{level}/resolve", target.resolve),
        ]
    return problems + duration.check(spans)


def _check_paths(section: IncidentSection) -> list[Problem]:
    named = [(f"/escalation/{index}/path", each.path) for index, each in enumerate(section.escalation)]
    if section.default_path:
        named.append(("/default_path", section.default_path))
    found = [
        Problem(path=path, message=f"there is no path {name!r}", remedy="Declare it under `paths`.")
        for path, name in named
        if name not in section.paths
    ]
    for index, each in enumerate(section.escalation):
        found += _check_hours(f"/escalation/{index}/hours", each.hours) if each.hours else []
    return found


def _check_hours(path: str, hours: HoursSpec) -> list[Problem]:
    problems = [
        Problem(
            path=f"{path}/days/{index}",
            message=f"{day!r} is not a day",
            remedy=f"Use {', '.join(assignment.DAYS)}.",
        )
        for index, day in enumerate(hours.days)
        if day not in assignment.DAYS
    ]
    for name, clock in (("since", hours.since), ("until", hours.until)):
        try:
            sound = 0 <= assignment.minutes(clock) <= 24 * 60
        except ValueError:
            sound = False
        if not sound:
            problems.append(
                Problem(
                    path=f"{path}/{name}",
                    message=f"{clock!r} is not a time",
                    remedy='Write HH:MM, e.g. "18:00".',
                )
            )
    try:
        ZoneInfo(hours.zone)
    except (ZoneInfoNotFoundError, ValueError):
        problems.append(
            Problem(
                path=f"{path}/zone", message=f"{hours.zone!r} is not a zone", remedy="e.g. Europe/Berlin."
            )
        )
    return problems


def table(section: IncidentSection) -> priority.Table:
    """Return the priority table of a section."""
    return priority.Table(
        matrix=section.matrix,
        impact_by_criticality=section.impact_by_criticality,
        urgency_by_severity=section.urgency_by_severity,
        users=tuple(
            priority.UsersThreshold(at_least=each.at_least, impact=each.impact) for each in section.users
        ),
    )


def assignment_rules(section: IncidentSection) -> tuple[assignment.AssignmentRule, ...]:
    """Return the assignment rules of a section, in their order."""
    return tuple(_rule(each, each.group) for each in section.assignment)


def escalation_rules(section: IncidentSection) -> tuple[assignment.AssignmentRule, ...]:
    """Return the rules that attach escalation paths, in their order; the path stands where the group stands."""
    return tuple(_rule(each, each.path) for each in section.escalation)


def _rule(each: AssignmentSpec | EscalationSpec, leads_to: str) -> assignment.AssignmentRule:
    return assignment.AssignmentRule(
        name=each.name,
        group=leads_to,
        services=tuple(each.services),
        cis=tuple(each.cis),
        ci_classes=tuple(each.ci_classes),
        environments=tuple(each.environments),
        priorities=tuple(each.priorities),
        hours=assignment.Hours(
            days=tuple(each.hours.days),
            since=each.hours.since,
            until=each.hours.until,
            zone=each.hours.zone,
        )
        if each.hours
        else None,
    )


def path_of(section: IncidentSection, name: str) -> escalation.Path | None:
    """Return an escalation path by its name, None if there is none."""
    found = section.paths.get(name)
    if found is None:
        return None
    return escalation.Path(
        name=name, functional=tuple(found.functional), hierarchical=tuple(found.hierarchical)
    )


def target_table(section: IncidentSection) -> dict[str, targets.Target]:
    """Return the targets of a section by priority."""
    return {
        level: targets.Target(respond=microseconds(each.respond), resolve=microseconds(each.resolve))
        for level, each in section.targets.items()
    }


def register() -> None:
    """Make the section known; called when the app is ready."""
    sections.register(
        sections.Section(
            name="incident",
            schema=IncidentSection,
            help="Priority table, assignment, targets, and when the hub resolves, reopens and closes incidents.",
            default=IncidentSection,
            check=check,
        )
    )
