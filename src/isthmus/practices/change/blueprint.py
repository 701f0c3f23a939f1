"""The blueprint section `change`: models, authorities, the calendar of windows and freezes, the gate."""

from __future__ import annotations

import datetime as dt
import hashlib
from collections.abc import Sequence
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo

import msgspec

from isthmus.blueprint.sections import Parsed, Section, register
from isthmus.identity.roles import ROLES, permissions_of
from isthmus.kernel import calendar, icalendar
from isthmus.kernel.errors import Problem, Rejected
from isthmus.kernel.instant import DAY, Instant, from_datetime, to_datetime
from isthmus.practices.change import calendars
from isthmus.practices.change.calendars import Hours
from isthmus.practices.change.rules.risk import Thresholds

ChangeType = Literal["standard", "normal", "emergency"]
Risk = Literal["low", "medium", "high"]
_DURATION_MAX_DAYS = 366
APPROVALS_MAX = 10


class Model(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A standard change model: what is authorised in advance, and within which limits.

    `ci_classes` and `environments` empty: any. `failures_max`: so many failures among the last ten changes of
    the model suspend it; a new version of the model starts afresh.
    """

    name: str
    help: str = ""
    ci_classes: list[str] = []
    environments: list[str] = []
    dependants_max: Annotated[int, msgspec.Meta(ge=0)] = 10
    allow_shared: bool = False
    failures_max: Annotated[int, msgspec.Meta(ge=1)] = 2


class Authority(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Who authorises which changes: `approvals` decisions by different persons holding one of `roles`.

    The first authority that fits type and risk decides; empty lists fit all. `overdue`: the one for emergencies
    of a group that owes a review (without one, the ordinary authority gives one approval more). `decide_within` and `valid_for` are durations (PT72H, P30D).
    """

    name: str
    types: list[ChangeType] = []
    risks: list[Risk] = []
    overdue: bool = False
    roles: tuple[str, ...] = ("approver",)
    approvals: Annotated[int, msgspec.Meta(ge=1, le=APPROVALS_MAX)] = 1
    decide_within: dt.timedelta = dt.timedelta(days=7)
    valid_for: dt.timedelta = dt.timedelta(days=30)


class Recurring(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A calendar item of the organisation: a window allows, a freeze denies, a peak denies high risk.

    Either weekly `hours` in `zone` (between `first` and `last` day, if given) or an iCalendar text in `ics`.
    `environments` and `cis` (keys or names; dependants included) empty: all.
    """

    name: str
    effect: Literal["window", "freeze", "peak"]
    zone: str = "UTC"
    hours: list[Hours] = []
    first: dt.date | None = None
    last: dt.date | None = None
    ics: str = ""
    environments: list[str] = []
    cis: list[str] = []


class EvidenceRule(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A system whose approvals count here, for these types of change."""

    system: str
    types: list[ChangeType]


class Emergency(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How long an emergency opens the gate, and when its review is due."""

    open_for: dt.timedelta = dt.timedelta(hours=2)
    review_within: dt.timedelta = dt.timedelta(days=3)


class Gate(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`artefact_needed`: where a change names an artefact, the request must name the same one.

    `wait_for`: how long an asynchronous request waits before it is denied.
    """

    artefact_needed: bool = True
    wait_for: dt.timedelta = dt.timedelta(hours=8)


class ChangeSection(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`outdated_by`: an impact report is outdated for approval by any edit of the map, or only on its path."""

    models: list[Model] = []
    authorities: list[Authority] = []
    calendar: list[Recurring] = []
    evidence: list[EvidenceRule] = []
    emergency: Emergency = Emergency()
    gate: Gate = Gate()
    risk: Thresholds = Thresholds()
    outdated_by: Literal["map", "path"] = "map"


BUILT_IN_AUTHORITIES = (
    Authority(name="emergency authority", types=["emergency"], decide_within=dt.timedelta(hours=8)),
    Authority(name="change authority"),
)
"""Behind the section's own, so that every change has an authority."""


def version_of(definition: Any) -> str:
    """Return 12 hex digits that name exactly this definition; instances are pinned to it."""
    return hashlib.sha256(msgspec.json.encode(definition, order="deterministic")).hexdigest()[:12]


def microseconds(duration: dt.timedelta) -> int:
    """Return a duration in microseconds."""
    return duration // dt.timedelta(microseconds=1)


def authority_for(section: ChangeSection, change_type: str, risk: str, *, overdue: bool) -> Authority:
    """Return the first authority that fits; the built-in ones fit whatever is left. `overdue`: the higher one."""
    fitting = [
        each
        for each in (*section.authorities, *BUILT_IN_AUTHORITIES)
        if (not each.types or change_type in each.types) and (not each.risks or risk in each.risks)
    ]
    ordinary = next(each for each in fitting if not each.overdue)
    if not overdue:
        return ordinary
    named = next((each for each in fitting if each.overdue and each in section.authorities), None)
    if named is not None:
        return named
    # An owed review must cost something also where the blueprint names no higher authority of its own.
    return msgspec.structs.replace(
        ordinary,
        name=f"{ordinary.name} after an overdue review",
        approvals=min(ordinary.approvals + 1, APPROVALS_MAX),
    )


def model_named(section: ChangeSection, name: str) -> Model | None:
    """Return a standard change model by name."""
    return next((each for each in section.models if each.name == name), None)


def occurrences(each: Recurring, start: Instant, end: Instant) -> list[calendar.Span]:
    """Return the stretches of a recurring item that overlap `[start, end)`."""
    if each.ics:
        return [
            (found.starts_at, found.ends_at)
            for found in icalendar.occurrences(each.ics, start, end, zone=each.zone)
        ]
    rule = calendar.WorkingTime(
        zone=each.zone, shifts=tuple(calendars.shift_of(hours) for hours in each.hours)
    )
    first_year, last_year = to_datetime(Instant(start - DAY)).year, to_datetime(Instant(end + DAY)).year
    spans = calendar.timetable(rule, first_year, last_year).spans
    low, high = _day_bounds(each, first=True), _day_bounds(each, first=False)
    cut = [(Instant(max(begin, low)), Instant(min(stop, high))) for begin, stop in spans]
    return [(begin, stop) for begin, stop in cut if begin < stop and begin < end and stop > start]


def _day_bounds(each: Recurring, *, first: bool) -> Instant:
    date = each.first if first else each.last
    if date is None:
        return Instant(-(2**62) if first else 2**62)
    midnight = dt.datetime.combine(
        date if first else date + dt.timedelta(days=1), dt.time(), ZoneInfo(each.zone)
    )
    return from_datetime(midnight)


def check(section: ChangeSection, parsed: Parsed) -> list[Problem]:
    """Return what the types cannot say: authorities nobody can hold, calendars that cannot be read."""
    return [
        *_twice(section.models, "models"),
        *_twice(section.authorities, "authorities"),
        *_twice(section.calendar, "calendar"),
        *(
            problem
            for index, each in enumerate(section.authorities)
            for problem in _check_authority(each, index)
        ),
        *(
            problem
            for index, each in enumerate(section.calendar)
            for problem in _check_recurring(each, index)
        ),
        *_check_evidence(section, parsed),
        *_check_durations(section),
    ]


def _twice(items: Sequence[Model | Authority | Recurring], place: str) -> list[Problem]:
    names = [each.name for each in items]
    return [
        Problem(
            path=f"/{place}/{index}/name", message=f"The name {name!r} is taken.", remedy="Choose another."
        )
        for index, name in enumerate(names)
        if name in names[:index]
    ]


def _check_authority(each: Authority, index: int) -> list[Problem]:
    problems = [
        Problem(
            path=f"/authorities/{index}/roles/{place}",
            message=f"There is no role {role!r}.",
            remedy=f"Use {', '.join(ROLES)}.",
        )
        for place, role in enumerate(each.roles)
        if role not in ROLES
    ]
    if not problems and not any(
        "approval:decide" in permissions_of(frozenset({role})) for role in each.roles
    ):
        problems.append(
            Problem(
                path=f"/authorities/{index}/roles",
                message="Nobody could ever approve: none of these roles may decide approvals.",
                remedy="Add the role 'approver'.",
            )
        )
    return problems


def _check_recurring(each: Recurring, index: int) -> list[Problem]:
    path = f"/calendar/{index}"
    if bool(each.ics) == bool(each.hours):
        return [Problem(path=path, message="Give either hours or ics.", remedy="Keep one of the two.")]
    shifts = tuple(calendars.shift_of(hours) for hours in each.hours)
    problems = calendar.check(calendar.WorkingTime(zone=each.zone, shifts=shifts), path)
    if each.first and each.last and each.last < each.first:
        problems.append(
            Problem(path=f"{path}/last", message="The last day is before the first.", remedy="Swap them.")
        )
    if each.ics and not problems:
        try:
            icalendar.occurrences(each.ics, Instant(0), Instant(DAY), zone=each.zone)
        except Rejected as fault:
            problems.append(Problem(path=f"{path}/ics", message=fault.text, remedy=fault.remedy))
    return problems


def _check_evidence(section: ChangeSection, parsed: Parsed) -> list[Problem]:
    if not section.evidence:
        return []
    known = set(parsed.section("connections"))
    return [
        Problem(
            path=f"/evidence/{index}/system",
            message=f"There is no connection {each.system!r}.",
            remedy="Name one of the section 'connections'.",
        )
        for index, each in enumerate(section.evidence)
        if each.system not in known
    ]


def _check_durations(section: ChangeSection) -> list[Problem]:
    given = {
        "/emergency/open_for": section.emergency.open_for,
        "/emergency/review_within": section.emergency.review_within,
        "/gate/wait_for": section.gate.wait_for,
        **{
            f"/authorities/{index}/decide_within": each.decide_within
            for index, each in enumerate(section.authorities)
        },
        **{
            f"/authorities/{index}/valid_for": each.valid_for
            for index, each in enumerate(section.authorities)
        },
    }
    return [
        Problem(
            path=path,
            message="The duration must be longer than 0 and at most a year.",
            remedy="Use ISO 8601, e.g. PT2H.",
        )
        for path, duration in given.items()
        if not dt.timedelta() < duration <= dt.timedelta(days=_DURATION_MAX_DAYS)
    ]


def declare() -> None:
    """Register the section; called once from `ready`."""
    register(
        Section(
            name="change",
            schema=ChangeSection,
            help="Change models, authorities, windows and freezes, whose approvals count, and the gate.",
            default=ChangeSection,
            check=check,
            # Who authorises, whose word counts, and what is authorised in advance.
            high_tier=frozenset({"authorities", "evidence", "models"}),
        )
    )
