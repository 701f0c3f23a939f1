"""Sources: whether every source of alerts is heard from, and whether what it is told sticks."""

from __future__ import annotations

from typing import Any

from django.db.models import Count, Max, Q
from django.http import HttpRequest, HttpResponse

from isthmus.hub import connections
from isthmus.ledger import scope
from isthmus.ledger.ids import source
from isthmus.practices.monitoring import expecting, telling
from isthmus.web import records
from isthmus.web.console.screen import page, screen


@screen("alert:read")
def index(request: HttpRequest) -> HttpResponse:
    """One row per source: the last event, the expected interval, open alerts, what went astray."""
    seen = scope.current()
    expected = {each.connection: each for each in expecting.visible(source.now())}
    counted = {each["connection"]: each for each in _counted()}
    names = {
        name: each
        for name, each in connections.in_force().items()
        if (seen is None or each.organisation in seen)
        and any(able.kind == "alert" for able in each.manifest.able())
    }
    rows: list[dict[str, Any]] = [
        {
            "name": name,
            "title": each.manifest.name,
            "counts": counted.get(name, {}),
            "expected": expected.get(name),
            "able": sorted(telling.able(name) & {"acknowledge", "annotate", "resolve", "silence"}),
        }
        for name, each in names.items()
    ]
    rows.sort(key=lambda each: (not (each["expected"] and each["expected"].silent), each["name"]))
    return page(request, "console/sources.html", {"title": "Sources", "sources": rows})


def _counted() -> Any:
    return (
        records.of("alert")
        .filter(open=True)
        .values("connection")
        .annotate(
            firing=Count("id", filter=Q(state="firing")),
            last=Max("last_seen_at"),
            astray=Count("id", filter=Q(astray=True)),
        )
        .order_by("connection")
    )
