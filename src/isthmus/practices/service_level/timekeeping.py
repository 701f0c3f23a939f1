"""Reading stored clocks: what one has counted by now and when it reaches a threshold, without its history."""

from __future__ import annotations

from typing import Final

from isthmus.kernel.calendar import WorkingTime
from isthmus.kernel.instant import Instant
from isthmus.practices.change import service as changes
from isthmus.practices.service_level.models import SlaClock
from isthmus.practices.service_level.rules.clock import Says, Terms

BREACH: Final = 100
"""The threshold at which a target is used up, in percent."""


def part(amount: int, percent: int) -> int:
    """Return a share of a target in whole microseconds, rounded up: 100 % is the target itself, never less."""
    return -(-amount * percent // 100)


def terms_of(clock: SlaClock, hours: WorkingTime | None = None) -> Terms:
    """Return what is needed to count on from a stored clock: its amount and calendar."""
    return Terms(
        name=clock.definition,
        target=clock.target,
        amount=int(clock.amount or 0),
        hours=hours if hours is not None else changes.working_time(clock.calendar),
        calendar=clock.calendar,
        says=lambda _: Says(),
        thresholds=tuple(clock.thresholds or (BREACH,)),
    )


def elapsed(clock: SlaClock, terms: Terms, now: Instant) -> int:
    """Return what a stored clock has counted up to `now`."""
    held = int(clock.elapsed or 0)
    if clock.state != "running" or clock.counted_at is None:
        return held
    return held + terms.counted(Instant(clock.counted_at), now)


def reaches(clock: SlaClock, terms: Terms, percent: int) -> Instant | None:
    """Return when a stored clock reaches a threshold; None while it is paused and has not."""
    left = part(terms.amount, percent) - int(clock.elapsed or 0)
    counted_at = Instant(clock.counted_at or clock.started_at or 0)
    if left <= 0:
        return counted_at
    return terms.used_up(counted_at, left) if clock.state == "running" else None
