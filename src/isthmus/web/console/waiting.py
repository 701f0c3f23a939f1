"""Waiting: what waits for whom, how long already, and what the watchdog did about it."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest, HttpResponse

from isthmus.practices.incident import forwarding
from isthmus.practices.incident.waits_api import groups
from isthmus.web import records
from isthmus.web.console import listing
from isthmus.web.console.screen import screen
from isthmus.web.lists.asked import Asked
from isthmus.web.lists.tables import WAITING


@screen("incident:read")
def index(request: HttpRequest) -> HttpResponse:
    """The aged list, the oldest first, narrowed by what stands in the URL."""

    def more(asked: Asked, *_: Any) -> dict[str, Any]:
        by, orphans = asked.get("by"), forwarding.orphans()
        return {
            "title": "Waiting",
            "incidents": records.by_ids("incident", [each.record for each in orphans]),
            "state": asked.get("state"),
            "by": by,
            "groups": [{**each, "name": each[by]} for each in groups(by)],
            "orphans": orphans,
        }

    return listing.show(request, WAITING, "console/waiting.html", more)
