"""How all open clocks stand at one instant: counted together, calendar by calendar, in two searches per clock.

numpy is loaded by the first who asks: a hub that has nothing to count does not pay for it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from isthmus.kernel import calendar
from isthmus.kernel.calendar import WorkingTime
from isthmus.kernel.errors import NeedsOperator
from isthmus.kernel.instant import Instant, to_datetime
from isthmus.kernel.kinds.service_level import OPEN_CLOCK_STATES
from isthmus.practices.change import service as changes
from isthmus.practices.service_level import board
from isthmus.practices.service_level.models import SlaClock

if TYPE_CHECKING:
    from isthmus.practices.service_level.rules.bulk import Columns

CLOCKS_MAX: Final = 250_000
NEAR_PER_MILLE: Final = 750


@dataclass(frozen=True, kw_only=True)
class Standing:
    """Open clocks: `over` have used up their target, `near` three quarters of it; `paused` stand still."""

    open: int
    over: int
    near: int
    paused: int
    truncated: bool


@dataclass(frozen=True, kw_only=True)
class Held:
    """What is stored of one open clock, as far as counting needs it. Spans in microseconds."""

    calendar: str
    running: bool
    amount: int
    elapsed: int
    counted_at: int


@lru_cache(maxsize=64)
def columns_of(rule: WorkingTime, first_year: int, last_year: int) -> Columns:
    """Return a calendar over whole years, ready to be asked about many instants at once."""
    from isthmus.practices.service_level.rules.bulk import Columns

    return Columns(calendar.timetable(rule, first_year, last_year))


def elapsed_now(clocks: Sequence[Held], hours: Mapping[str, WorkingTime], now: Instant) -> list[int]:
    """Return what each clock has counted at `now`; one whose calendar is unknown stands as it was last counted."""
    import numpy as np

    found = [each.elapsed for each in clocks]
    places: dict[str, list[int]] = {}
    for place, each in enumerate(clocks):
        if each.running and each.counted_at < now and each.calendar in hours:
            places.setdefault(each.calendar, []).append(place)
    for name, mine in places.items():
        starts = np.fromiter((clocks[place].counted_at for place in mine), dtype=np.int64, count=len(mine))
        columns = columns_of(hours[name], to_datetime(Instant(int(starts.min()))).year, to_datetime(now).year)
        counted = columns.elapsed(starts, np.full(len(mine), now, dtype=np.int64))
        for place, more in zip(mine, counted.tolist(), strict=True):
            found[place] += more
    return found


def standing(wanted: Mapping[str, str], now: Instant) -> Standing:
    """Return how all open clocks stand; one query whatever their number."""
    rows = board.chosen(SlaClock.objects.filter(state__in=OPEN_CLOCK_STATES), dict(wanted))
    values = rows.values_list("calendar", "state", "amount", "elapsed", "counted_at")[: CLOCKS_MAX + 1]
    clocks = [
        Held(
            calendar=name, running=state == "running", amount=int(amount or 0), elapsed=int(elapsed or 0),
            counted_at=int(counted_at or 0),
        )
        for name, state, amount, elapsed, counted_at in values.iterator(chunk_size=5_000)
    ]  # fmt: skip
    truncated = len(clocks) > CLOCKS_MAX
    clocks = clocks[:CLOCKS_MAX]
    counted = elapsed_now(clocks, _hours({each.calendar for each in clocks}), now)
    over = near = 0
    for each, elapsed in zip(clocks, counted, strict=True):
        if elapsed >= each.amount:
            over += 1
        elif elapsed * 1000 >= each.amount * NEAR_PER_MILLE:
            near += 1
    return Standing(
        open=len(clocks),
        over=over,
        near=near,
        paused=sum(not each.running for each in clocks),
        truncated=truncated,
    )


def _hours(names: set[str]) -> dict[str, WorkingTime]:
    found: dict[str, WorkingTime] = {}
    for name in names:
        try:
            found[name] = changes.working_time(name)
        except NeedsOperator:
            continue
    return found
