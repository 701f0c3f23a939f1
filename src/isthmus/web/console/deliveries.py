"""Deliveries: what is waiting or stuck, why, and what fixes it."""

from __future__ import annotations

from typing import Any, Final

from django.contrib import messages
from django.db.models import Count, Min
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.views.decorators.http import require_POST

from isthmus.hub.lanes import service
from isthmus.hub.lanes.models import SETTLED_STATES, STATES, Delivery
from isthmus.hub.models import ParkedMessage
from isthmus.identity import permissions
from isthmus.ledger.work import Work
from isthmus.web import visible
from isthmus.web.console import listing, parked
from isthmus.web.console.screen import act, back, me, page, screen
from isthmus.web.lists.asked import Asked
from isthmus.web.lists.tables import DELIVERIES
from isthmus.web.lists.tables.deliveries import names

RETRIED_MAX: Final = 500


@screen("delivery:read")
def index(request: HttpRequest) -> HttpResponseBase:
    """Lanes with their counts, then the deliveries that the URL asks for: what is stuck comes first."""
    if request.GET.get("lane") == "parked":
        return parked.index(request)

    def more(asked: Asked, *_: Any) -> dict[str, Any]:
        return {
            "title": "Deliveries",
            "lanes": _lanes(),
            "state": asked.get("state"),
            "states": STATES,
            "parked_count": visible.rows(ParkedMessage).filter(state="parked").count(),
        }

    return listing.show(request, DELIVERIES, "console/deliveries.html", more)


@require_POST
@screen("delivery:retry")
def many(request: HttpRequest) -> HttpResponse:
    """Retry or give up the chosen deliveries, or all dead ones of a lane: a preview first, then the deed."""
    deed = "discard" if request.POST.get("do") == "discard" else "retry"
    chosen, reason = _chosen(request), request.POST.get("reason", "").strip()
    if request.POST.get("confirmed") != "yes" or (deed == "discard" and not reason):
        if request.POST.get("confirmed") == "yes":
            messages.error(request, "Say why they are not needed: nothing else will.")
        context = {
            "title": "Give dead letters up" if deed == "discard" else "Retry deliveries",
            "crumbs": [("Deliveries", "/deliveries"), ("Preview", "")],
            "deed": deed,
            "chosen": [(each, _will(deed, each)) for each in chosen],
            "counted": sum(_will(deed, each) for each in chosen),
            "records": names(chosen, me(request)),
            "reason_max": service.REASON_CHARACTERS_MAX,
            "next": request.POST.get("next", ""),
        }
        return page(request, "console/deliveries_many.html", context)
    if deed == "retry":
        _retry(request, chosen)
    else:
        _discard(request, chosen, reason)
    return back(request, "/deliveries")


def _chosen(request: HttpRequest) -> list[Any]:
    rows = visible.rows(Delivery)
    if lane := request.POST.get("lane", ""):
        return list(rows.filter(connection=lane, state="dead").order_by("created_at")[:RETRIED_MAX])
    return list(rows.filter(id__in=request.POST.getlist("id")[:RETRIED_MAX]).order_by("created_at"))


def _will(deed: str, delivery: Any) -> bool:
    """Return whether the deed will do anything to it."""
    return bool(delivery.state == "dead" if deed == "discard" else delivery.state not in SETTLED_STATES)


@require_POST
@screen("delivery:retry")
def retry(request: HttpRequest) -> HttpResponse:
    """Try the chosen deliveries again now, each in a Work of its own: one that is refused stops no other."""
    chosen = visible.rows(Delivery).filter(id__in=request.POST.getlist("id")[:RETRIED_MAX])
    _retry(request, list(chosen))
    return back(request, "/deliveries")


@require_POST
@screen("delivery:retry")
def retry_all(request: HttpRequest) -> HttpResponse:
    """Try every dead delivery of one lane again, oldest first."""
    connection = request.POST.get("connection", "")
    dead = (
        visible.rows(Delivery)
        .filter(connection=connection, state="dead")
        .order_by("created_at")[:RETRIED_MAX]
    )
    _retry(request, list(dead))
    return back(request, "/deliveries")


def _retry(request: HttpRequest, deliveries: list[Any]) -> None:
    for each in deliveries:
        permissions.require(me(request), "delivery:retry", each.organisation)

        def do(work: Work, delivery_id: str = each.id) -> Any:
            return service.retry(work, delivery_id)

        act(
            request,
            do,
            permission="delivery:retry",
            organisation=each.organisation,
            done=f"{each.connection}: {each.verb or each.kind} is tried again.",
        )


def _discard(request: HttpRequest, deliveries: list[Any], reason: str) -> None:
    for each in deliveries:

        def do(work: Work, delivery_id: str = each.id) -> Any:
            return service.discard(work, delivery_id, reason)

        act(
            request,
            do,
            permission="delivery:retry",
            organisation=each.organisation,
            done=f"{each.connection}: {each.verb or each.kind} is given up.",
        )


def _lanes() -> list[dict[str, Any]]:
    """Return per connection: counts by state and the age of the oldest open delivery; one query."""
    lanes: dict[str, dict[str, Any]] = {}
    rows = (
        visible.rows(Delivery)
        .exclude(state__in=SETTLED_STATES)
        .values("connection", "state")
        .annotate(count=Count("id"), oldest=Min("created_at"))
    )
    for row in rows:
        lane = lanes.setdefault(
            row["connection"], {"connection": row["connection"], "open": 0, "dead": 0, "oldest": None}
        )
        lane["dead" if row["state"] == "dead" else "open"] += row["count"]
        lane["oldest"] = min(filter(None, (lane["oldest"], row["oldest"])), default=None)
    return sorted(lanes.values(), key=lambda each: (-each["dead"], each["connection"]))
