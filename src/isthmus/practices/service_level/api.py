"""HTTP resources of service level management."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any, Literal

from django.http import HttpRequest, HttpResponse
from ninja import Query, Router, Schema

from isthmus.hub.http import actor as callers
from isthmus.hub.http import etag, idempotency, paging
from isthmus.kernel.duration import in_words
from isthmus.kernel.errors import Problem, Rejected
from isthmus.kernel.instant import DAY, Instant, from_rfc3339
from isthmus.ledger.ids import source
from isthmus.ledger.work import Work
from isthmus.practices.service_level import board, definitions, reporting, service, standing
from isthmus.practices.service_level.models import SlaClock
from isthmus.practices.service_level.shapes import (
    clock_out,
    comparison_out,
    line_out,
    prediction_out,
    report_out,
    share_out,
    told_out,
)

router = Router(tags=["service levels"])
READ, WRITE = "sla:read", "sla:write"
SPAN_DEFAULT = 30 * DAY


class ClockFilter(Schema):
    """Every given value narrows the list. `service` is the id of a service on the map."""

    state: Literal["", "running", "paused", "stopped", "cancelled"] = ""
    record_kind: str = ""
    record: str = ""
    target: str = ""
    definition: str = ""
    priority: str = ""
    service: str = ""
    organisation: str = ""

    def wanted(self) -> dict[str, str]:
        return {name: getattr(self, name) for name in board.FILTERS}


class ClockPage(ClockFilter):
    """`breached` true or false; `cursor` and `limit` as everywhere."""

    breached: bool | None = None
    cursor: str = ""
    limit: int = paging.LIMIT_DEFAULT


class ReportFilter(Schema):
    """The period in RFC 3339 (default: the last thirty days), and what to group by."""

    since: str = ""
    until: str = ""
    by: Literal["service", "priority", "target", "definition", "month", "week"] = "service"
    record_kind: str = ""
    target: str = ""
    priority: str = ""
    service: str = ""
    organisation: str = ""


class RecalculationIn(Schema):
    """Why the clocks are counted anew: it stands in the ledger of every clock that changes."""

    reason: str
    organisation: str = ""


@router.get("/sla/clocks", summary="List service level clocks, the newest first")
def list_clocks(request: HttpRequest, response: HttpResponse, filters: Query[ClockPage]) -> dict[str, Any]:
    """Return a page of clocks as they stand now."""
    callers.require(request, READ)
    rows = board.chosen(SlaClock.objects.all(), filters.wanted())
    if filters.breached is not None:
        rows = rows.filter(breached=filters.breached)
    found = paging.cut(rows, cursor=filters.cursor, limit=filters.limit)
    paging.link_next(request, response, found.next)
    now = source.now()
    return {"items": [clock_out(each) for each in board.counting(found.items, now)], "next": found.next}


@router.get("/sla/board", summary="Open clocks, the one with the least time left first")
def get_board(request: HttpRequest, filters: Query[ClockFilter]) -> dict[str, Any]:
    """Return at most a hundred open clocks: running ones by the time they are due, then paused ones."""
    callers.require(request, READ)
    now = source.now()
    found = board.by_urgency(board.counting(board.open_clocks(filters.wanted()), now))
    return {"items": [clock_out(each) for each in found], "next": ""}


@router.get("/sla/summary", summary="How all open clocks stand now")
def get_summary(request: HttpRequest, filters: Query[ClockFilter]) -> dict[str, Any]:
    """Return how many open clocks are over their target, near it (three quarters) and paused, at this instant."""
    callers.require(request, READ)
    return asdict(standing.standing(filters.wanted(), source.now()))


@router.get("/sla/clocks/{clock_id}", summary="One clock, with when it will breach")
def get_clock(request: HttpRequest, response: HttpResponse, clock_id: str) -> dict[str, Any]:
    """Return a clock as it stands now, and the prediction at its current state."""
    callers.require(request, READ)
    clock, now = service.get(clock_id), source.now()
    etag.stamp(response, clock)
    (found,) = board.counting([clock], now)
    return {**clock_out(found), "prediction": prediction_out(service.predicted(clock, now))}


@router.get("/sla/clocks/{clock_id}/timeline", summary="Why breached, why not")
def get_timeline(request: HttpRequest, clock_id: str) -> dict[str, Any]:
    """Return the answer in sentences, where the time went, and every move with the entry that caused it."""
    callers.require(request, READ)
    return told_out(service.timeline(service.get(clock_id), source.now()))


@router.get(
    "/sla/clocks/{clock_id}/ledger", summary="What the clock did, in the order in which it became known"
)
def get_ledger(request: HttpRequest, clock_id: str) -> dict[str, Any]:
    """Return every start, pause, resume, stop, reset, threshold and recalculation with its cause."""
    callers.require(request, READ)
    return {"items": [line_out(each) for each in service.ledger(service.get(clock_id))]}


@router.get("/sla/clocks/{clock_id}/custodians", summary="Working time per custodian")
def get_custodians(request: HttpRequest, clock_id: str) -> dict[str, Any]:
    """Return in whose hands the record was while the clock counted; the parts add up to what has elapsed."""
    callers.require(request, READ)
    found = service.minutes_per_custodian(service.get(clock_id), source.now())
    return {"items": [share_out(each) for each in found or ()], "known": found is not None}


@router.get("/sla/partner-clocks", summary="Partners' clocks of a record beside ours")
def get_partner_clocks(request: HttpRequest, record: str) -> dict[str, Any]:
    """Return how far each partner's clock differs from ours, and which stretch of time makes the difference."""
    callers.require(request, READ)
    return {"items": [comparison_out(each) for each in service.compared(record)]}


@router.get("/sla/report", summary="Compliance and distribution of ended clocks")
def get_report(request: HttpRequest, filters: Query[ReportFilter]) -> dict[str, Any]:
    """Return how promises were kept whose clocks ended in the period."""
    callers.require(request, READ)
    since, until = period(filters.since, filters.until, source.now())
    wanted = {name: getattr(filters, name, "") for name in board.FILTERS}
    found = reporting.compliance(since, until, by=filters.by, wanted=wanted)
    return {**report_out(found), "definition": reporting.DEFINITION}


@router.get("/sla/definitions", summary="What is promised to whom")
def list_definitions(request: HttpRequest) -> dict[str, Any]:
    """Return every target of the definitions in force, in the order in which they are tried."""
    callers.require(request, READ)
    found = []
    for kind, targets in sorted(definitions.current().promises.items()):
        for target, promises in sorted(targets.items()):
            for each in promises:
                spec, terms = each.spec, each.terms
                found.append(
                    {
                        "kind": kind, "target": target, "definition": spec.name, "within": in_words(terms.amount),
                        "calendar": terms.calendar, "priorities": spec.priorities, "services": spec.services,
                        "tiers": spec.tiers, "when": spec.when, "thresholds": list(terms.thresholds),
                        "retarget": terms.retarget, "reopened": terms.reopen,
                    }
                )  # fmt: skip
    return {"items": found}


@router.post("/sla/recalculate", summary="Count the open clocks anew from the history")
def recalculate(request: HttpRequest, payload: RecalculationIn) -> HttpResponse:
    """Begin a recalculation in the background; ended clocks keep their verdict."""
    where = callers.organisation(request, WRITE, payload.organisation)
    if not payload.reason.strip():
        raise Rejected(
            "A recalculation needs a reason.", problems=(Problem(path="/reason", message="is empty"),)
        )

    def do(work: Work) -> dict[str, Any]:
        service.recalculate(work, where, because=payload.reason.strip())
        return {"organisation": where, "state": "begun"}

    return idempotency.act(request, do, out=lambda found: found, status=202)


def period(since: str, until: str, now: Instant) -> tuple[Instant, Instant]:
    """Return the asked period; by default the last thirty days."""
    end = from_rfc3339(until) if until else now
    start = from_rfc3339(since) if since else Instant(max(0, end - SPAN_DEFAULT))
    if start >= end:
        raise Rejected("The period ends before it begins.", remedy="Give `since` before `until`.")
    return start, end
