"""Sources: whether every source of alerts is heard from, and whether what it is told sticks."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse

from isthmus.web.console import listing
from isthmus.web.console.screen import screen
from isthmus.web.lists.tables import SOURCES


@screen("alert:read")
def index(request: HttpRequest) -> HttpResponse:
    """One row per source: the last event, the expected interval, open alerts, what went astray."""
    return listing.show(request, SOURCES, "console/sources.html", lambda *_: {"title": "Sources"})
