"""How I am reached: one's own contact card, which nobody else sees."""

from __future__ import annotations

from typing import Any, Final

from django.http import HttpRequest, HttpResponse, QueryDict

from isthmus.kernel.actor import ActorKind
from isthmus.kernel.errors import Conflict
from isthmus.ledger.work import Work
from isthmus.practices.on_call import service
from isthmus.web.console.screen import act, back, me, page, screen

READ: Final = "oncall:read"
METHODS_SHOWN: Final = 4


@screen(READ)
def contact(request: HttpRequest) -> HttpResponse:
    """How I am reached, in which order, and when I am left alone."""
    actor = me(request)
    if actor.kind is not ActorKind.PERSON:
        raise Conflict("A program has no contact card.")
    typed = request.POST
    if request.method == "POST":
        saved = act(
            request,
            lambda work: _save(work, request, actor.id),
            permission=READ,
            organisation="",
            done="Your card is saved.",
        )
        if saved is not None:
            return back(request, "/on-call/contact")
    card = service.card(actor.id)
    methods = card.methods if card is not None and isinstance(card.methods, list) else []
    quiet = card.quiet_hours if card is not None and isinstance(card.quiet_hours, list) else []
    shown = quiet[0] if quiet and isinstance(quiet[0], dict) else {}
    if typed:
        methods = [{"channel": name, "address": to} for name, to in _ways(typed)]
        shown = {"start": typed.get("quiet_start", ""), "end": typed.get("quiet_end", "")}
    blank = [{"channel": "", "address": ""}] * max(1, METHODS_SHOWN - len(methods))
    context = {
        "title": "How I am reached", "card": typed or card, "methods": [*methods, *blank], "channels": service.channels_for_people(),
        "quiet": shown, "crumbs": [("On call", "/on-call"), ("How I am reached", "")],
    }  # fmt: skip
    answer = page(request, "console/contact.html", context)
    answer.status_code = 422 if typed else 200
    return answer


def _ways(typed: QueryDict) -> list[tuple[str, str]]:
    """Return the ways that were filled in: channel and address."""
    pairs = zip(typed.getlist("channel"), typed.getlist("address"), strict=False)
    return [(name, to) for name, to in pairs if name and to.strip()]


def _save(work: Work, request: HttpRequest, person: str) -> Any:
    return service.set_card(
        work, person, methods=[{"channel": name, "address": to} for name, to in _ways(request.POST)],
        quiet_hours=_quiet(service.card(person), request.POST.get("quiet_start", ""), request.POST.get("quiet_end", "")),
        locale=request.POST.get("locale", ""), zone=request.POST.get("zone", "").strip(),
    )  # fmt: skip


def _quiet(card: Any, start: str, end: str) -> list[dict[str, Any]]:
    """The page shows the first stretch only: its days, and the stretches after it, stay as the API set them."""
    held = list(card.quiet_hours) if card is not None and isinstance(card.quiet_hours, list) else []
    if not (start and end):
        return held[1:]
    return [{**(held[0] if held else {}), "start": start, "end": end}, *held[1:]]
