"""Working time: which instants count, how much of it lies between two instants, when an amount is used up.

A calendar is a rule over wall clocks ("Mon-Fri 9-17 in Berlin, closed on public holidays"). Compiled over
some years it becomes a `Timetable`: sorted UTC intervals with running totals, so that every question is a
bisection. An instant belongs to a shift if the wall clock *at that instant* stands inside the shift; that
one rule settles daylight saving: an hour that the clock skips never counts, an hour that it shows twice
counts twice. `elapsed(a, c) = elapsed(a, b) + elapsed(b, c)` holds exactly, in whole microseconds.
"""

from __future__ import annotations

import datetime as dt
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import accumulate, pairwise
from zoneinfo import ZoneInfo

import holidays as holiday_tables

from isthmus.kernel.errors import Problem, Rejected
from isthmus.kernel.icalendar import occurrences
from isthmus.kernel.instant import DAY, MINUTE, SECOND, Instant, from_datetime, to_datetime

Span = tuple[Instant, Instant]
"""A half-open stretch of time: the start belongs to it, the end does not."""

YEARS_MAX = 60
"""The longest stretch that one timetable covers; an amount that needs more never falls due."""

_EPOCH_ORDINAL = dt.date(1970, 1, 1).toordinal()
_MINUTES_PER_DAY = 24 * 60


@dataclass(frozen=True, kw_only=True)
class Shift:
    """Hours on some weekdays: `days` 0 (Monday) to 6, `start` and `end` in minutes after midnight.

    `end` may be 1440 (midnight at the end of the day). An `end` at or before `start` lies on the next day:
    a night shift, which belongs to the day on which it starts.
    """

    days: tuple[int, ...]
    start: int
    end: int


@dataclass(frozen=True, kw_only=True)
class WorkingTime:
    """The rule. No shifts: round the clock. `holidays`: a country or country-subdivision code ("DE-BY").

    `closed` are further dates without work. A shift is dropped on the closed date on which it starts.
    `open_ics` and `closed_ics` are iCalendar texts: the events of the first are the working time instead of
    shifts, those of the second are taken out of it, to the minute (an all-day event: midnight to midnight).
    """

    zone: str = "UTC"
    shifts: tuple[Shift, ...] = ()
    holidays: str = ""
    closed: frozenset[dt.date] = frozenset()
    open_ics: str = ""
    closed_ics: str = ""


ROUND_THE_CLOCK = WorkingTime()


def merged(spans: Iterable[Span]) -> list[Span]:
    """Return the spans sorted, without empty ones, touching and overlapping ones joined."""
    joined: list[Span] = []
    for start, end in sorted(spans):
        if end <= start:
            continue
        if joined and start <= joined[-1][1]:
            joined[-1] = (joined[-1][0], max(joined[-1][1], end))
        else:
            joined.append((start, end))
    return joined


class Timetable:
    """Open intervals inside a horizon, ready for questions. Instants outside the horizon are refused."""

    def __init__(self, spans: Iterable[Span], *, horizon: Span) -> None:
        first, last = horizon
        kept = merged((Instant(max(start, first)), Instant(min(end, last))) for start, end in spans)
        self.horizon = horizon
        self._starts = [start for start, _ in kept]
        self._ends = [end for _, end in kept]
        self._before = [0, *accumulate(end - start for start, end in kept)]

    @property
    def spans(self) -> list[Span]:
        """The open intervals in order."""
        return list(zip(self._starts, self._ends, strict=True))

    def worked(self, at: Instant) -> int:
        """Return the open microseconds between the start of the horizon and `at`."""
        if not self.horizon[0] <= at <= self.horizon[1]:
            raise Rejected(
                f"{to_datetime(at).isoformat()} lies outside this timetable.", remedy="Compile more years."
            )
        index = bisect_right(self._starts, at) - 1
        if index < 0:
            return 0
        return self._before[index] + min(at, self._ends[index]) - self._starts[index]

    def elapsed(self, start: Instant, end: Instant) -> int:
        """Return the open microseconds in `[start, end)`; 0 where `end` is not after `start`."""
        return max(0, self.worked(end) - self.worked(start))

    def due_at(self, start: Instant, amount: int) -> Instant | None:
        """Return the first instant at which `amount` open microseconds have passed since `start`.

        None: not inside the horizon. An amount of 0 is due at once, also outside opening hours.
        """
        if amount <= 0:
            return start
        target = self.worked(start) + amount
        index = bisect_left(self._before, target) - 1
        if index >= len(self._starts):
            return None
        return Instant(self._starts[index] + target - self._before[index])

    def open_at(self, at: Instant) -> bool:
        """Return whether `at` counts."""
        index = bisect_right(self._starts, at) - 1
        return index >= 0 and at < self._ends[index]

    def change_after(self, at: Instant) -> tuple[bool, Instant | None]:
        """Return whether `at` counts, and when that changes; None where the horizon ends first."""
        index = bisect_right(self._starts, at) - 1
        if index >= 0 and at < self._ends[index]:
            end = self._ends[index]
            return True, end if end < self.horizon[1] else None
        following = index + 1
        return False, self._starts[following] if following < len(self._starts) else None

    def next_open(self, at: Instant) -> Instant | None:
        """Return `at` itself if it counts, else the next opening; None: not inside the horizon."""
        if self.open_at(at):
            return at
        index = bisect_left(self._starts, at)
        return self._starts[index] if index < len(self._starts) else None


def _offsets(zone: ZoneInfo, first: Instant, last: Instant) -> list[tuple[Instant, Instant, int]]:
    """Return the stretches of `[first, last)` with one offset each: (from, to, offset in microseconds).

    Transitions are searched between days and then bisected to the second: no zone changes its offset twice
    within a day.
    """

    def offset(at: int) -> int:
        shift = to_datetime(Instant(at)).astimezone(zone).utcoffset()
        return (shift or dt.timedelta()) // dt.timedelta(microseconds=1)

    found: list[tuple[Instant, Instant, int]] = []
    began, current, at = first, offset(first), first
    while at < last:
        step = Instant(min(at + DAY, last))
        if offset(step) != current:
            low, high = at // SECOND, -(-step // SECOND)
            while high - low > 1:
                middle = (low + high) // 2
                low, high = (middle, high) if offset(middle * SECOND) == current else (low, middle)
            changed = Instant(high * SECOND)
            found.append((began, changed, current))
            began, current = changed, offset(changed)
        at = step
    found.append((began, last, current))
    return found


def _closed_dates(rule: WorkingTime, years: range) -> frozenset[dt.date]:
    if not rule.holidays:
        return rule.closed
    country, _, subdivision = rule.holidays.partition("-")
    table = holiday_tables.country_holidays(country, subdiv=subdivision or None, years=years)
    return rule.closed | frozenset(table)


def _wall_spans(rule: WorkingTime, years: range) -> list[Span]:
    """Return the shifts as intervals of the wall clock, counted as if it were UTC."""
    first = dt.date(years.start, 1, 1).toordinal() - 2
    last = dt.date(years.stop - 1, 12, 31).toordinal() + 2
    closed = {date.toordinal() for date in _closed_dates(rule, range(years.start - 1, years.stop + 1))}
    shifts = rule.shifts or (Shift(days=tuple(range(7)), start=0, end=_MINUTES_PER_DAY),)
    found: list[Span] = []
    for day in range(first, last + 1):
        if day in closed:
            continue
        midnight = (day - _EPOCH_ORDINAL) * DAY
        weekday = (day - 1) % 7
        for shift in shifts:
            if weekday in shift.days:
                length = shift.end if shift.end > shift.start else shift.end + _MINUTES_PER_DAY
                found.append((Instant(midnight + shift.start * MINUTE), Instant(midnight + length * MINUTE)))
    return merged(found)


@lru_cache(maxsize=256)
def timetable(rule: WorkingTime, first_year: int, last_year: int) -> Timetable:
    """Compile `rule` over whole UTC years; both bounds belong to it. Four years take a few milliseconds."""
    if not 0 <= last_year - first_year < YEARS_MAX:
        raise Rejected(f"A timetable covers at most {YEARS_MAX} years.", remedy="Ask for a shorter stretch.")
    start = from_datetime(dt.datetime(first_year, 1, 1, tzinfo=dt.UTC))
    end = from_datetime(dt.datetime(last_year + 1, 1, 1, tzinfo=dt.UTC))
    closed = _events(rule.closed_ics, start, end, rule.zone)
    if rule.open_ics:
        spans = _events(rule.open_ics, start, end, rule.zone)
    elif not rule.shifts and not rule.holidays and not rule.closed:
        spans = [(start, end)]
    else:
        spans = _shift_spans(rule, first_year, last_year, start, end)
    return Timetable(without(spans, closed), horizon=(start, end))


def _events(text: str, start: Instant, end: Instant, zone: str) -> list[Span]:
    """Return the times of the events of an iCalendar text, year by year: each keeps to the limit of occurrences."""
    if not text:
        return []
    first, last = to_datetime(start).year, to_datetime(end).year
    bounds = [from_datetime(dt.datetime(year, 1, 1, tzinfo=dt.UTC)) for year in range(first, last + 1)]
    found: list[Span] = []
    for low, high in pairwise(bounds):
        found += [(each.starts_at, each.ends_at) for each in occurrences(text, low, high, zone=zone)]
    return found


def without(spans: Iterable[Span], closed: Iterable[Span]) -> list[Span]:
    """Return what is left of `spans` where none of `closed` lies."""
    walls = merged(closed)
    if not walls:
        return list(spans)
    ends = [stop for _, stop in walls]
    found: list[Span] = []
    for start, end in merged(spans):
        at = start
        for wall_start, wall_end in walls[bisect_right(ends, start) :]:
            if wall_start >= end:
                break
            if wall_start > at:
                found.append((at, wall_start))
            at = max(at, wall_end)
        if at < end:
            found.append((at, end))
    return found


def _shift_spans(
    rule: WorkingTime, first_year: int, last_year: int, start: Instant, end: Instant
) -> list[Span]:
    """Return the shifts as UTC intervals, one stretch of constant offset after the other."""
    wall = _wall_spans(rule, range(first_year, last_year + 1))
    wall_ends = [stop for _, stop in wall]
    spans: list[Span] = []
    for began, stopped, offset in _offsets(ZoneInfo(rule.zone), start, end):
        for opening, closing in wall[bisect_right(wall_ends, began + offset) :]:
            if opening >= stopped + offset:
                break
            spans.append((Instant(max(opening - offset, began)), Instant(min(closing - offset, stopped))))
    return spans


def _year(at: Instant) -> int:
    return to_datetime(at).year


def elapsed(rule: WorkingTime, start: Instant, end: Instant) -> int:
    """Return the working microseconds between two instants (0 where `end` is not after `start`)."""
    if end <= start:
        return 0
    return timetable(rule, _year(start), _year(end)).elapsed(start, end)


def due_at(rule: WorkingTime, start: Instant, amount: int) -> Instant:
    """Return when `amount` working microseconds after `start` are used up."""
    year = _year(start)
    for ahead in (1, 4, 16, YEARS_MAX - 1):
        found = timetable(rule, year, year + ahead).due_at(start, amount)
        if found is not None:
            return found
    raise Rejected(
        f"This calendar does not have {amount // MINUTE} working minutes in {YEARS_MAX} years.",
        remedy="Check the shifts and closed dates of the calendar.",
    )


def open_at(rule: WorkingTime, at: Instant) -> bool:
    """Return whether `at` is working time."""
    return timetable(rule, _year(at), _year(at)).open_at(at)


def next_change(rule: WorkingTime, at: Instant) -> tuple[bool, Instant | None]:
    """Return whether `at` is working time, and when that changes next (None: not within a year)."""
    year = _year(at)
    return timetable(rule, year, year + 1).change_after(at)


def next_free(
    start: Instant, duration: int, *, until: Instant, allowed: Sequence[Span] | None, blocked: Iterable[Span]
) -> Span | None:
    """Return the first stretch of `duration` after `start` inside one allowed span and clear of blocked ones.

    `allowed` None: every instant is. None is returned if nothing ends by `until`.
    """
    walls = merged(blocked)
    for opening, closing in merged(allowed) if allowed is not None else [(start, until)]:
        at, limit = max(start, opening), min(until, closing)
        for wall_start, wall_end in walls:
            if at + duration <= wall_start:
                break
            at = max(at, wall_end)
        if at + duration <= limit:
            return Instant(at), Instant(at + duration)
    return None


def check(rule: WorkingTime, path: str = "") -> list[Problem]:
    """Return what is wrong with a rule: unknown zone, unknown holiday table, impossible shift."""
    problems: list[Problem] = []
    try:
        ZoneInfo(rule.zone)
    except (KeyError, ValueError, OSError):
        problems.append(
            Problem(
                path=f"{path}/zone",
                message=f"{rule.zone!r} is no time zone.",
                remedy="Use an IANA name, e.g. Europe/Berlin.",
            )
        )
    for index, shift in enumerate(rule.shifts):
        if not (0 <= shift.start < _MINUTES_PER_DAY and 0 <= shift.end <= _MINUTES_PER_DAY):
            problems.append(
                Problem(
                    path=f"{path}/shifts/{index}",
                    message="The hours are outside the day.",
                    remedy="Use 00:00 to 24:00.",
                )
            )
        if not shift.days or any(day not in range(7) for day in shift.days):
            problems.append(
                Problem(
                    path=f"{path}/shifts/{index}/days",
                    message="A shift needs weekdays.",
                    remedy="Use mon … sun.",
                )
            )
    if rule.holidays:
        country, _, subdivision = rule.holidays.partition("-")
        try:
            holiday_tables.country_holidays(country, subdiv=subdivision or None)
        except NotImplementedError:
            problems.append(
                Problem(
                    path=f"{path}/holidays",
                    message=f"There is no holiday table {rule.holidays!r}.",
                    remedy="Use an ISO 3166 code, e.g. DE or DE-BY.",
                )
            )
    for name, text in (("open_ics", rule.open_ics), ("closed_ics", rule.closed_ics)):
        try:
            _events(text, Instant(0), Instant(366 * DAY), rule.zone if not problems else "UTC")
        except Rejected as fault:
            problems.append(Problem(path=f"{path}/{name}", message=fault.text, remedy=fault.remedy))
    if rule.open_ics and rule.shifts:
        problems.append(
            Problem(path=f"{path}/open_ics", message="Give hours or open_ics, not both.", remedy="Keep one.")
        )
    return problems
