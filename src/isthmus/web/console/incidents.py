"""Incidents: what happened, who has it, what to do next."""

from __future__ import annotations

from typing import Any, Final

from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_POST

from isthmus.kernel.errors import Conflict
from isthmus.kernel.kinds.incident import INCIDENT_STATES, LEVELS
from isthmus.ledger.ids import source
from isthmus.ledger.work import Work
from isthmus.practices.incident import service
from isthmus.web import records
from isthmus.web.console import attachments, desks_view, incident_view, listing
from isthmus.web.console.screen import act, back, found, me, page, recent, refused, screen
from isthmus.web.lists.asked import Asked
from isthmus.web.lists.tables import INCIDENTS

SELECTED_MAX: Final = 200
_UNDO: Final = "bulk_assignment"


@screen("incident:read")
def index(request: HttpRequest) -> HttpResponse:
    """The list, newest first, filtered by what stands in the URL."""

    def more(asked: Asked, *_: Any) -> dict[str, Any]:
        return {
            "title": "Incidents",
            "state": asked.get("state"),
            "priority": asked.get("priority"),
            "states": INCIDENT_STATES,
            "levels": LEVELS,
            "undoable": _undoable(request),
        }

    return listing.show(request, INCIDENTS, "console/incidents.html", more)


@screen("incident:read")
def one(request: HttpRequest, incident_id: str) -> HttpResponse:
    """One incident: its state everywhere, its story, what it touches."""
    incident = found(records.of("incident").filter(id=incident_id).first())
    context = incident_view.context(incident) | attachments.context(incident)
    context |= desks_view.context(incident, me(request), source.now())
    context["title"] = f"{incident.number} {incident.title}"
    context["crumbs"] = [("Incidents", "/incidents"), (incident.number, "")]
    return page(request, "console/incident.html", context)


@require_POST
@screen("incident:write")
def comment(request: HttpRequest, incident_id: str) -> HttpResponse:
    incident = found(records.of("incident").filter(id=incident_id).first())
    body = request.POST.get("body", "")
    public = request.POST.get("public") == "on"

    def do(work: Work) -> Any:
        return service.comment(work, _fresh(incident_id), body, public=public)

    done = "The comment is recorded and goes to every linked system."
    act(request, do, permission="incident:write", organisation=incident.organisation, done=done)
    return back(request, f"/incidents/{incident_id}")


@require_POST
@screen("incident:write")
def change(request: HttpRequest, incident_id: str) -> HttpResponse:
    """Set fields: only those that the form carries."""
    incident = found(records.of("incident").filter(id=incident_id).first())
    names = ("state", "impact", "urgency", "assignment_group", "assignee", "category", "hold_reason")
    values = {name: request.POST[name].strip() for name in names if name in request.POST}
    if values.get("state", incident.state) != "on_hold":
        values.pop("hold_reason", None)

    def do(work: Work) -> Any:
        fresh = _fresh(incident_id)
        return service.update(work, fresh, {k: v for k, v in values.items() if getattr(fresh, k) != v})

    act(
        request,
        do,
        permission="incident:write",
        organisation=incident.organisation,
        done="The incident is changed.",
    )
    return back(request, f"/incidents/{incident_id}")


@require_POST
@screen("incident:write")
def resolve(request: HttpRequest, incident_id: str) -> HttpResponse:
    incident = found(records.of("incident").filter(id=incident_id).first())
    code, notes = request.POST.get("code", "").strip(), request.POST.get("notes", "").strip()

    def do(work: Work) -> Any:
        return service.resolve(work, _fresh(incident_id), code=code, notes=notes)

    done = "The incident is resolved here and will be in every linked system."
    act(request, do, permission="incident:write", organisation=incident.organisation, done=done)
    return back(request, f"/incidents/{incident_id}")


@require_POST
@screen("incident:write")
def reopen(request: HttpRequest, incident_id: str) -> HttpResponse:
    incident = found(records.of("incident").filter(id=incident_id).first())

    def do(work: Work) -> Any:
        return service.reopen(work, _fresh(incident_id))

    act(
        request,
        do,
        permission="incident:write",
        organisation=incident.organisation,
        done="The incident is open again.",
    )
    return back(request, f"/incidents/{incident_id}")


@require_POST
@screen("incident:write")
def many(request: HttpRequest) -> HttpResponse:
    """Assign the chosen incidents to a group: first a preview of what changes, then the change."""
    ids = request.POST.getlist("id")[:SELECTED_MAX]
    group = request.POST.get("assignment_group", "").strip()
    chosen = list(records.of("incident").filter(id__in=ids).order_by("id"))
    if request.POST.get("confirmed") != "yes":
        context = {
            "title": "Assign incidents",
            "chosen": chosen,
            "group": group,
            "crumbs": [("Incidents", "/incidents"), ("Assign", "")],
        }
        return page(request, "console/incidents_many.html", context)
    before: dict[str, str] = {}
    for each in chosen:

        def do(work: Work, incident_id: str = each.id) -> Any:
            fresh = _fresh(incident_id)
            held = fresh.assignment_group
            service.update(work, fresh, {"assignment_group": group})
            return held

        held = act(
            request, do, permission="incident:write", organisation=each.organisation,
            done=f"{each.number} is with {group or 'nobody'}.",
        )  # fmt: skip
        if held is not None and held != group:
            before[each.id] = held
    request.session[_UNDO] = {"at": source.now(), "group": group, "before": before}
    return back(request, "/incidents")


@require_POST
@screen("incident:write")
def undo(request: HttpRequest) -> HttpResponse:
    """Give the incidents of the last bulk assignment back; those that somebody moved on since stay."""
    last = _undoable(request)
    if last is None:
        return refused(
            request,
            Conflict("There is nothing to undo any more.", remedy="Assign the incidents again by hand."),
        )
    request.session.pop(_UNDO, None)
    for each in list(records.of("incident").filter(id__in=list(last["before"])).order_by("id")):

        def do(work: Work, incident_id: str = each.id) -> Any:
            fresh = _fresh(incident_id)
            if fresh.assignment_group != last["group"]:
                raise Conflict(
                    f"{fresh.number} was assigned to {fresh.assignment_group or 'nobody'} since.",
                    remedy="It stays there.",
                )
            return service.update(work, fresh, {"assignment_group": last["before"][incident_id]})

        act(
            request, do, permission="incident:write", organisation=each.organisation,
            done=f"{each.number} is with {last['before'][each.id] or 'nobody'} again.",
        )  # fmt: skip
    return back(request, "/incidents")


def _undoable(request: HttpRequest) -> dict[str, Any] | None:
    """Return the last bulk assignment of this session while it can be undone."""
    last = recent(request, _UNDO)
    return last if last is not None and last["before"] else None


def _fresh(incident_id: str) -> Any:
    """Load inside the Work, so that a second run after a collision starts from what is true then."""
    return records.of("incident").get(id=incident_id)
