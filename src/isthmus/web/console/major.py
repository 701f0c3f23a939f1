"""Major incidents: declare, hand over, stand down."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_POST

from isthmus.ledger.work import Work
from isthmus.practices.incident import service
from isthmus.web import records
from isthmus.web.console.screen import act, back, found, screen


@require_POST
@screen("incident:write")
def declare(request: HttpRequest, incident_id: str) -> HttpResponse:
    """Declare a major incident; on one that is major already, hand its triggers to another group."""
    incident = found(records.of("incident").filter(id=incident_id).first())
    owner, reason = (request.POST.get(name, "").strip() for name in ("owner", "reason"))

    def do(work: Work) -> Any:
        fresh = service.get(work, incident_id)
        step = service.hand_over if fresh.major else service.declare_major
        return step(work, fresh, owner=owner, reason=reason)

    done = f"It is a major incident; {owner} owns its workflow triggers."
    act(request, do, permission="incident:write", organisation=incident.organisation, done=done)
    return back(request, f"/incidents/{incident_id}")


@require_POST
@screen("incident:write")
def stand_down(request: HttpRequest, incident_id: str) -> HttpResponse:
    """End the major incident; the incident itself goes on."""
    incident = found(records.of("incident").filter(id=incident_id).first())
    reason = request.POST.get("reason", "").strip()

    def do(work: Work) -> Any:
        return service.stand_down(work, service.get(work, incident_id), reason=reason)

    done = "It is no longer a major incident; the incident itself goes on."
    act(request, do, permission="incident:write", organisation=incident.organisation, done=done)
    return back(request, f"/incidents/{incident_id}")
