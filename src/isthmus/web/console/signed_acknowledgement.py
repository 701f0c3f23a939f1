"""The page behind a signed link in a message: its reader acknowledges without signing in.

Opening it changes nothing (mail scanners open links); the button does. The page shows what the message showed.
"""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods

from isthmus.hub.http import actor as callers
from isthmus.identity import people
from isthmus.kernel.actor import Actor, ActorKind, Origin
from isthmus.kernel.errors import IsthmusError
from isthmus.ledger import scope
from isthmus.ledger.door import perform
from isthmus.practices.on_call import service
from isthmus.web.console.screen import refused


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def acknowledge(request: HttpRequest, token: str) -> HttpResponseBase:
    """Show what is acknowledged, or do it."""
    try:
        with scope.everywhere("a signed link names one notification"):
            return _answer(request, token)
    except IsthmusError as error:
        return refused(request, error)


def _answer(request: HttpRequest, token: str) -> HttpResponse:
    notification, escalation = service.by_link(token)
    if request.method == "POST" and escalation.open and escalation.state != "acknowledged":
        name = people.labels([notification.person]).get(notification.person, "")
        escalation = perform(
            lambda work: service.acknowledge_by_link(work, token),
            actor=Actor(kind=ActorKind.PERSON, id=notification.person, label=name),
            origin=Origin(channel="page"),
            trace=callers.caller(request).trace,
        )
    context = {
        "title": "Acknowledge", "notification": notification, "escalation": escalation,
        "path": f"/on-call/escalations/{escalation.id}",
    }  # fmt: skip
    answer = render(request, "console/acknowledge.html", context)
    # The address holds the token: it must not travel to another site. With no referrer at all the browser would send
    # the form from origin "null", which is refused.
    answer["Referrer-Policy"] = "same-origin"
    return answer
