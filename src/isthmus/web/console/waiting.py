"""Waiting: what waits for whom, how long already, and what the watchdog did about it."""

from __future__ import annotations

from typing import Any, Final

from django.http import HttpRequest, HttpResponse

from isthmus.hub.http import paging
from isthmus.ledger.ids import source
from isthmus.practices.incident import forwarding
from isthmus.practices.incident.waits import OPEN
from isthmus.practices.incident.waits_api import groups
from isthmus.web import records
from isthmus.web.console.screen import page, screen

BY: Final = ("workflow", "partner", "owner")


@screen("incident:read")
def index(request: HttpRequest) -> HttpResponse:
    """The aged list, the oldest first, narrowed by what stands in the URL."""
    rows = records.of("wait")
    state = request.GET.get("state", "open")
    if state == "open":
        rows = rows.filter(state__in=OPEN)
    elif state in {"recovered", "ended", "escalated"}:
        rows = rows.filter(state=state)
    for name in BY:
        if name in request.GET:
            rows = rows.filter(**{name: request.GET[name]})
    cut = paging.cut(
        rows, cursor=request.GET.get("cursor", ""), limit=request.GET.get("limit"), order="since"
    )
    by = request.GET.get("by", "workflow")
    by = by if by in BY else "workflow"
    orphans = forwarding.orphans()
    context: dict[str, Any] = {
        "title": "Waiting",
        "waits": cut.items,
        "next": cut.next,
        "incidents": records.by_ids(
            "incident", [*(each.record for each in cut.items), *(each.record for each in orphans)]
        ),
        "state": state,
        "by": by,
        "groups": [{**each, "name": each[by]} for each in groups(by)],
        "orphans": orphans,
        "late": source.now(),
    }
    return page(request, "console/waiting.html", context)
