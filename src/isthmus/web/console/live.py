"""The ticket that opens the live stream: short-lived, signed, for one actor's organisations."""

from __future__ import annotations

from django.core import signing
from django.http import HttpRequest, JsonResponse

from isthmus.hub.http import actor as callers
from isthmus.kernel.errors import IsthmusError

SALT = "isthmus.live"
LIFE_SECONDS = 60


def ticket(request: HttpRequest) -> JsonResponse:
    """Return `{"ticket", "expires_in"}`; whoever is not signed in gets 401 and no page goes live."""
    try:
        actor = callers.of(request)
    except IsthmusError:
        return JsonResponse({}, status=401)
    told = {"actor": actor.id, "organisations": sorted(actor.organisations)}
    return JsonResponse({"ticket": signing.dumps(told, salt=SALT, compress=True), "expires_in": LIFE_SECONDS})
