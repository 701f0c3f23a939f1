"""The map: what depends on this."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.http import HttpRequest, HttpResponse, HttpResponseRedirect

from isthmus.practices.configuration import snapshot
from isthmus.web import records
from isthmus.web.console import listing, map_view
from isthmus.web.console.screen import found, page, screen
from isthmus.web.lists.tables import ITEMS

INCIDENTS_MAX = 20


@dataclass(frozen=True, kw_only=True)
class Impact:
    """What the failure of an item would reach now."""

    services: list[Any]
    users: int
    incidents: list[Any]


@screen("ci:read")
def index(request: HttpRequest) -> HttpResponse:
    """Items by name; a search that means exactly one goes straight to it."""
    if wanted := request.GET.get("q", "").strip():
        exact = snapshot.current().index.resolve(wanted)
        if exact and "format" not in request.GET:
            return HttpResponseRedirect(f"/map/{exact}")
    return listing.show(request, ITEMS, "console/map.html", lambda *_: {"title": "Map"})


@screen("ci:read")
def one(request: HttpRequest, ci_id: str) -> HttpResponse:
    """One item in the middle of its neighbourhood."""
    focus = found(map_view.facts(ci_id))
    depth = _depth(request.GET.get("depth", ""))
    around = map_view.around(ci_id, depth)
    context = {
        "title": focus.name,
        "crumbs": [("Map", "/map"), (focus.name, "")],
        "focus": focus,
        "depth": depth,
        "depth_max": map_view.DEPTH_MAX,
        "around": around,
        "drawing": map_view.drawn(around, title=f"What {focus.name} stands on and what depends on it"),
        "impact": _impact(ci_id),
    }
    return page(request, "console/map.html", context)


def _depth(text: str) -> int:
    try:
        return max(1, min(map_view.DEPTH_MAX, int(text)))
    except ValueError:
        return map_view.DEPTH_DEFAULT


def _impact(ci_id: str) -> Impact:
    shot = snapshot.current()
    services = [shot.cis[each] for each in shot.services_of(ci_id)]
    reached = shot.graph.affected([ci_id])
    incidents = records.of("incident").filter(
        ci__in=list(reached)[:5000], state__in=("new", "in_progress", "on_hold")
    )
    return Impact(
        services=services,
        users=sum(each.users for each in services),
        incidents=list(incidents.order_by("priority", "id")[:INCIDENTS_MAX]),
    )
