"""HTTP resources of problems: their way, what is done about their cause, their incidents."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.http import HttpRequest, HttpResponse
from ninja import Query, Router, Schema

from isthmus.hub.http import actor as callers
from isthmus.hub.http import etag, idempotency, paging
from isthmus.identity import permissions
from isthmus.kernel.errors import NotFound, Rejected
from isthmus.kernel.errors import Problem as Fault
from isthmus.kernel.kinds.problem import PROBLEM_STATES
from isthmus.ledger.work import Work
from isthmus.practices.incident import service as incidents
from isthmus.practices.incident.shapes import incident_out
from isthmus.practices.problem import service
from isthmus.practices.problem.models import Problem
from isthmus.practices.problem.rules import states
from isthmus.practices.problem.shapes import problem_out

router = Router(tags=["problems"])
READ, WRITE = "problem:read", "problem:write"
INCIDENT_READ, INCIDENT_WRITE = "incident:read", "incident:write"

MOVES: dict[str, tuple[Callable[..., Problem], tuple[str, ...]]] = {
    "assess": (service.assess, ()),
    "find_cause": (service.find_cause, ("cause_code", "root_cause")),
    "resolve": (service.resolve, ("resolution",)),
    "close": (service.close, ()),
    "reopen": (service.reopen, ("reason",)),
    "cancel": (service.cancel, ("reason",)),
}
"""move → (what does it, which fields it needs); which are possible says the state table."""


class ProblemFilter(Schema):
    """Every given value narrows the list; `state` is one state, or several with commas between; `open=true` means new,
    assessed or root cause known."""

    state: str = ""
    priority: str = ""
    service: str = ""
    assignment_group: str = ""
    owner: str = ""
    number: str = ""
    organisation: str = ""
    open: bool | None = None
    cursor: str = ""
    limit: int = paging.LIMIT_DEFAULT


class ProblemIn(Schema):
    """A problem. `incident` (id or number): it is raised out of this one, which gives what is not given and names it
    from then on. Items by id, key, name or alias."""

    title: str = ""
    description: str = ""
    priority: str = ""
    service: str = ""
    cis: list[str] = []
    assignment_group: str = ""
    owner: str = ""
    cause_code: str = ""
    root_cause: str = ""
    incident: str = ""
    organisation: str = ""


class ProblemPatch(Schema):
    """Only what is sent changes."""

    title: str | None = None
    description: str | None = None
    priority: str | None = None
    service: str | None = None
    cis: list[str] | None = None
    assignment_group: str | None = None
    owner: str | None = None
    cause_code: str | None = None
    root_cause: str | None = None


class ProblemMoveIn(Schema):
    """What a move needs: `cause_code` and `root_cause` (find-cause), `resolution` (resolve), `reason` (reopen, cancel)."""

    cause_code: str = ""
    root_cause: str = ""
    resolution: str = ""
    reason: str = ""


class ProblemActionIn(Schema):
    """Something to be done about the cause: what, who, and by when (`2026-12-24`, or nothing)."""

    text: str
    owner: str
    due: str = ""


class ActionSettledIn(Schema):
    """Whether the action is done."""

    done: bool = True


class BehindIncidentIn(Schema):
    """An incident, by id or number."""

    incident: str


@router.get("/problems", summary="List problems, the newest first")
def list_problems(
    request: HttpRequest, response: HttpResponse, filters: Query[ProblemFilter]
) -> dict[str, Any]:
    """Return a page of problems."""
    callers.require(request, READ)
    rows = Problem.objects.all()
    for name in ("priority", "service", "assignment_group", "owner", "number", "organisation"):
        if value := getattr(filters, name):
            rows = rows.filter(**{name: value})
    if filters.state:
        rows = rows.filter(state__in=_states(filters.state))
    if filters.open is not None:
        rows = rows.filter(state__in=states.OPEN) if filters.open else rows.exclude(state__in=states.OPEN)
    return paging.listed(request, response, rows, out=problem_out, cursor=filters.cursor, limit=filters.limit)


def _states(given: str) -> list[str]:
    """Return the states that a filter names; one that there is not would find nothing in silence."""
    found = given.split(",")
    if wrong := [each[:40] for each in found if each not in PROBLEM_STATES]:
        said = f"no state {', '.join(map(repr, wrong))}"
        problem = Fault(path="/query/state", message=said, remedy=f"One of {', '.join(PROBLEM_STATES)}.")
        raise Rejected("Problems cannot be listed like this.", problems=(problem,))
    return found


@router.post("/problems", summary="Raise a problem")
def create_problem(request: HttpRequest, payload: ProblemIn) -> HttpResponse:
    """Raise a problem, by itself or out of an incident."""
    values = payload.dict(exclude={"organisation", "incident"}, exclude_unset=True)
    if not payload.incident:
        where = callers.organisation(request, WRITE, payload.organisation)
        return idempotency.act(
            request, lambda work: service.create(work, values, organisation=where), out=problem_out, status=201
        )  # fmt: skip

    def out_of(work: Work) -> Problem:
        incident = incidents.get(work, payload.incident)
        for permission in (WRITE, INCIDENT_WRITE):
            permissions.require(work.actor, permission, incident.organisation)
        return service.create(work, values, organisation=incident.organisation, incident=incident)

    return idempotency.act(request, out_of, out=problem_out, status=201)


@router.get("/problems/{reference}", summary="One problem")
def get_problem(request: HttpRequest, response: HttpResponse, reference: str) -> dict[str, Any]:
    """Return a problem by id or number; the ETag names its version."""
    callers.require(request, READ)
    found = service.find_problem(reference)
    etag.stamp(response, found)
    return problem_out(found)


@router.patch("/problems/{reference}", summary="Edit a problem")
def patch_problem(request: HttpRequest, reference: str, payload: ProblemPatch) -> HttpResponse:
    """Edit the fields sent; `If-Match` guards against overwriting what another has changed."""
    values = {name: value for name, value in payload.dict(exclude_unset=True).items() if value is not None}
    return _act(request, reference, lambda work, problem: service.update(work, problem, values))


@router.post("/problems/{reference}/moves/{move}", summary="Take a problem a step further")
def move_problem(
    request: HttpRequest, reference: str, move: str, payload: ProblemMoveIn | None = None
) -> HttpResponse:
    """assess, find-cause, resolve, close, reopen or cancel. Closing needs a cause and at least one action."""
    callers.require(request, WRITE)
    given = payload or ProblemMoveIn()
    needs = MOVES.get(move.replace("-", "_"))
    if needs is None:
        possible = ", ".join(each.replace("_", "-") for each in MOVES)
        raise NotFound(f"There is no move {move[:40]!r}.", remedy=f"Possible: {possible}.")
    do, names = needs
    arguments = {name: getattr(given, name) for name in names}
    return _act(request, reference, lambda work, problem: do(work, problem, **arguments))


@router.post("/problems/{reference}/actions", summary="Add something to be done about the cause")
def add_action(request: HttpRequest, reference: str, payload: ProblemActionIn) -> HttpResponse:
    """Add an action with its owner."""
    given = payload.dict()
    return _act(
        request, reference, lambda work, problem: service.add_action(work, problem, **given), status=201
    )


@router.post("/problems/{reference}/actions/{action_id}", summary="Say that an action is done")
def settle_action(
    request: HttpRequest, reference: str, action_id: str, payload: ActionSettledIn
) -> HttpResponse:
    """Settle an action, or take that back."""
    return _act(
        request,
        reference,
        lambda work, problem: service.settle_action(work, problem, action_id, done=payload.done),
    )


@router.get("/problems/{reference}/incidents", summary="The incidents of a problem")
def list_incidents(request: HttpRequest, reference: str) -> dict[str, Any]:
    """Return the incidents that name it, the newest first; none for a caller who may not read incidents."""
    actor = callers.require(request, READ)
    problem = service.find_problem(reference)
    sees = permissions.allowed(actor, INCIDENT_READ, problem.organisation)
    found = service.incidents_of(problem) if sees else []
    return {"items": [incident_out(each) for each in found]}


@router.post("/problems/{reference}/incidents", summary="Have an incident name the problem")
def link_incident(request: HttpRequest, reference: str, payload: BehindIncidentIn) -> HttpResponse:
    """Say that this problem is behind an incident; one that named another problem names this one then."""
    return _incident(request, reference, payload.incident, service.link, status=201)


@router.delete("/problems/{reference}/incidents/{incident}", summary="Have an incident no longer name it")
def unlink_incident(request: HttpRequest, reference: str, incident: str) -> HttpResponse:
    """Say that this problem is not behind the incident."""
    return _incident(request, reference, incident, service.unlink)


def _incident(
    request: HttpRequest,
    reference: str,
    incident: str,
    do: Callable[[Work, Problem, incidents.Incident], incidents.Incident],
    *,
    status: int = 200,
) -> HttpResponse:
    callers.require(request, WRITE)

    def once(work: Work) -> incidents.Incident:
        problem = service.problem_of(work, reference)
        permissions.require(work.actor, WRITE, problem.organisation)
        found = incidents.get(work, incident)
        permissions.require(work.actor, INCIDENT_WRITE, found.organisation)
        return do(work, problem, found)

    return idempotency.act(request, once, out=incident_out, status=status)


def _act(
    request: HttpRequest, reference: str, do: Callable[[Work, Problem], Problem], *, status: int = 200
) -> HttpResponse:
    """Load, check right and version, do, answer."""
    callers.require(request, WRITE)

    def once(work: Work) -> Problem:
        problem = service.problem_of(work, reference)
        permissions.require(work.actor, WRITE, problem.organisation)
        etag.expect(request, problem)
        return do(work, problem)

    return idempotency.act(request, once, out=problem_out, status=status)
