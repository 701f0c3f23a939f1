"""The blueprint section `calendars`: named working time, used by targets, windows and escalations."""

from __future__ import annotations

import datetime as dt
from typing import Annotated, Literal

import msgspec

from isthmus import blueprint
from isthmus.blueprint.sections import Parsed, Section, register
from isthmus.kernel import calendar
from isthmus.kernel.calendar import ROUND_THE_CLOCK, Shift, WorkingTime
from isthmus.kernel.errors import NeedsOperator, Problem

Day = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
DAYS: tuple[Day, ...] = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
Hour = Annotated[
    str, msgspec.Meta(pattern=r"^([01]\d|2[0-3]):[0-5]\d$|^24:00$", description="HH:MM, 24:00 allowed")
]

ALWAYS = "24x7"
"""The calendar that always exists."""


class Hours(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Hours on weekdays; an end at or before the start lies on the next day."""

    days: list[Day]
    start: Hour = "00:00"
    end: Hour = "24:00"


class Calendar(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Working time. No hours: round the clock. `holidays`: ISO 3166 code, e.g. DE or DE-BY.

    `open_ics`: an iCalendar text whose events are the working time, instead of `hours`; `closed_ics`: one whose
    events are taken out (a company calendar of closures). Times without a zone are read in `zone`.
    """

    name: str
    zone: str = "UTC"
    hours: list[Hours] = []
    holidays: str = ""
    closed: list[dt.date] = []
    open_ics: str = ""
    closed_ics: str = ""


def minutes(text: str) -> int:
    """Return minutes after midnight of `HH:MM`."""
    hour, _, minute = text.partition(":")
    return int(hour) * 60 + int(minute)


def shift_of(hours: Hours) -> Shift:
    """Return the kernel's form of hours."""
    return Shift(
        days=tuple(DAYS.index(day) for day in hours.days), start=minutes(hours.start), end=minutes(hours.end)
    )


def rule_of(each: Calendar) -> WorkingTime:
    """Return the kernel's form of a calendar."""
    return WorkingTime(
        zone=each.zone,
        shifts=tuple(shift_of(hours) for hours in each.hours),
        holidays=each.holidays,
        closed=frozenset(each.closed),
        open_ics=each.open_ics,
        closed_ics=each.closed_ics,
    )


def working_time(name: str) -> WorkingTime:
    """Return the named calendar of the blueprint in force ("" and `24x7`: round the clock)."""
    if name in {"", ALWAYS}:
        return ROUND_THE_CLOCK
    for each in blueprint.current().section("calendars"):
        if each.name == name:
            return rule_of(each)
    raise NeedsOperator(
        f"There is no calendar {name!r}.", remedy="Add it to the blueprint section 'calendars'."
    )


def working_times(parsed: Parsed) -> dict[str, WorkingTime]:
    """Return every calendar of a blueprint by name, `24x7` among them."""
    return {ALWAYS: ROUND_THE_CLOCK} | {each.name: rule_of(each) for each in parsed.section("calendars")}


def check(section: list[Calendar], _parsed: Parsed) -> list[Problem]:
    """Return unknown zones and holiday tables, impossible hours, names given twice."""
    problems: list[Problem] = []
    seen: set[str] = set()
    for index, each in enumerate(section):
        if each.name in seen or each.name in {"", ALWAYS}:
            problems.append(
                Problem(
                    path=f"/{index}/name",
                    message=f"The name {each.name!r} is taken.",
                    remedy="Choose another.",
                )
            )
        seen.add(each.name)
        problems += calendar.check(rule_of(each), f"/{index}")
    return problems


def declare() -> None:
    """Register the section; called once from `ready`."""
    register(
        Section(
            name="calendars",
            schema=list[Calendar],
            help="Named working time: hours, zone, holidays.",
            default=list,
            check=check,
        )
    )
