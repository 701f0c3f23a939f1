"""The slow way that nobody can get wrong: look at the wall clock of every minute and ask what the ticket was then.

It shares no code with the product: zones from `zoneinfo`, hours and closed days given as plain values.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from zoneinfo import ZoneInfo

MINUTE = 60_000_000


@dataclass(frozen=True)
class Hours:
    """Open on `days` (0 is Monday) from `start` to `end` in minutes after midnight, several times a day if given."""

    zone: str
    shifts: tuple[tuple[tuple[int, ...], int, int], ...] = ()
    closed: frozenset[dt.date] = field(default_factory=frozenset)

    def stands_open(self, instant: int) -> bool:
        wall = dt.datetime.fromtimestamp(instant // 1_000_000, ZoneInfo(self.zone))
        if not self.shifts:
            return wall.date() not in self.closed
        minute = wall.hour * 60 + wall.minute
        return wall.date() not in self.closed and any(
            wall.weekday() in days and start <= minute < end for days, start, end in self.shifts
        )


@dataclass(frozen=True)
class Counted:
    """What stepping found: microseconds, and the instant at which `amount` was used up (None: not yet)."""

    elapsed: int
    used_up: int | None


def step(
    changes: Sequence[tuple[int, str]],
    hours: Hours,
    until: int,
    *,
    counts: Callable[[str], bool],
    stops: Callable[[str], bool],
    amount: int = 0,
) -> Counted:
    """Walk from the first change to `until`, minute by minute; a minute that a change divides is walked by seconds.

    `changes` are (instant, state) in any order: what counts is when they occurred.
    """
    ordered = sorted(changes, key=lambda each: each[0])
    at, elapsed, used_up = ordered[0][0], 0, None
    index, state = 0, ordered[0][1]
    while at < until:
        while index + 1 < len(ordered) and ordered[index + 1][0] <= at:
            index += 1
            state = ordered[index][1]
        if stops(state):
            break
        boundary = ordered[index + 1][0] if index + 1 < len(ordered) else until
        # Wall clocks change their hour at whole minutes of UTC: inside one nothing opens or closes.
        ahead = min(at // MINUTE * MINUTE + MINUTE, boundary, until)
        if counts(state) and hours.stands_open(at):
            if amount and used_up is None and elapsed + ahead - at >= amount:
                used_up = at + amount - elapsed
            elapsed += ahead - at
        at = ahead
    return Counted(elapsed, used_up)
