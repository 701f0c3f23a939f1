"""What the board shows: the clocks that count, the one with the least time left first; paused ones after them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

from django.db.models import QuerySet

from isthmus.kernel.calendar import ROUND_THE_CLOCK, WorkingTime, next_change
from isthmus.kernel.errors import NeedsOperator
from isthmus.kernel.instant import Instant
from isthmus.kernel.kinds.service_level import OPEN_CLOCK_STATES
from isthmus.practices.change import service as changes
from isthmus.practices.service_level import timekeeping
from isthmus.practices.service_level.models import SlaClock

LIMIT: Final = 100
FILTERS: Final = (
    "record_kind",
    "target",
    "priority",
    "service",
    "definition",
    "state",
    "organisation",
    "record",
)


@dataclass(frozen=True, kw_only=True)
class Counting:
    """A clock as it stands now. `left` may be negative; `percent` is exact in thousandths, never rounded up.

    `moving`: it counts at this instant (running, and its calendar is open); `until` is when that changes. A clock whose
    calendar is gone from the blueprint stands as it was last counted.
    """

    clock: SlaClock
    elapsed: int
    left: int
    per_mille: int
    moving: bool
    until: Instant | None
    now: Instant
    hours: WorkingTime = ROUND_THE_CLOCK

    @property
    def open_for(self) -> int:
        """How long its calendar stays as it is from now on, in microseconds."""
        return 0 if self.until is None else self.until - self.now

    @property
    def filled(self) -> int:
        """The part of the target that has counted, in thousandths, at most all of it."""
        return max(0, min(1000, self.per_mille))

    @property
    def percent_words(self) -> str:
        return f"{self.per_mille // 10} %"

    @property
    def shade(self) -> str:
        """The tone of an open clock; what is over is quiet."""
        if self.clock.state == "paused" and self.left > 0:
            return "quiet"
        return self.tone

    @property
    def tone(self) -> str:
        """Return the state in three steps: over, near (three quarters), fine."""
        if self.left <= 0 or self.clock.breached:
            return "bad"
        return "warn" if self.per_mille >= 750 else "good"


def chosen(rows: QuerySet[Any], wanted: dict[str, str]) -> QuerySet[Any]:
    """Narrow rows by every filter that is given."""
    for name in FILTERS:
        if value := wanted.get(name, ""):
            rows = rows.filter(**{name: value})
    return rows


def open_clocks(wanted: dict[str, str], *, limit: int = LIMIT) -> list[SlaClock]:
    """Return open clocks by the time they are due, then the paused ones; two queries, both on an index."""
    rows = chosen(SlaClock.objects.filter(state__in=OPEN_CLOCK_STATES), wanted)
    running = list(rows.filter(state="running").order_by("due_at", "id")[:limit])
    paused = list(rows.filter(state="paused").order_by("due_at", "id")[: limit - len(running)])
    return [*running, *paused]


def counting(clocks: Iterable[SlaClock], now: Instant) -> list[Counting]:
    """Return clocks as they stand at `now`."""
    hours: dict[str, WorkingTime | None] = {}
    found = []
    for clock in clocks:
        if clock.calendar not in hours:
            hours[clock.calendar] = _hours(clock.calendar)
        found.append(_counting(clock, hours[clock.calendar], now))
    return found


def _hours(name: str) -> WorkingTime | None:
    try:
        return changes.working_time(name)
    except NeedsOperator:
        return None


def _counting(clock: SlaClock, hours: WorkingTime | None, now: Instant) -> Counting:
    amount, held = int(clock.amount or 0), int(clock.elapsed or 0)
    moving, until = False, None
    if hours is not None and clock.state == "running":
        held = timekeeping.elapsed(clock, timekeeping.terms_of(clock, hours), now)
        moving, until = next_change(hours, now)
    per_mille = held * 1000 // amount if amount else 1000
    return Counting(
        clock=clock,
        elapsed=held,
        left=amount - held,
        per_mille=per_mille,
        moving=moving,
        until=until,
        hours=hours or ROUND_THE_CLOCK,
        now=now,
    )


def by_urgency(found: Iterable[Counting]) -> list[Counting]:
    """Return what runs by the instant it is due, then what is paused by what is left."""
    return sorted(
        found,
        key=lambda each: (each.clock.state != "running", each.clock.due_at or 0, each.left, each.clock.id),
    )
