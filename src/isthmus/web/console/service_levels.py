"""Service levels: which promise runs out next, why a clock stands where it stands, how promises were kept."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_POST

from isthmus.hub.http import actor as callers
from isthmus.kernel.duration import in_words
from isthmus.kernel.instant import DAY, Instant, from_rfc3339, to_datetime
from isthmus.kernel.kinds.incident import LEVELS
from isthmus.kernel.kinds.service_level import OPEN_CLOCK_STATES
from isthmus.ledger.ids import source
from isthmus.ledger.work import Work
from isthmus.practices.service_level import board, reporting, service, standing
from isthmus.practices.service_level.board import Counting
from isthmus.practices.service_level.rules.report import Line
from isthmus.web import records
from isthmus.web.charts.bars import Bar, bars
from isthmus.web.charts.distribution import Class, distribution
from isthmus.web.charts.frame import Chart
from isthmus.web.console import listing
from isthmus.web.console.screen import act, back, found, me, page, screen
from isthmus.web.lists.asked import Asked
from isthmus.web.lists.showing import Row
from isthmus.web.lists.table import Slice
from isthmus.web.lists.tables import CLOCKS
from isthmus.web.lists.tables.service_levels import named
from isthmus.web.lists.tables.service_levels import wanted as narrowed

SERVICES_MAX: Final = 200
DAYS_DEFAULT: Final = 30


@screen("sla:read")
def index(request: HttpRequest) -> HttpResponse:
    """The board: open clocks, the one with the least time left first; as clocks or as a table."""

    def more(asked: Asked, found: Slice, _: list[Row]) -> dict[str, Any]:
        wanted = narrowed(asked)
        known = records.of("sla_clock").filter(state__in=OPEN_CLOCK_STATES)
        services = records.titles(
            "ci", known.values_list("service", flat=True).distinct()[:SERVICES_MAX], "name"
        )
        return {
            "title": "Service levels",
            "clocks": found.items,
            "standing": standing.standing(wanted, source.now()),
            "named": {} if in_rows(asked) else named([each.clock for each in found.items], asked.reader),
            "services": services,
            "targets": sorted(known.values_list("target", flat=True).distinct()[:SERVICES_MAX]),
            "levels": LEVELS,
            "states": OPEN_CLOCK_STATES,
            "wanted": wanted,
            "as_table": in_rows(asked),
        }

    def in_rows(asked: Asked) -> bool:
        return asked.get("as") == "table"

    return listing.show(request, CLOCKS, "console/sla_board.html", more, in_rows=in_rows)


@screen("sla:read")
def one(request: HttpRequest, clock_id: str) -> HttpResponse:
    """One clock: the verdict in sentences, where the time went, every move, what partners count."""
    clock = found(records.of("sla_clock").filter(id=clock_id).first())
    now = source.now()
    (counting,) = board.counting([clock], now)
    shown = named([clock], me(request))
    context = {
        "title": f"{clock.target.capitalize()} of {shown.get(clock.record, (clock.record_kind, '', ''))[0] or clock.record_kind}",
        "crumbs": [("Service levels", "/sla"), (clock.target, "")],
        "counting": counting,
        "clock": clock,
        "told": service.timeline(clock, now),
        "ledger": service.ledger(clock),
        "shares": service.minutes_per_custodian(clock, now),
        "comparisons": [
            each for each in service.compared(clock.record) if each.partner.target == clock.target
        ],
        "prediction": service.predicted(clock, now),
        "record": shown.get(clock.record),
    }
    return page(request, "console/sla_clock.html", context)


@screen("sla:read")
def report(request: HttpRequest) -> HttpResponse:
    """How promises were kept in a period, by what is asked for, with the distribution of the time needed."""
    now = source.now()
    since, until = _period(request, now)
    by = request.GET.get("by", "service")
    by = by if by in reporting.GROUPS else "service"
    wanted = {
        name: request.GET.get(name, "").strip() for name in ("target", "priority", "service", "record_kind")
    }
    said = reporting.compliance(since, until, by=by, wanted=wanted)
    names = records.titles("ci", [each.group for each in said.lines], "name") if by == "service" else {}
    context = {
        "title": "Service level report",
        "crumbs": [("Service levels", "/sla"), ("Report", "")],
        "report": said,
        "charts": [_kept(said.lines, names, by), _needed(said)],
        "lines": [_row(each, names, by) for each in said.lines],
        "by": by,
        "groups": reporting.GROUPS,
        "definition": reporting.DEFINITION,
        "since": f"{to_datetime(since):%Y-%m-%d}",
        "until": f"{to_datetime(Instant(until - 1)):%Y-%m-%d}",
        "wanted": wanted,
        "levels": LEVELS,
    }
    return page(request, "console/sla_report.html", context)


def _row(line: Line, names: dict[str, str], by: str) -> dict[str, Any]:
    shown = dict(line.percentiles)
    return {
        "line": line,
        "name": names.get(line.group, line.group) or f"no {by}",
        "share": "–" if line.per_mille is None else f"{line.per_mille / 10:.1f} %",
        "values": [*((f"p{each}", shown[each]) for each in (50, 90, 99)), ("Longest", line.longest)],
    }


def _period(request: HttpRequest, now: Instant) -> tuple[Instant, Instant]:
    """Return the asked days, both of them whole, in UTC; by default the last thirty."""
    tomorrow = Instant(now // DAY * DAY + DAY)
    until, since = request.GET.get("until", ""), request.GET.get("since", "")
    end = Instant(from_rfc3339(f"{until}T00:00:00Z") + DAY) if until else tomorrow
    start = from_rfc3339(f"{since}T00:00:00Z") if since else Instant(end - DAYS_DEFAULT * DAY)
    return Instant(min(start, end - DAY)), end


def _kept(lines: Sequence[Line], names: dict[str, str], by: str) -> Chart:
    return bars(
        "kept",
        title=f"Compliance by {by}",
        description="Met of all that ended, the worst first",
        definition=reporting.DEFINITION,
        column="Compliance",
        lines=[
            Bar(
                name=names.get(each.group, each.group) or f"no {by}",
                value=each.per_mille or 0,
                shown=f"{(each.per_mille or 0) / 10:.1f} % ({each.met} of {each.ended})",
                tone="good"
                if (each.per_mille or 0) >= 950
                else "warn"
                if (each.per_mille or 0) >= 800
                else "bad",
            )
            for each in lines[:20]
        ],
    )


def _needed(said: reporting.Report) -> Chart:
    return distribution(
        "needed",
        title="Time needed, as a part of the target",
        description="Ended clocks by the percent of their target that counted",
        definition=reporting.DEFINITION,
        classes=[
            Class(name=name, count=count, tone="good" if place < 10 else "bad")
            for place, (name, count) in enumerate(said.shares)
        ],
        percentiles=[
            (f"p{share}", in_words(value // 1_000_000 * 1_000_000)) for share, value in said.whole.percentiles
        ],
    )


@require_POST
@screen("sla:write")
def recalculate(request: HttpRequest) -> HttpResponse:
    """Count the open clocks anew, in the background."""
    where = callers.organisation(request, "sla:write")
    reason = request.POST.get("reason", "").strip() or "asked for on the console"

    def do(work: Work) -> None:
        service.recalculate(work, where, because=reason[:300])

    act(
        request,
        do,
        permission="sla:write",
        organisation=where,
        done="The open clocks are being counted anew.",
    )
    return back(request, "/sla")


def counted(record: Any, now: Instant) -> list[tuple[Counting, service.Told]]:
    """Return the clocks of one record with their answers, for its own page."""
    told = service.told_of(record, now)
    return list(zip(board.counting([each.clock for each in told], now), told, strict=True))
