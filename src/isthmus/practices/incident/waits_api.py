"""HTTP resources of the watchdog: what waits for whom, how long, and what the watchdog did about it."""

from __future__ import annotations

from typing import Any, Literal

from django.db.models import Count, Min
from django.http import HttpRequest, HttpResponse
from ninja import Query, Router, Schema

from isthmus.hub.http import actor as callers
from isthmus.hub.http import paging
from isthmus.ledger.ids import source
from isthmus.practices.incident.api import READ
from isthmus.practices.incident.desk_shapes import wait_out
from isthmus.practices.incident.models import Wait
from isthmus.practices.incident.shapes import time
from isthmus.practices.incident.waits import OPEN

router = Router(tags=["waits"])
GROUPS_MAX = 200


class WaitFilter(Schema):
    """Without `state`: what still waits. `overdue`: only what is beyond its limit."""

    state: Literal["", "waiting", "asking", "recovered", "escalated", "ended"] = ""
    workflow: str = ""
    partner: str = ""
    owner: str = ""
    record: str = ""
    overdue: bool = False
    cursor: str = ""
    limit: int = paging.LIMIT_DEFAULT


def chosen(filters: Any) -> Any:
    """Return the waits that a filter asks for."""
    rows = Wait.objects.filter(state=filters.state) if filters.state else Wait.objects.filter(state__in=OPEN)
    for name in ("workflow", "partner", "owner", "record"):
        if value := getattr(filters, name):
            rows = rows.filter(**{name: value})
    return rows.filter(limit_at__lte=source.now()) if filters.overdue else rows


@router.get("/waits", summary="What waits, the oldest first")
def list_waits(request: HttpRequest, response: HttpResponse, filters: Query[WaitFilter]) -> dict[str, Any]:
    """Return a page of the aged list."""
    callers.require(request, READ)
    return paging.listed(
        request,
        response,
        chosen(filters),
        out=wait_out,
        cursor=filters.cursor,
        limit=filters.limit,
        order="since",
    )


@router.get("/waits/summary", summary="How much waits, by workflow, partner or owner")
def summarise(
    request: HttpRequest, by: Literal["workflow", "partner", "owner"] = "workflow"
) -> dict[str, Any]:
    """Return per group how many wait, how many are beyond their limit, and since when the oldest."""
    callers.require(request, READ)
    return {"items": groups(by)}


def groups(by: str) -> list[dict[str, Any]]:
    """Return the aged list in sums, the oldest group first."""
    rows = Wait.objects.filter(state__in=OPEN)
    late = dict(rows.filter(limit_at__lte=source.now()).order_by().values_list(by).annotate(Count("id")))
    counted = (
        rows.order_by().values_list(by).annotate(count=Count("id"), oldest=Min("since")).order_by("oldest")
    )
    return [
        {by: name, "count": count, "overdue": late.get(name, 0), "oldest": time(oldest)}
        for name, count, oldest in counted[:GROUPS_MAX]
    ]
