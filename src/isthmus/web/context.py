"""What every page template may rely on besides its own context."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest

from isthmus.hub.http.actor import Caller
from isthmus.identity import permissions
from isthmus.ledger.ids import source
from isthmus.web.console import menu


def page(request: HttpRequest) -> dict[str, Any]:
    """Return the actor, what they hold, the menu and the time at which the page was made."""
    caller = getattr(request, "isthmus", None)
    actor = caller.actor if isinstance(caller, Caller) else None
    held = permissions.held(actor) if actor is not None else frozenset()
    return {
        "actor": actor,
        "held": held,
        "menu": menu.entries(held, request.path) if actor is not None else [],
        "now": source.now(),
        "time_zone": caller.time_zone if isinstance(caller, Caller) else "",
        "trace": caller.trace if isinstance(caller, Caller) else "",
    }
