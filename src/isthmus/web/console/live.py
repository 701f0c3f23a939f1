"""The ticket that opens the live stream (`hub.live`): signed, good for a minute, for one actor's organisations."""

from __future__ import annotations

from django.http import HttpRequest, JsonResponse

from isthmus.hub import live
from isthmus.hub.http import actor as callers
from isthmus.kernel.errors import IsthmusError


def ticket(request: HttpRequest) -> JsonResponse:
    """Return `{"ticket", "expires_in"}`; whoever is not signed in gets 401 and no page goes live."""
    try:
        actor = callers.of(request)
    except IsthmusError:
        return JsonResponse({}, status=401)
    return JsonResponse({"ticket": live.issue(actor), "expires_in": live.TICKET_SECONDS_MAX})
