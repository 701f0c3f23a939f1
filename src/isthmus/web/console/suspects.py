"""Suspect changes of an incident: people judge them, and search again."""

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
def judge(request: HttpRequest, suspect_id: str) -> HttpResponse:
    """Confirm a change as the cause, clear it, or propose it again."""
    suspect = found(records.of("suspect").filter(id=suspect_id).first())
    verdict, reason = (request.POST.get(name, "").strip() for name in ("verdict", "reason"))

    def do(work: Work) -> Any:
        return service.judge_suspect(work, records.of("suspect").get(id=suspect_id), verdict, reason=reason)

    done = {"confirmed": "The change stands as the cause.", "cleared": "The change is cleared."}
    said = done.get(verdict, "The change is a suspect again.")
    act(request, do, permission="incident:write", organisation=suspect.organisation, done=said)
    return back(request, f"/incidents/{suspect.incident}")


@require_POST
@screen("incident:write")
def check(request: HttpRequest, incident_id: str) -> HttpResponse:
    """Search for changes around the incident's item now, and put on record what was searched."""
    incident = found(records.of("incident").filter(id=incident_id).first())

    def do(work: Work) -> Any:
        return service.check_collisions(work, service.get(work, incident_id))

    done = "Searched: what was looked at and found is on record."
    act(request, do, permission="incident:write", organisation=incident.organisation, done=done)
    return back(request, f"/incidents/{incident_id}")
