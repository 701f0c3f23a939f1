"""Compliance over a period, read from the ended clocks. Each number says how it is counted."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from isthmus.kernel.instant import Instant, to_datetime
from isthmus.practices.service_level import board
from isthmus.practices.service_level.models import SlaClock
from isthmus.practices.service_level.rules import report
from isthmus.practices.service_level.rules.report import Ended, Line

CLOCKS_MAX: Final = 100_000
GROUPS: Final = ("service", "priority", "target", "definition", "month", "week")
DEFINITION: Final = (
    "Met: ended with no more working time counted than its target. Compliance: met of all that ended in the period. "
    "Cancelled clocks and probes are left out. Percentiles are by nearest rank, of the working time that was needed."
)


@dataclass(frozen=True, kw_only=True)
class Report:
    """`lines` by group, worst first; `whole` all together; `left_out` of the period: cancelled, and beyond the limit."""

    since: Instant
    until: Instant
    by: str
    lines: list[Line]
    whole: Line
    shares: list[tuple[str, int]]
    cancelled: int
    truncated: bool


def compliance(since: Instant, until: Instant, *, by: str, wanted: dict[str, str]) -> Report:
    """Return how the promises whose clocks ended in `[since, until)` were kept."""
    rows = board.chosen(
        SlaClock.objects.filter(stopped_at__gte=since, stopped_at__lt=until, synthetic=False), wanted
    )
    column = by if by not in {"month", "week"} else "stopped_at"
    ended = rows.filter(state="stopped").order_by("-stopped_at")
    values = ended.values_list(column, "elapsed", "amount", "breached", "stopped_at")[: CLOCKS_MAX + 1]
    clocks = [
        Ended(
            group=_group(by, value), elapsed=int(elapsed or 0), amount=int(amount or 0), breached=breached,
            stopped_at=Instant(stopped_at),
        )
        for value, elapsed, amount, breached, stopped_at in values
    ]  # fmt: skip
    truncated = len(clocks) > CLOCKS_MAX
    clocks = clocks[:CLOCKS_MAX]
    return Report(
        since=since,
        until=until,
        by=by,
        lines=report.lines(clocks),
        whole=report.line("all", clocks),
        shares=report.shares_of_target(clocks),
        cancelled=rows.filter(state="cancelled").count(),
        truncated=truncated,
    )


def _group(by: str, value: object) -> str:
    if by == "month":
        return to_datetime(Instant(int(str(value)))).strftime("%Y-%m")
    if by == "week":
        return to_datetime(Instant(int(str(value)))).strftime("%G-W%V")
    return str(value or "")
