"""Known errors: what we know how to work around, where it was found to fit, and what people say of it on incidents."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_POST

from isthmus.hub.http import actor as callers
from isthmus.identity import people, permissions
from isthmus.kernel.errors import IsthmusError
from isthmus.kernel.kinds.problem import KNOWN_ERROR_STATES
from isthmus.ledger import reading
from isthmus.ledger.work import Work
from isthmus.practices.incident import service as incidents
from isthmus.practices.monitoring import service as monitoring
from isthmus.practices.problem import matching, service
from isthmus.web import records
from isthmus.web.console import incident_view, listing
from isthmus.web.console.screen import act, back, found, page, screen
from isthmus.web.lists.asked import Asked
from isthmus.web.lists.tables import KNOWN_ERRORS

MATCHES_SHOWN_MAX: Final = 50


@screen("problem:read")
def index(request: HttpRequest) -> HttpResponse:
    """The known errors, the newest first."""

    def more(asked: Asked, *_: Any) -> dict[str, Any]:
        return {"title": "Known errors", "state": asked.get("state"), "states": KNOWN_ERROR_STATES}

    return listing.show(request, KNOWN_ERRORS, "console/known_errors.html", more)


@screen("problem:read")
def one(request: HttpRequest, known_error_id: str) -> HttpResponse:
    """One known error: what to do, which incidents it fits, where it did, its story."""
    known = found(records.of("known_error").filter(id=known_error_id).first())
    held = callers.of(request)
    history = reading.history(known.id)
    names = people.labels([each.actor for each in history])
    cis = records.titles("ci", [*(known.cis or ()), *(known.services or ())], "name")
    problem = records.of("problem").filter(id=known.problem).first() if known.problem else None
    sees = permissions.allowed(held, "incident:read", known.organisation)
    matches = records.of("known_error_match").filter(known_error=known.id).order_by("-id")
    matches = list(matches[:MATCHES_SHOWN_MAX]) if sees else []
    publishes = permissions.allowed(held, "problem:publish", known.organisation)
    writes = permissions.allowed(held, "problem:write", known.organisation)
    context = {
        "title": f"{known.number} {known.title}",
        "crumbs": [("Known errors", "/known-errors"), (known.number, "")],
        "known": known,
        "problem": problem,
        "matches": matches,
        "incidents": records.by_ids("incident", [each.record for each in matches]),
        "moves": service.known_error_moves(known.state) if publishes else (),
        "editable": writes and (publishes or known.state != "published"),
        "tried": _tried(request, known) if sees and request.GET.get("incident") else None,
        "people": names,
        "cis": cis,
        "story": incident_view.story(history, (), (), names | cis),
    }
    return page(request, "console/known_error.html", context)


def _tried(request: HttpRequest, known: Any) -> dict[str, Any] | None:
    """Return whether it would fit the incident that the reader names, and why."""
    reference = request.GET["incident"].strip()
    rows = records.of("incident").filter(organisation=known.organisation)
    incident = rows.filter(number=reference.upper()).first() or rows.filter(id=reference).first()
    if incident is None:
        messages.error(request, f"There is no incident {reference[:80]} here.")
        return None
    try:
        fit = service.trial(known, incident, list(monitoring.alerts_of(incident.id)[: matching.ALERTS_MAX]))
    except IsthmusError as error:
        messages.error(request, str(error))
        return None
    return {"incident": incident, "why": fit.reason.text if fit is not None else ""}


@require_POST
@screen("problem:publish")
def publish(request: HttpRequest, known_error_id: str) -> HttpResponse:
    """Have it fit incidents from now on."""
    return _act(request, known_error_id, service.publish, "Published: it fits incidents from now on.")


@require_POST
@screen("problem:publish")
def retire(request: HttpRequest, known_error_id: str) -> HttpResponse:
    """Have it fit no further incident."""
    reason = request.POST.get("reason", "")
    return _act(
        request,
        known_error_id,
        lambda work, known: service.retire(work, known, reason=reason),
        "Retired: it fits no further incident.",
    )


def _act(
    request: HttpRequest, known_error_id: str, do: Callable[[Work, Any], Any], done: str
) -> HttpResponse:
    known = found(records.of("known_error").filter(id=known_error_id).first())

    def once(work: Work) -> Any:
        return do(work, service.known_error_of(work, known_error_id))

    act(request, once, permission="problem:publish", organisation=known.organisation, done=done)
    return back(request, f"/known-errors/{known_error_id}")


# On incidents -------------------------------------------------------------------------------------------------


@require_POST
@screen("incident:write")
def attach(request: HttpRequest, incident_id: str) -> HttpResponse:
    """Put a known error on an incident by hand."""
    reference, reason = (request.POST.get(name, "").strip() for name in ("known_error", "reason"))

    def do(work: Work, incident: Any) -> Any:
        known = service.known_error_of(work, reference)
        permissions.require(work.actor, "problem:read", known.organisation)
        return service.attach(work, incident, known, reason=reason)

    return _on_incident(request, incident_id, do, "The known error is attached.")


@require_POST
@screen("incident:write")
def judge(request: HttpRequest, incident_id: str, match_id: str) -> HttpResponse:
    """Say that it was this known error, or was not."""
    verdict, reason, comment = (
        request.POST.get(name, "").strip() for name in ("verdict", "reason", "comment")
    )
    # One form offers both answers: what is said to the caller goes with a confirmation only.
    comment = comment if verdict == "confirmed" else ""

    def do(work: Work, incident: Any) -> Any:
        found_match = service.match_of(work, match_id, incident.id)
        return service.judge(work, incident, found_match, verdict, reason=reason, comment=comment)

    done = {
        "confirmed": "It was this known error.",
        "rejected": "It was not: it is not offered again for this incident.",
    }.get(verdict, "It is open again.")
    return _on_incident(request, incident_id, do, done)


def _on_incident(
    request: HttpRequest, incident_id: str, do: Callable[[Work, Any], Any], done: str
) -> HttpResponse:
    incident = found(records.of("incident").filter(id=incident_id).first())

    def once(work: Work) -> Any:
        return do(work, incidents.get(work, incident_id))

    act(request, once, permission="incident:write", organisation=incident.organisation, done=done)
    return back(request, f"/incidents/{incident_id}")
