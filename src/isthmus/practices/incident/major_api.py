"""HTTP resources of major incidents, escalation, merging and post-incident reviews."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from typing import Any, Literal

from django.http import HttpRequest, HttpResponse
from ninja import Query, Router, Schema

from isthmus.hub.http import actor as callers
from isthmus.hub.http import etag, idempotency, paging, problems
from isthmus.identity import permissions
from isthmus.kernel.duration import microseconds
from isthmus.kernel.errors import IsthmusError, NotFound, Problem, Rejected
from isthmus.ledger.door import perform
from isthmus.ledger.work import Work
from isthmus.practices.incident import escalating, major, merging, reviewing, service
from isthmus.practices.incident.api import READ, WRITE, visible
from isthmus.practices.incident.desk_shapes import (
    handover_out,
    major_out,
    merge_out,
    path_out,
    preview_out,
    review_out,
)
from isthmus.practices.incident.models import Incident, IncidentMerge, IncidentReview
from isthmus.practices.incident.shapes import comment_out, incident_out

router = Router(tags=["major incidents"])
DUPLICATES_MAX = 100


class PeopleIn(Schema):
    """Part → name: incident_manager, technical_lead, communications_lead, scribe; "" leaves a part open."""

    people: dict[str, str]


class UpdateIn(Schema):
    """`text` goes to those concerned; `next_in`: when the next one is due (ISO 8601, such as PT30M; "": as declared)."""

    text: str
    next_in: str = ""


class KeepIn(Schema):
    """Why the trigger stays where it is."""

    reason: str = ""


class EscalateIn(Schema):
    """`kind`: functional (to more expertise) or hierarchical (to more authority)."""

    kind: Literal["functional", "hierarchical"]
    reason: str


class MergeIn(Schema):
    """`incidents`: the duplicates, by id or number. With `dry_run` nothing changes: the answer says what would."""

    incidents: list[str]
    reason: str = ""
    dry_run: bool = False


class SplitIn(Schema):
    """`alerts` and `comments` (ids) that go to an incident of their own, called `title`."""

    title: str
    alerts: list[str] = []
    comments: list[str] = []
    urgency: str = ""
    reason: str = ""


class ReviewPatch(Schema):
    """Only what is sent changes. `actions`: `[{"text", "owner", "due": "2026-12-24", "done"}]`."""

    owner: str | None = None
    due_at: str | None = None
    cause: str | None = None
    lessons: str | None = None
    actions: list[dict[str, Any]] | None = None


class ReviewFilter(Schema):
    state: Literal["", "open", "overdue", "done"] = ""
    owner: str = ""
    cursor: str = ""
    limit: int = paging.LIMIT_DEFAULT


def _act(
    request: HttpRequest, reference: str, do: Callable[[Work, Incident], Any], *, out: Any, status: int = 200
) -> HttpResponse:
    callers.require(request, WRITE)

    def once(work: Work) -> Any:
        incident = service.get(work, reference)
        permissions.require(work.actor, WRITE, incident.organisation)
        etag.expect(request, incident)
        return do(work, incident)

    return idempotency.act(request, once, out=out, status=status)


# Major incidents -----------------------------------------------------------------------------------------


@router.get("/incidents/{reference}/procedure", summary="The procedure of a major incident")
def get_major(request: HttpRequest, reference: str) -> dict[str, Any]:
    """Return who owns which trigger, who plays which part, when the next update is due, and refused triggers."""
    callers.require(request, READ)
    incident = visible(reference)
    held = major.latest(incident)
    return {
        "major": incident.major,
        "procedure": None if held is None else major_out(held),
        "handovers": [handover_out(each) for each in major.handovers(incident)],
    }


@router.put("/incidents/{reference}/procedure/people", summary="Say who plays which part")
def cast(request: HttpRequest, reference: str, payload: PeopleIn) -> HttpResponse:
    """Give parts of the procedure to people, by name."""
    return _act(
        request, reference, lambda work, incident: major.cast(work, incident, payload.people), out=major_out
    )


@router.post("/incidents/{reference}/procedure/updates", summary="Tell those concerned how it stands")
def tell(request: HttpRequest, reference: str, payload: UpdateIn) -> HttpResponse:
    """Write a public comment that reaches every system; the next update gets its time."""
    span = _span(payload.next_in)
    return _act(
        request,
        reference,
        lambda work, incident: major.tell(work, incident, payload.text, next_in=span),
        out=comment_out,
        status=201,
    )


@router.post("/incidents/{reference}/procedure/handovers/{handover_id}/keep", summary="Keep a trigger")
def keep(request: HttpRequest, reference: str, handover_id: str, payload: KeepIn) -> HttpResponse:
    """Decline an offered hand-over. To agree, hand the trigger over."""

    def do(work: Work, incident: Incident) -> Any:
        found = major.handover(handover_id)
        if found.record != incident.id:
            raise NotFound("There is no such hand-over.", remedy="List those of the incident.")
        return major.keep(work, found, reason=payload.reason)

    return _act(request, reference, do, out=handover_out)


@router.get("/incidents/{reference}/escalation", summary="Its escalation path")
def get_path(request: HttpRequest, reference: str) -> dict[str, Any]:
    """Return the path that is attached and how far it has gone."""
    callers.require(request, READ)
    incident = visible(reference)
    return path_out(incident.escalation_path, incident.escalation_level, escalating.path(incident))


@router.post("/incidents/{reference}/escalate", summary="Escalate an incident")
def escalate(request: HttpRequest, reference: str, payload: EscalateIn) -> HttpResponse:
    """Take one step along the path."""
    return _act(
        request,
        reference,
        lambda work, incident: escalating.escalate(work, incident, payload.kind, reason=payload.reason),
        out=incident_out,
    )


# Merge and split -----------------------------------------------------------------------------------------


@router.get("/incidents/{reference}/merges", summary="Merges and splits of an incident")
def list_merges(request: HttpRequest, reference: str) -> dict[str, Any]:
    """Return the merges and splits that it took part in, the newest first."""
    callers.require(request, READ)
    return {"items": [merge_out(each) for each in merging.merges_of(visible(reference))]}


@router.post("/incidents/{reference}/merge", summary="Merge duplicates into an incident")
def merge(request: HttpRequest, reference: str, payload: MergeIn) -> dict[str, Any]:
    """Merge each duplicate by itself; the answer has one result per duplicate, in their order."""
    caller = callers.caller(request)
    actor = callers.require(request, WRITE)
    survivor = visible(reference)
    permissions.require(actor, WRITE, survivor.organisation)
    if not 0 < len(payload.incidents) <= DUPLICATES_MAX:
        raise Rejected(
            f"A merge takes 1 to {DUPLICATES_MAX} duplicates.",
            problems=(Problem(path="/body/incidents", message=f"{len(payload.incidents)} incidents"),),
        )
    results: list[dict[str, Any]] = []
    for each in payload.incidents:
        try:
            if payload.dry_run:
                (found,) = merging.preview(survivor, [visible(each)])
                results.append({"incident": each, "status": 200, "preview": preview_out(found)})
                continue
            done = perform(
                lambda work, each=each: _merge_one(work, reference, each, payload.reason),  # type: ignore[misc]
                actor=actor,
                origin=caller.origin,
                trace=caller.trace,
            )
            results.append({"incident": each, "status": 200, "result": merge_out(done)})
        except IsthmusError as error:
            results.append({"incident": each, **problems.of_item(error)})
    return {"items": results}


def _merge_one(work: Work, survivor: str, duplicate: str, reason: str) -> IncidentMerge:
    into, each = service.get(work, survivor), service.get(work, duplicate)
    for one in (into, each):
        permissions.require(work.actor, WRITE, one.organisation)
    return merging.merge(work, into, each, reason=reason)


@router.post("/incidents/{reference}/split", summary="Split something off an incident")
def split(request: HttpRequest, reference: str, payload: SplitIn) -> HttpResponse:
    """Take alerts and comments into an incident of their own."""
    return _act(
        request,
        reference,
        lambda work, incident: merging.split(
            work, incident, title=payload.title, alerts=payload.alerts, comment_ids=payload.comments,
            reason=payload.reason, urgency=payload.urgency,
        ),
        out=merge_out,
        status=201,
    )  # fmt: skip


@router.post("/incidents/{reference}/merges/{merge_id}/undo", summary="Undo a merge or a split")
def undo(request: HttpRequest, reference: str, merge_id: str, payload: KeepIn) -> HttpResponse:
    """Take it back; what others have done since stays."""

    def do(work: Work, incident: Incident) -> IncidentMerge:
        held = merging.get(merge_id)
        if incident.id not in {held.record, held.other}:
            raise NotFound("There is no such merge.", remedy="List those of the incident.")
        return merging.undo(work, held, reason=payload.reason)

    return _act(request, reference, do, out=merge_out)


# Reviews -------------------------------------------------------------------------------------------------


@router.get("/reviews", summary="Post-incident reviews")
def list_reviews(
    request: HttpRequest, response: HttpResponse, filters: Query[ReviewFilter]
) -> dict[str, Any]:
    """Return a page of reviews, the newest first."""
    callers.require(request, READ)
    rows = IncidentReview.objects.all()
    for name in ("state", "owner"):
        if value := getattr(filters, name):
            rows = rows.filter(**{name: value})
    return paging.listed(request, response, rows, out=review_out, cursor=filters.cursor, limit=filters.limit)


@router.get("/reviews/{reference}", summary="One review")
def get_review(request: HttpRequest, response: HttpResponse, reference: str) -> dict[str, Any]:
    """Return a review by id or number."""
    callers.require(request, READ)
    found = reviewing.get(reference)
    etag.stamp(response, found)
    return review_out(found)


def _review(
    request: HttpRequest, reference: str, do: Callable[[Work, IncidentReview], IncidentReview]
) -> HttpResponse:
    callers.require(request, WRITE)

    def once(work: Work) -> IncidentReview:
        found = reviewing.get(reference)
        permissions.require(work.actor, WRITE, found.organisation)
        etag.expect(request, found)
        return do(work, found)

    return idempotency.act(request, once, out=review_out)


@router.patch("/reviews/{reference}", summary="Write a review")
def patch_review(request: HttpRequest, reference: str, payload: ReviewPatch) -> HttpResponse:
    """Change owner, due date, cause, lessons or actions."""
    values = {name: value for name, value in payload.dict(exclude_unset=True).items() if value is not None}
    return _review(request, reference, lambda work, review: reviewing.write(work, review, values))


@router.post("/reviews/{reference}/complete", summary="Finish a review")
def complete_review(request: HttpRequest, reference: str) -> HttpResponse:
    """Declare it done; it names the cause and at least one action."""
    return _review(request, reference, reviewing.complete)


def _span(text: str) -> int | None:
    """Return an ISO 8601 duration in microseconds, None for none given."""
    import msgspec

    if not text:
        return None
    try:
        found = microseconds(msgspec.convert(text, dt.timedelta))
    except msgspec.ValidationError:
        found = 0
    if not 0 < found <= microseconds(dt.timedelta(days=7)):
        raise Rejected(
            f"{text!r} is not a duration.",
            problems=(
                Problem(path="/body/next_in", message="not a duration", remedy="Write PT30M, at most P7D."),
            ),
        )
    return found
