"""HTTP resources of known errors: writing, publishing, and what is said about them on incidents."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

from django.http import HttpRequest, HttpResponse
from ninja import Query, Router, Schema

from isthmus.hub.http import actor as callers
from isthmus.hub.http import etag, idempotency, paging
from isthmus.identity import permissions
from isthmus.ledger.work import Work
from isthmus.practices.incident import hooks
from isthmus.practices.incident import service as incidents
from isthmus.practices.incident.api import visible as visible_incident
from isthmus.practices.incident.desk_shapes import known_error_out as carried_out
from isthmus.practices.monitoring import service as monitoring
from isthmus.practices.problem import matching, service
from isthmus.practices.problem.models import KnownError, KnownErrorMatch
from isthmus.practices.problem.shapes import known_error_out, match_out, trial_out

router = Router(tags=["known errors"])
READ, WRITE, PUBLISH = "problem:read", "problem:write", "problem:publish"
INCIDENT_READ, INCIDENT_WRITE = "incident:read", "incident:write"


class KnownErrorFilter(Schema):
    """Every given value narrows the list."""

    state: Literal["", "draft", "published", "retired"] = ""
    problem: str = ""
    number: str = ""
    organisation: str = ""
    cursor: str = ""
    limit: int = paging.LIMIT_DEFAULT


class KnownErrorIn(Schema):
    """A known error, as a draft. It fits an incident that is on one of `cis` or of one of `classes`, hits one of
    `services` and satisfies `condition` (CEL): what is left empty is not asked. `incident` or `problem` give what is
    not given; the incident carries it."""

    title: str = ""
    workaround: str = ""
    fix: str = ""
    link: str = ""
    problem: str = ""
    cis: list[str] = []
    classes: list[str] = []
    services: list[str] = []
    condition: str = ""
    incident: str = ""
    organisation: str = ""


class KnownErrorPatch(Schema):
    """Only what is sent changes. Of a published one, that needs the right to publish."""

    title: str | None = None
    workaround: str | None = None
    fix: str | None = None
    link: str | None = None
    problem: str | None = None
    cis: list[str] | None = None
    classes: list[str] | None = None
    services: list[str] | None = None
    condition: str | None = None


class KnownErrorRetireIn(Schema):
    """Why, in a sentence."""

    reason: str = ""


class KnownErrorTrialFilter(Schema):
    """The incident (id or number) that it is compared with."""

    incident: str


class KnownErrorAttachIn(Schema):
    """A known error, by id or number, and why it is put there."""

    known_error: str
    reason: str = ""


class KnownErrorVerdictIn(Schema):
    """`verdict`: confirmed, rejected (with a reason; it is not offered again for this incident) or proposed. With a
    confirmation, `comment` (internal or public) puts the workaround into a comment."""

    verdict: str
    reason: str = ""
    comment: str = ""


@router.get("/known-errors", summary="List known errors, the newest first")
def list_known_errors(
    request: HttpRequest, response: HttpResponse, filters: Query[KnownErrorFilter]
) -> dict[str, Any]:
    """Return a page of known errors."""
    callers.require(request, READ)
    rows = KnownError.objects.all()
    for name in ("state", "problem", "number", "organisation"):
        if value := getattr(filters, name):
            rows = rows.filter(**{name: value})
    return paging.listed(
        request, response, rows, out=known_error_out, cursor=filters.cursor, limit=filters.limit
    )


@router.post("/known-errors", summary="Write a known error")
def create_known_error(request: HttpRequest, payload: KnownErrorIn) -> HttpResponse:
    """Write a known error as a draft: by itself, out of an incident, or of a problem."""
    values = payload.dict(exclude={"organisation", "incident", "problem"}, exclude_unset=True)

    def write(work: Work) -> KnownError:
        incident = incidents.get(work, payload.incident) if payload.incident else None
        problem = service.problem_of(work, payload.problem) if payload.problem else None
        where = next((each.organisation for each in (incident, problem) if each is not None), "")
        where = where or callers.organisation(request, WRITE, payload.organisation)
        permissions.require(work.actor, WRITE, where)
        if incident is not None:
            permissions.require(work.actor, INCIDENT_WRITE, where)
        return service.write(work, values, organisation=where, incident=incident, problem=problem)

    callers.require(request, WRITE)
    return idempotency.act(request, write, out=known_error_out, status=201)


@router.get("/known-errors/{reference}", summary="One known error")
def get_known_error(request: HttpRequest, response: HttpResponse, reference: str) -> dict[str, Any]:
    """Return a known error by id or number; the ETag names its version."""
    callers.require(request, READ)
    found = service.find_known_error(reference)
    etag.stamp(response, found)
    return known_error_out(found)


@router.patch("/known-errors/{reference}", summary="Edit a known error")
def patch_known_error(request: HttpRequest, reference: str, payload: KnownErrorPatch) -> HttpResponse:
    """Edit the fields sent; of a published one, what is new counts for the incidents to come."""
    values = {name: value for name, value in payload.dict(exclude_unset=True).items() if value is not None}
    return _act(
        request, reference, WRITE, lambda work, known: service.update_known_error(work, known, values)
    )


@router.post("/known-errors/{reference}/publish", summary="Publish a known error")
def publish_known_error(request: HttpRequest, reference: str) -> HttpResponse:
    """Have it fit incidents from now on."""
    return _act(request, reference, PUBLISH, service.publish)


@router.post("/known-errors/{reference}/retire", summary="Retire a known error")
def retire_known_error(
    request: HttpRequest, reference: str, payload: KnownErrorRetireIn | None = None
) -> HttpResponse:
    """Have it fit no further incident; those that carry it keep it."""
    reason = payload.reason if payload is not None else ""
    return _act(request, reference, PUBLISH, lambda work, known: service.retire(work, known, reason=reason))


@router.get("/known-errors/{reference}/matches", summary="Where a known error was found to fit")
def list_matches(request: HttpRequest, reference: str) -> dict[str, Any]:
    """Return its newest matches: which incident, why, and what people said; none for a caller who may not read
    incidents."""
    actor = callers.require(request, READ)
    known = service.find_known_error(reference)
    if not permissions.allowed(actor, INCIDENT_READ, known.organisation):
        return {"items": []}
    rows = KnownErrorMatch.objects.filter(known_error=known.id).order_by("-id")
    return {"items": [match_out(each) for each in rows[: paging.LIMIT_MAX]]}


@router.get("/known-errors/{reference}/trial", summary="Would it fit this incident?")
def try_known_error(
    request: HttpRequest, reference: str, filters: Query[KnownErrorTrialFilter]
) -> dict[str, Any]:
    """Compare it, as it stands and published or not, with an incident and its alerts; nothing is changed."""
    actor = callers.require(request, READ)
    known, incident = service.find_known_error(reference), visible_incident(filters.incident)
    permissions.require(actor, INCIDENT_READ, incident.organisation)
    alerts = list(monitoring.alerts_of(incident.id)[: matching.ALERTS_MAX])
    return trial_out(service.trial(known, incident, alerts))


@router.get("/incidents/{reference}/known-errors", summary="Known errors that an incident carries")
def list_carried(request: HttpRequest, reference: str) -> dict[str, Any]:
    """Return known errors with their workarounds and what was said about them; `match` names each for a verdict."""
    callers.require(request, INCIDENT_READ)
    return {"items": [carried_out(each) for each in hooks.known_errors(visible_incident(reference))]}


@router.post("/incidents/{reference}/known-errors", summary="Attach a known error to an incident")
def attach_known_error(request: HttpRequest, reference: str, payload: KnownErrorAttachIn) -> HttpResponse:
    """Put a known error on an incident by hand."""

    def do(work: Work, incident: incidents.Incident) -> KnownErrorMatch:
        known = service.known_error_of(work, payload.known_error)
        permissions.require(work.actor, READ, known.organisation)
        return service.attach(work, incident, known, reason=payload.reason)

    return _on_incident(request, reference, do, status=201)


@router.post("/incidents/{reference}/known-errors/{match_id}", summary="Judge a known error on an incident")
def judge_known_error(
    request: HttpRequest, reference: str, match_id: str, payload: KnownErrorVerdictIn
) -> HttpResponse:
    """Say that it was this known error, or was not."""

    def do(work: Work, incident: incidents.Incident) -> KnownErrorMatch:
        found = service.match_of(work, match_id, incident.id)
        return service.judge(
            work, incident, found, payload.verdict, reason=payload.reason, comment=payload.comment
        )

    return _on_incident(request, reference, do)


def _on_incident(
    request: HttpRequest,
    reference: str,
    do: Callable[[Work, incidents.Incident], KnownErrorMatch],
    *,
    status: int = 200,
) -> HttpResponse:
    callers.require(request, INCIDENT_WRITE)

    def once(work: Work) -> KnownErrorMatch:
        incident = incidents.get(work, reference)
        permissions.require(work.actor, INCIDENT_WRITE, incident.organisation)
        return do(work, incident)

    return idempotency.act(request, once, out=match_out, status=status)


def _act(
    request: HttpRequest, reference: str, permission: str, do: Callable[[Work, KnownError], KnownError]
) -> HttpResponse:
    """Load, check right and version, do, answer."""
    callers.require(request, permission)

    def once(work: Work) -> KnownError:
        known = service.known_error_of(work, reference)
        permissions.require(work.actor, permission, known.organisation)
        etag.expect(request, known)
        return do(work, known)

    return idempotency.act(request, once, out=known_error_out)
