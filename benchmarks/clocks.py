"""Service level clocks: how fast working time is counted, and what a sweep costs beside what is due.

Counting: 100,000 tickets of up to sixty days on three calendars (New York, Berlin with lunch, Sydney), across
changes of clocks and holidays. Against `businesstimedelta` and minute stepping on a sample (they need hours for
all), and against the plain floor: `numpy.searchsorted` over prepared columns, nothing else. One thread, CPU time.

Sweeping: 100,000 open clocks in a real book, of which ten are due, then a thousand.
"""

from __future__ import annotations

import datetime as dt
import random
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from benchmarks import world
from benchmarks.figures import Figure, Scale

TICKETS = 100_000
PEER_TARGET, FLOOR_TARGET = 10_000, 0.5
SAMPLE_STEPPED, SAMPLE_PEER = 12, 60
FIRST_YEAR, LAST_YEAR = 2023, 2026
WEEK = (0, 1, 2, 3, 4)
ZONES = {
    "new-york": ("America/New_York", ((WEEK, 9 * 60, 17 * 60),), "US"),
    "berlin": ("Europe/Berlin", ((WEEK, 9 * 60, 12 * 60), (WEEK, 13 * 60, 17 * 60)), "DE"),
    "sydney": ("Australia/Sydney", ((WEEK, 0, 24 * 60),), "AU-NSW"),
}
DUE_FEW, DUE_MANY = 10, 1_000
SWEEP_RATIO_MOST = 2.0
"""A due clock among 100,000 may cost at most twice when few are due: the sweep itself must not show."""


def run(scale: Scale, directory: Path) -> list[Figure]:
    made = world.make(directory / "hub", cis=100)
    return [*_counting(), *_sweeping(scale, made.organisation)]


# Counting --------------------------------------------------------------------------------------------------


def _counting() -> list[Figure]:
    from isthmus.kernel import calendar
    from isthmus.kernel.calendar import Shift, WorkingTime
    from isthmus.kernel.instant import Instant
    from isthmus.practices.service_level import standing

    hours = {
        name: WorkingTime(
            zone=zone, holidays=country, shifts=tuple(Shift(days=days, start=start, end=end) for days, start, end in shifts)
        )
        for name, (zone, shifts, country) in ZONES.items()
    }  # fmt: skip
    tickets = _tickets()
    columns = {name: standing.columns_of(rule, FIRST_YEAR, LAST_YEAR + 1) for name, rule in hours.items()}
    arrays = _arrays(tickets)
    product, mine = _best(lambda: {n: columns[n].elapsed(s, e) for n, (s, e) in arrays.items()})
    floor, floors = _best(_floor(hours, arrays))
    for name in ZONES:
        assert (floors[name] == mine[name]).all(), "the floor and the product disagree"
    peer, stepped = _peer(tickets), _stepped(tickets)
    for name, start, end, found in stepped[1]:
        assert calendar.elapsed(hours[name], Instant(start), Instant(end)) == found, (
            "minute stepping and the product disagree"
        )
    rate = TICKETS / product
    notes = {"tickets": TICKETS, "calendars": len(ZONES)}
    return [
        Figure(
            name="working time of tickets", value=rate, unit="tickets/CPU s", against="businesstimedelta", other=peer,
            target=PEER_TARGET, judged="ratio", notes={**notes, "peer sample": SAMPLE_PEER},
        ),
        Figure(
            name="working time of tickets", value=rate, unit="tickets/CPU s", against="numpy searchsorted, nothing else",
            other=TICKETS / floor, target=FLOOR_TARGET, judged="ratio", notes=notes,
        ),
        Figure(
            name="working time of tickets", value=rate, unit="tickets/CPU s", against="minute stepping", other=stepped[0],
            notes={**notes, "stepped sample": SAMPLE_STEPPED},
        ),
    ]  # fmt: skip


def _tickets() -> list[tuple[str, int, int]]:
    """Return (calendar, start, end) of each ticket, in microseconds."""
    rng = random.Random(7)
    first = int(dt.datetime(FIRST_YEAR, 2, 1, tzinfo=dt.UTC).timestamp())
    span = 3 * 365 * 86_400
    names = list(ZONES)
    found = []
    for place in range(TICKETS):
        start = first + rng.randrange(span)
        found.append((names[place % 3], start * 1_000_000, (start + rng.randrange(60 * 86_400)) * 1_000_000))
    return found


def _arrays(tickets: list[tuple[str, int, int]]) -> dict[str, tuple[Any, Any]]:
    import numpy as np

    return {
        name: (
            np.array([start for each, start, _ in tickets if each == name], dtype=np.int64),
            np.array([end for each, _, end in tickets if each == name], dtype=np.int64),
        )
        for name in ZONES
    }


def _floor(hours: dict[str, Any], arrays: dict[str, tuple[Any, Any]]) -> Callable[[], dict[str, Any]]:
    """Return the least that can be done with prepared columns: two searches and the arithmetic."""
    import numpy as np

    from isthmus.kernel import calendar

    prepared = {}
    for name, rule in hours.items():
        spans = calendar.timetable(rule, FIRST_YEAR, LAST_YEAR + 1).spans
        starts = np.array([start for start, _ in spans], dtype=np.int64)
        ends = np.array([end for _, end in spans], dtype=np.int64)
        prepared[name] = (starts, ends, np.concatenate(([0], np.cumsum(ends - starts))))

    def worked(name: str, at: Any) -> Any:
        starts, ends, before = prepared[name]
        index = np.searchsorted(starts, at, side="right") - 1
        return before[index] + np.minimum(at, ends[index]) - starts[index]

    return lambda: {name: worked(name, end) - worked(name, start) for name, (start, end) in arrays.items()}


def _best(call: Callable[[], Any], rounds: int = 7) -> tuple[float, Any]:
    """Return the least CPU seconds of some rounds, and what the call returned."""
    best, found = float("inf"), None
    for _ in range(rounds):
        since = time.process_time()
        found = call()
        best = min(best, time.process_time() - since)
    return best, found


def _peer(tickets: list[tuple[str, int, int]]) -> float:
    """Return tickets per CPU second of the library, on a sample."""
    import businesstimedelta as peer
    import holidays
    import pytz

    rules = {}
    for name, (zone, shifts, country) in ZONES.items():
        code, _, part = country.partition("-")
        closed = holidays.country_holidays(code, subdiv=part or None, years=range(FIRST_YEAR, LAST_YEAR + 1))
        members: list[Any] = [
            peer.WorkDayRule(
                start_time=dt.time(start // 60, start % 60),
                # The library cannot say 24:00.
                end_time=dt.time(end // 60, end % 60) if end < 1440 else dt.time(23, 59, 59),
                working_days=list(days),
                tz=pytz.timezone(zone),
            )
            for days, start, end in shifts
        ]
        rules[name] = peer.Rules([*members, peer.HolidayRule(closed, tz=pytz.timezone(zone))])
    since = time.process_time()
    for name, start, end in tickets[:SAMPLE_PEER]:
        rules[name].difference(
            dt.datetime.fromtimestamp(start // 1_000_000, pytz.utc), dt.datetime.fromtimestamp(end // 1_000_000, pytz.utc)
        )  # fmt: skip
    return SAMPLE_PEER / (time.process_time() - since)


def _stepped(tickets: list[tuple[str, int, int]]) -> tuple[float, list[tuple[str, int, int, int]]]:
    """Return tickets per CPU second of looking at the wall clock of every minute, and what that found."""
    import holidays

    found = []
    since = time.process_time()
    for name, start, end in tickets[:SAMPLE_STEPPED]:
        zone, shifts, country = ZONES[name]
        code, _, part = country.partition("-")
        closed = holidays.country_holidays(code, subdiv=part or None, years=range(FIRST_YEAR, LAST_YEAR + 2))
        place, counted, at = ZoneInfo(zone), 0, start
        while at < end:
            ahead = min(at // 60_000_000 * 60_000_000 + 60_000_000, end)
            wall = dt.datetime.fromtimestamp(at // 1_000_000, place)
            minute = wall.hour * 60 + wall.minute
            if wall.date() not in closed and any(
                wall.weekday() in days and opens <= minute < closes for days, opens, closes in shifts
            ):
                counted += ahead - at
            at = ahead
        found.append((name, start, end, counted))
    return SAMPLE_STEPPED / (time.process_time() - since), found


# Sweeping --------------------------------------------------------------------------------------------------


def _sweeping(scale: Scale, organisation: str) -> list[Figure]:
    from isthmus.hub.sweeper import sweep
    from isthmus.kernel.instant import HOUR, Instant
    from isthmus.ledger import scope
    from isthmus.ledger.ids import source

    clocks = TICKETS if scale.name == "full" else 20_000
    with scope.everywhere("the benchmark sweeps"):
        now = source.now()
        _fill(organisation, clocks, now)

        def cost(at: int) -> tuple[int, float]:
            since, swept = time.process_time(), 0
            while found := sweep(Instant(at)):
                swept += found
            return swept, time.process_time() - since

        cost(now)  # what making the installation left to do
        few, few_seconds = cost(now + HOUR)
        many, many_seconds = cost(now + 2 * HOUR)
        idle_since = time.process_time()
        for _ in range(20):
            sweep(Instant(now + 2 * HOUR))
        idle = (time.process_time() - idle_since) / 20
    assert (few, many) == (DUE_FEW, DUE_MANY)
    notes = {
        "open clocks": clocks,
        "due": f"{few} and {many}",
        "sweep with nothing due, ms": round(idle * 1000, 2),
    }
    return [
        Figure(
            name="sweep of open clocks, per due clock, few due", value=few_seconds / few * 1000, unit="CPU ms",
            against="many due", other=many_seconds / many * 1000, target=SWEEP_RATIO_MOST, judged="ratio", at_most=True,
            notes=notes,
        )
    ]  # fmt: skip


def _fill(organisation: str, count: int, now: int) -> None:
    """Put open clocks into the book: ten due within the hour, a thousand within two, the others tomorrow."""
    from isthmus.hub import due
    from isthmus.kernel.actor import Origin, system
    from isthmus.kernel.instant import DAY, HOUR, MINUTE, Instant
    from isthmus.kernel.record import Reason
    from isthmus.ledger.door import perform
    from isthmus.ledger.work import Work
    from isthmus.practices.service_level.models import SlaClock

    why = [Reason(rule="bench.fill", text="Filled.")]
    amount = 10 * HOUR
    for at in range(0, count, 2_000):

        def fill(work: Work, first: int = at) -> None:
            for place in range(first, first + 2_000):
                ahead = 30 * MINUTE if place < DUE_FEW else 90 * MINUTE if place < DUE_FEW + DUE_MANY else DAY
                started = now + ahead - amount // 2
                values = {
                    "record_kind": "incident", "record": f"{place:026d}", "target": "resolution", "calendar": "24x7",
                    "state": "running", "amount": amount, "elapsed": 0, "counted_at": started, "started_at": started,
                    "due_at": started + amount, "thresholds": [50, 100],
                }  # fmt: skip
                clock = work.create(SlaClock, organisation=organisation, values=values, why=why)
                when = Instant(now + ahead)
                due.schedule(work, "sla.threshold", clock.id, when, organisation=organisation, payload=50)

        perform(fill, actor=system("bench"), origin=Origin(channel="timer"), now=Instant(now))
