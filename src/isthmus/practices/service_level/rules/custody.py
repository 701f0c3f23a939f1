"""Minutes per custodian: whose hands a record was in while its clock counted.

Input is plain: intervals (party, from, to) as custody management keeps them, and the runs of a clock. Every
counted microsecond is given to exactly one party ("" where nobody held it), so the parts sum to the whole.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from isthmus.kernel.instant import Instant
from isthmus.practices.service_level.rules.clock import Clock


@dataclass(frozen=True, kw_only=True, order=True)
class Custody:
    """`party` was accountable from `start` until `end` (None: it still is)."""

    start: Instant
    party: str
    end: Instant | None = None


@dataclass(frozen=True, kw_only=True)
class Share:
    """What counted while `party` held the record, in microseconds, and in how many stretches."""

    party: str
    counted: int
    stretches: int


def one_at_a_time(custody: Iterable[Custody], until: Instant) -> list[tuple[str, Instant, Instant]]:
    """Return custody as a sequence without overlaps: whoever took over later holds it from then on."""
    found: list[tuple[str, Instant, Instant]] = []
    for each in sorted(custody):
        end = until if each.end is None else Instant(min(each.end, until))
        if end <= each.start:
            continue
        while found and found[-1][1] >= each.start:
            found.pop()
        if found and found[-1][2] > each.start:
            found[-1] = (found[-1][0], found[-1][1], each.start)
        found.append((each.party, each.start, end))
    return found


def minutes_per_party(clock: Clock, custody: Iterable[Custody], now: Instant) -> list[Share]:
    """Return the shares of what the clock's runs counted until `now`, the largest first."""
    until = clock.stopped_at if clock.stopped_at is not None else now
    held = one_at_a_time(custody, until)
    shares: dict[str, list[int]] = {}
    for start, end in clock.runs:
        stop = until if end is None else end
        for party, since, to in _cut(held, start, stop):
            counted = clock.terms.counted(since, to)
            if counted:
                shares.setdefault(party, []).append(counted)
    found = [Share(party=party, counted=sum(each), stretches=len(each)) for party, each in shares.items()]
    return sorted(found, key=lambda each: (-each.counted, each.party))


def _cut(
    held: Sequence[tuple[str, Instant, Instant]], start: Instant, stop: Instant
) -> Iterable[tuple[str, Instant, Instant]]:
    """Divide [start, stop) among the holders; "" holds the gaps."""
    at = start
    for party, since, to in held:
        if to <= at or since >= stop:
            continue
        if since > at:
            yield "", at, since
        yield party, Instant(max(since, at)), Instant(min(to, stop))
        at = Instant(min(to, stop))
    if at < stop:
        yield "", at, stop
