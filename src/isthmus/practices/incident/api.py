"""HTTP resources of incident management."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any, Literal

from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from ninja import Query, Router, Schema

from isthmus.hub.http import actor as callers
from isthmus.hub.http import etag, idempotency, paging, problems
from isthmus.identity import permissions
from isthmus.kernel.errors import IsthmusError, NotFound
from isthmus.ledger.work import Work
from isthmus.practices.incident import bulk, service
from isthmus.practices.incident.models import Incident, Suspect
from isthmus.practices.incident.rules import states
from isthmus.practices.incident.shapes import comment_out, incident_out, item_out, link_out, suspect_out

router = Router(tags=["incidents"])
READ, WRITE = "incident:read", "incident:write"


class IncidentFilter(Schema):
    """Every given value narrows the list; `open=true` means new, in progress or on hold."""

    state: Literal["", "new", "in_progress", "on_hold", "resolved", "closed", "cancelled"] = ""
    priority: str = ""
    assignment_group: str = ""
    assignee: str = ""
    ci: str = ""
    service: str = ""
    parent: str = ""
    problem: str = ""
    number: str = ""
    organisation: str = ""
    major: bool | None = None
    open: bool | None = None
    cursor: str = ""
    limit: int = paging.LIMIT_DEFAULT


class IncidentIn(Schema):
    """A new incident. What is not given follows from the map, the priority table and the assignment rules."""

    title: str
    description: str = ""
    impact: str = ""
    urgency: str = ""
    priority: str = ""
    category: str = ""
    ci: str = ""
    service: str = ""
    assignment_group: str = ""
    assignee: str = ""
    caller: str = ""
    tags: list[str] = []
    organisation: str = ""


class IncidentPatch(Schema):
    """Only what is sent changes."""

    title: str | None = None
    description: str | None = None
    state: str | None = None
    resolution_code: str | None = None
    resolution_notes: str | None = None
    impact: str | None = None
    urgency: str | None = None
    priority: str | None = None
    category: str | None = None
    ci: str | None = None
    service: str | None = None
    assignment_group: str | None = None
    assignee: str | None = None
    caller: str | None = None
    tags: list[str] | None = None
    parent: str | None = None
    hold_reason: str | None = None
    root_cause: str | None = None
    cause_code: str | None = None
    workaround: str | None = None
    steps: list[dict[str, Any]] | None = None


class CommentIn(Schema):
    """`public` comments reach the caller, the others stay among agents."""

    body: str
    public: bool = False


class ResolutionIn(Schema):
    """How the service was restored."""

    code: str
    notes: str


class ReasonIn(Schema):
    """Why, in a sentence."""

    reason: str = ""


class MajorIn(Schema):
    """`owner`: the desk that owns the workflow triggers from now on; `triggers`: only these (hand-over)."""

    owner: str
    reason: str = ""
    triggers: list[str] = []


class VerdictIn(Schema):
    """`verdict`: proposed, confirmed or cleared."""

    verdict: str
    reason: str = ""


class BulkItem(Schema):
    """`action` is update (with `values`), comment (body, public), resolve (code, notes), reopen or close."""

    incident: str
    action: Literal["update", "comment", "resolve", "reopen", "close"]
    values: dict[str, Any] = {}


class BulkIn(Schema):
    """At most `bulk.ITEMS_MAX` items; each succeeds or fails by itself."""

    items: list[BulkItem]


def visible(reference: str) -> Incident:
    """Return an incident by id or number, as the caller's scope shows it; `NotFound` otherwise."""
    rows: QuerySet[Any] = Incident.objects.all()
    found = (
        rows.filter(number=reference) if reference.startswith("INC-") else rows.filter(id=reference)
    ).first()
    if found is None:
        raise NotFound(f"There is no incident {reference}.", remedy="Check the id or number.")
    held: Incident = found
    return held


def _act(
    request: HttpRequest, reference: str, do: Any, *, out: Any = incident_out, status: int = 200
) -> HttpResponse:
    """Load, check right and version, do, answer."""

    def once(work: Work) -> Any:
        incident = service.get(work, reference)
        permissions.require(work.actor, WRITE, incident.organisation)
        etag.expect(request, incident)
        return do(work, incident)

    return idempotency.act(request, once, out=out, status=status)


@router.get("/incidents", summary="List incidents, the newest first")
def list_incidents(
    request: HttpRequest, response: HttpResponse, filters: Query[IncidentFilter]
) -> dict[str, Any]:
    """Return a page of incidents."""
    callers.require(request, READ)
    rows = Incident.objects.all()
    for name in (
        "state",
        "priority",
        "assignment_group",
        "assignee",
        "ci",
        "service",
        "parent",
        "problem",
        "number",
        "organisation",
    ):
        if value := getattr(filters, name):
            rows = rows.filter(**{name: value})
    if filters.major is not None:
        rows = rows.filter(major=filters.major)
    if filters.open is not None:
        rows = rows.filter(state__in=states.OPEN) if filters.open else rows.exclude(state__in=states.OPEN)
    return paging.listed(
        request, response, rows, out=incident_out, cursor=filters.cursor, limit=filters.limit
    )


@router.post("/incidents", summary="Open an incident")
def create_incident(request: HttpRequest, payload: IncidentIn) -> HttpResponse:
    """Open an incident by hand."""
    organisation = callers.organisation(request, WRITE, payload.organisation)
    values = {
        name: value for name, value in payload.dict(exclude={"organisation"}).items() if value not in ("", [])
    }
    return idempotency.act(
        request, lambda work: service.create(work, organisation, values), out=incident_out, status=201
    )


@router.post("/incidents/bulk", summary="Do something with many incidents")
def bulk_incidents(request: HttpRequest, payload: BulkIn) -> dict[str, Any]:
    """Act on each incident by itself; the answer has one result per item, in their order."""
    caller = callers.caller(request)
    actor = callers.require(request, WRITE)
    items = [(each.incident, each.action, each.values) for each in payload.items]
    results = []
    for reference, found in bulk.run(items, actor=actor, origin=caller.origin, trace=caller.trace):
        if isinstance(found, IsthmusError):
            results.append({"incident": reference, **problems.of_item(found)})
        else:
            results.append({"incident": reference, "status": 200, "result": found})
    return {"items": results}


@router.get("/incidents/{reference}", summary="One incident")
def get_incident(request: HttpRequest, response: HttpResponse, reference: str) -> dict[str, Any]:
    """Return an incident by id or number; the ETag names its version."""
    callers.require(request, READ)
    incident = visible(reference)
    etag.stamp(response, incident)
    return incident_out(incident)


@router.patch("/incidents/{reference}", summary="Change an incident")
def patch_incident(request: HttpRequest, reference: str, payload: IncidentPatch) -> HttpResponse:
    """Change the fields sent; `If-Match` guards against overwriting what another has changed."""
    values = {name: value for name, value in payload.dict(exclude_unset=True).items() if value is not None}
    return _act(request, reference, lambda work, incident: service.update(work, incident, values))


@router.get("/incidents/{reference}/comments", summary="Comments of every system")
def list_comments(request: HttpRequest, reference: str) -> dict[str, Any]:
    """Return the comments of an incident, oldest first."""
    callers.require(request, READ)
    return {"items": [comment_out(each) for each in service.comments_of(visible(reference).id)]}


@router.post("/incidents/{reference}/comments", summary="Comment on an incident")
def add_comment(request: HttpRequest, reference: str, payload: CommentIn) -> HttpResponse:
    """Add a comment; linked systems receive it."""
    return _act(
        request,
        reference,
        lambda work, incident: service.comment(work, incident, payload.body, public=payload.public),
        out=comment_out,
        status=201,
    )


@router.post("/incidents/{reference}/resolve", summary="Resolve an incident")
def resolve_incident(request: HttpRequest, reference: str, payload: ResolutionIn) -> HttpResponse:
    """Declare the service restored."""
    return _act(
        request,
        reference,
        lambda work, incident: service.resolve(work, incident, code=payload.code, notes=payload.notes),
    )


@router.post("/incidents/{reference}/reopen", summary="Reopen a resolved incident")
def reopen_incident(request: HttpRequest, reference: str) -> HttpResponse:
    """Take a resolved incident up again."""
    return _act(request, reference, service.reopen)


@router.post("/incidents/{reference}/close", summary="Close a resolved incident")
def close_incident(request: HttpRequest, reference: str) -> HttpResponse:
    """Confirm that it is finished."""
    return _act(request, reference, service.close)


@router.post("/incidents/{reference}/major", summary="Declare or hand over a major incident")
def major_incident(request: HttpRequest, reference: str, payload: MajorIn) -> HttpResponse:
    """Declare a major incident, or hand its triggers over if it is one already."""

    def do(work: Work, incident: Incident) -> Incident:
        if not incident.major:
            return service.declare_major(work, incident, owner=payload.owner, reason=payload.reason)
        return service.hand_over(
            work, incident, owner=payload.owner, reason=payload.reason, triggers=payload.triggers
        )

    return _act(request, reference, do)


@router.post("/incidents/{reference}/stand-down", summary="End a major incident")
def stand_down(request: HttpRequest, reference: str, payload: ReasonIn) -> HttpResponse:
    """End the major incident; the incident itself goes on."""
    return _act(
        request, reference, lambda work, incident: service.stand_down(work, incident, reason=payload.reason)
    )


@router.get("/incidents/{reference}/suspects", summary="Changes that may have caused it")
def list_suspects(request: HttpRequest, reference: str) -> dict[str, Any]:
    """Return suspect changes, the nearest first."""
    callers.require(request, READ)
    return {"items": [suspect_out(each) for each in service.suspects(visible(reference))]}


@router.post("/incidents/{reference}/suspects/{suspect_id}", summary="Judge a suspect change")
def judge_suspect(request: HttpRequest, reference: str, suspect_id: str, payload: VerdictIn) -> HttpResponse:
    """Confirm a change as the cause, or clear it."""

    def do(work: Work, incident: Incident) -> Suspect:
        found = next((each for each in service.suspects(incident) if each.id == suspect_id), None)
        if found is None:
            raise NotFound("There is no such suspect.", remedy="List the suspects of the incident.")
        return service.judge_suspect(work, found, payload.verdict, reason=payload.reason)

    return _act(request, reference, do, out=suspect_out)


@router.post("/incidents/{reference}/collision-check", summary="Search for colliding changes")
def collision_check(request: HttpRequest, reference: str) -> HttpResponse:
    """Search pending and recent changes around the item and record the search; due before a recurring one is diagnosed."""
    return _act(request, reference, service.check_collisions)


@router.get("/incidents/{reference}/timeline", summary="The story across systems")
def get_timeline(request: HttpRequest, reference: str) -> dict[str, Any]:
    """Return everything that happened, oldest first, with the reason of each grouping and match."""
    callers.require(request, READ)
    return {"items": [item_out(asdict(each)) for each in service.timeline(visible(reference))]}


@router.get("/incidents/{reference}/links", summary="Its tickets in other systems")
def list_links(request: HttpRequest, reference: str) -> dict[str, Any]:
    """Return the tickets of an incident on the connected systems."""
    from isthmus.hub.sync import service as sync

    callers.require(request, READ)
    return {"items": [link_out(each) for each in sync.links_of(visible(reference).id)]}
