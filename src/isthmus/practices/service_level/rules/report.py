"""Compliance: clocks that ended within their target, of all that ended, with the distribution beside it.

Cancelled clocks and synthetic traffic are no promise kept or broken: they are counted apart, in sight.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from isthmus.kernel.instant import Instant

PERCENTILES = (50, 75, 90, 95, 99)


@dataclass(frozen=True, kw_only=True, slots=True)
class Ended:
    """One ended clock, as the report counts it. `group` is what it is grouped by."""

    group: str
    elapsed: int
    amount: int
    breached: bool
    stopped_at: Instant


@dataclass(frozen=True, kw_only=True)
class Line:
    """One group: `met` of `ended`; percentiles of the working time that was needed, nearest rank."""

    group: str
    ended: int
    met: int
    percentiles: tuple[tuple[int, int], ...]
    longest: int

    @property
    def per_mille(self) -> int | None:
        return round(1000 * self.met / self.ended) if self.ended else None


def percentile(ordered: Sequence[int], share: int) -> int:
    """Return the nearest-rank percentile of an ordered, non-empty sequence: a value that really occurred."""
    rank = -(-share * len(ordered) // 100)
    return ordered[max(rank, 1) - 1]


def line(group: str, clocks: Iterable[Ended]) -> Line:
    found = list(clocks)
    ordered = sorted(each.elapsed for each in found)
    return Line(
        group=group,
        ended=len(found),
        met=sum(not each.breached for each in found),
        percentiles=tuple((share, percentile(ordered, share)) for share in PERCENTILES) if ordered else (),
        longest=ordered[-1] if ordered else 0,
    )


def lines(clocks: Iterable[Ended]) -> list[Line]:
    """Return one line per group, the worst first; equal ones by name."""
    groups: dict[str, list[Ended]] = {}
    for each in clocks:
        groups.setdefault(each.group, []).append(each)
    found = [line(group, members) for group, members in groups.items()]
    return sorted(
        found, key=lambda each: (each.per_mille if each.per_mille is not None else 1001, each.group)
    )


def shares_of_target(clocks: Iterable[Ended]) -> list[tuple[str, int]]:
    """Return how many clocks needed which part of their target: ten classes up to it, then what went over."""
    counts = [0] * 14
    for each in clocks:
        part = each.elapsed * 10 // each.amount if each.amount else 10
        if each.elapsed == each.amount:
            part = 9
        counts[
            part if part < 10 else 10 + min(3, (each.elapsed - each.amount) * 2 // max(each.amount, 1))
        ] += 1
    names = [f"{tens * 10}–{tens * 10 + 10} %" for tens in range(10)]
    names += ["100–150 %", "150–200 %", "200–250 %", "over 250 %"]
    return list(zip(names, counts, strict=True))
