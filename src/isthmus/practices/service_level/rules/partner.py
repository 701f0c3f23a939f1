"""Our clock beside a partner's: how much they differ, and which stretch of time makes the difference.

Nothing is averaged or adopted: two clocks that disagree are a question for people, and this gives them the
interval to talk about. Three kinds of evidence, the best one available is used:

1. the partner told which times it counted: the stretches that only one side counted, exactly;
2. it told its start and what had elapsed: different starts, a pause that it did not take, hours that it
   counted although the calendar was closed;
3. it was seen several times: the stretch between two sightings in which the difference arose.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from isthmus.kernel.calendar import merged, without
from isthmus.kernel.duration import in_words
from isthmus.kernel.instant import SECOND, Instant
from isthmus.practices.service_level.rules.clock import Clock
from isthmus.practices.service_level.rules.story import clock_time, pauses

TOLERANCE = SECOND
"""Partners round to seconds: less than that is no difference."""
INTERVALS_MAX = 50


@dataclass(frozen=True, kw_only=True)
class Sight:
    """A partner's clock as seen at `at`."""

    at: Instant
    elapsed: int | None
    amount: int | None = None
    state: str = "unknown"
    started_at: Instant | None = None
    stopped_at: Instant | None = None
    runs: tuple[tuple[Instant, Instant | None], ...] = ()


@dataclass(frozen=True, kw_only=True)
class Cause:
    """A stretch that explains `counted` microseconds of the difference (positive: only the partner counted it)."""

    start: Instant
    end: Instant
    counted: int
    text: str


@dataclass(frozen=True, kw_only=True)
class Difference:
    """Theirs minus ours at `at`; `explained` is what the causes add up to."""

    at: Instant
    ours: int
    theirs: int | None
    difference: int | None
    causes: tuple[Cause, ...] = ()
    text: str = ""

    @property
    def explained(self) -> int:
        return sum(each.counted for each in self.causes)


def compare(clock: Clock, sights: Sequence[Sight]) -> Difference | None:
    """Return how the latest sight differs from our clock, and why."""
    if not sights:
        return None
    told = sorted(sights, key=lambda each: each.at)
    last = told[-1]
    ours = _ours(clock, last.at)
    theirs = last.elapsed
    if theirs is None and last.runs:
        theirs = sum(clock.terms.counted(start, last.at if end is None else end) for start, end in last.runs)
    if theirs is None:
        return Difference(
            at=last.at,
            ours=ours,
            theirs=None,
            difference=None,
            text="The partner does not say what has elapsed.",
        )
    if last.state == "cancelled":
        said = "The partner has cancelled this clock: it promises nothing any more."
        return Difference(at=last.at, ours=ours, theirs=theirs, difference=None, text=said)
    gap = theirs - ours
    if abs(gap) < TOLERANCE:
        said = f"Both clocks agree: {in_words(ours)} had counted."
        return Difference(at=last.at, ours=ours, theirs=theirs, difference=gap, text=said)
    causes = _causes(clock, told, gap)
    side = "more" if gap > 0 else "less"
    text = f"The partner counts {in_words(abs(gap))} {side} than we do."
    if not causes:
        text += " Nothing that both sides told explains it."
    return Difference(
        at=last.at, ours=ours, theirs=theirs, difference=gap, causes=tuple(causes[:INTERVALS_MAX]), text=text
    )


def _ours(clock: Clock, at: Instant) -> int:
    """Return what our clock had counted at an instant of its past."""
    return clock.carried + sum(
        clock.terms.counted(start, Instant(min(at, at if end is None else end)))
        for start, end in clock.runs
        if start < at
    )


def _causes(clock: Clock, told: Sequence[Sight], gap: int) -> list[Cause]:
    last = told[-1]
    if last.runs:
        exact = _exact(clock, last)
        if exact:
            return exact
    found = _starts(clock, last)
    rest = gap - sum(each.counted for each in found)
    if abs(rest) >= TOLERANCE:
        found += _pauses_not_taken(clock, last, rest)
        rest = gap - sum(each.counted for each in found)
    if abs(rest) >= TOLERANCE:
        closed = _closed_hours(clock, last)
        if closed and abs(rest - closed.counted) < TOLERANCE:
            found.append(closed)
            rest = 0
    if abs(rest) >= TOLERANCE and len(told) > 1:
        return _between_sights(clock, told) or found
    return found


def _exact(clock: Clock, last: Sight) -> list[Cause]:
    """Return the stretches that one side counted and the other did not."""
    zone, terms = clock.terms.hours.zone, clock.terms
    ours = merged((start, last.at if end is None else end) for start, end in clock.runs)
    theirs = merged((start, last.at if end is None else end) for start, end in last.runs)
    found = []
    for spans, sign, who in (
        (without(theirs, ours), 1, "The partner"),
        (without(ours, theirs), -1, "Only we"),
    ):
        for start, end in spans:
            counted = terms.counted(start, end)
            if counted >= TOLERANCE:
                other = "we did not" if sign > 0 else "the partner did not"
                text = (
                    f"{who} counted {in_words(counted)} from {clock_time(start, zone)} to "
                    f"{clock_time(end, zone)}; {other}."
                )
                found.append(Cause(start=start, end=end, counted=sign * counted, text=text))
    return sorted(found, key=lambda each: each.start)


def _starts(clock: Clock, last: Sight) -> list[Cause]:
    if last.started_at is None or clock.started_at is None or last.started_at == clock.started_at:
        return []
    first, second = sorted((last.started_at, clock.started_at))
    counted = clock.terms.counted(first, second)
    if counted < TOLERANCE:
        return []
    earlier = last.started_at < clock.started_at
    zone = clock.terms.hours.zone
    text = (
        f"The partner's clock started at {clock_time(last.started_at, zone)}, ours at "
        f"{clock_time(clock.started_at, zone)}."
    )
    return [Cause(start=first, end=second, counted=counted if earlier else -counted, text=text)]


def _pauses_not_taken(clock: Clock, last: Sight, rest: int) -> list[Cause]:
    """Return the pauses of ours that explain what the partner counted more: one, or all of them."""
    if rest <= 0:
        return []
    zone = clock.terms.hours.zone
    stood = [
        Cause(
            start=start, end=end, counted=clock.terms.counted(start, end),
            text=f"Our clock stood still from {clock_time(start, zone)} to {clock_time(end, zone)}; the partner's went on.",
        )
        for start, end in pauses(clock, last.at) if start < last.at
    ]  # fmt: skip
    for each in stood:
        if abs(each.counted - rest) < TOLERANCE:
            return [each]
    if stood and abs(sum(each.counted for each in stood) - rest) < TOLERANCE:
        return stood
    return []


def _closed_hours(clock: Clock, last: Sight) -> Cause | None:
    """Return what a partner that counts around the clock would have counted more."""
    ran = sum((last.at if end is None else end) - start for start, end in clock.runs)
    closed = ran - (_ours(clock, last.at) - clock.carried)
    if closed < TOLERANCE or clock.started_at is None:
        return None
    text = f"The partner counts around the clock; {in_words(closed)} of it lie outside our calendar {clock.terms.calendar}."
    return Cause(start=clock.started_at, end=last.at, counted=closed, text=text)


def _between_sights(clock: Clock, told: Sequence[Sight]) -> list[Cause]:
    """Return the stretches between sightings in which the difference moved."""
    zone = clock.terms.hours.zone
    known = [(each.at, each.elapsed - _ours(clock, each.at)) for each in told if each.elapsed is not None]
    began = clock.started_at
    if began is not None and known and began < known[0][0]:
        known.insert(0, (began, 0))
    found = []
    for (start, before), (end, after) in pairwise(known):
        moved = after - before
        if abs(moved) >= TOLERANCE:
            side = "ahead" if moved > 0 else "behind"
            text = (
                f"Between {clock_time(start, zone)} and {clock_time(end, zone)} the partner's clock got "
                f"{in_words(abs(moved))} {side} of ours."
            )
            found.append(Cause(start=start, end=end, counted=moved, text=text))
    return found
