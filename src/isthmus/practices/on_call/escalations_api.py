"""HTTP resources of escalation: what runs, who was told, acknowledge, page by hand, try a channel."""

from __future__ import annotations

from typing import Any, Literal

from django.http import HttpRequest, HttpResponse
from ninja import Query, Router, Schema

from isthmus.hub.http import actor as callers
from isthmus.hub.http import etag, idempotency, paging
from isthmus.identity import permissions
from isthmus.kernel.errors import NotFound
from isthmus.ledger.work import Work
from isthmus.practices.incident import service as incidents
from isthmus.practices.on_call import service
from isthmus.practices.on_call.models import Escalation, Notification
from isthmus.practices.on_call.shapes import escalation_out, escalation_whole, notification_out

router = Router(tags=["on call"])
READ, WRITE = "oncall:read", "oncall:write"


class EscalationFilter(Schema):
    """Every given value narrows the list; `subject` is the id of a record or the name of a connection."""

    state: Literal["", "running", "acknowledged", "finished", "stopped"] = ""
    trigger: str = ""
    subject: str = ""
    subject_kind: str = ""
    organisation: str = ""
    open: bool | None = None
    cursor: str = ""
    limit: int = paging.LIMIT_DEFAULT


class NotificationFilter(Schema):
    """Every given value narrows the list."""

    state: Literal["", "queued", "held", "sent", "failed", "withdrawn", "digested"] = ""
    purpose: Literal["", "step", "digest", "test"] = ""
    escalation: str = ""
    subject: str = ""
    person: str = ""
    channel: str = ""
    connection: str = ""
    organisation: str = ""
    cursor: str = ""
    limit: int = paging.LIMIT_DEFAULT


class PageIn(Schema):
    """Begin a ladder about an incident (id or number)."""

    ladder: str
    incident: str
    comment: str = ""


class AcknowledgeIn(Schema):
    """A word for the others, if wanted."""

    comment: str = ""


class TryIn(Schema):
    """Try a channel, or how a person (user name) is reached. `dry_run` sends nothing."""

    channel: str = ""
    person: str = ""
    comment: str = ""
    organisation: str = ""
    dry_run: bool = False


@router.get("/escalations", summary="List escalations, the newest first")
def list_escalations(
    request: HttpRequest, response: HttpResponse, filters: Query[EscalationFilter]
) -> dict[str, Any]:
    """Return a page of escalations."""
    callers.require(request, READ)
    rows = Escalation.objects.all()
    for name in ("state", "trigger", "subject", "subject_kind", "organisation"):
        if value := getattr(filters, name):
            rows = rows.filter(**{name: value})
    if filters.open is not None:
        rows = rows.filter(open=filters.open)
    return paging.listed(
        request, response, rows, out=escalation_out, cursor=filters.cursor, limit=filters.limit
    )


@router.post("/escalations", summary="Page somebody about an incident")
def create_escalation(request: HttpRequest, payload: PageIn) -> HttpResponse:
    """Begin a ladder by hand; one that runs already is returned."""
    callers.require(request, WRITE)

    def do(work: Work) -> Escalation:
        incident = incidents.get(work, payload.incident)
        permissions.require(work.actor, WRITE, incident.organisation)
        return service.page(
            work, ladder=payload.ladder, subject_kind="incident", subject=incident.id, organisation=incident.organisation,
            comment=payload.comment,
        )  # fmt: skip

    return idempotency.act(request, do, out=escalation_out, status=201)


@router.get("/escalations/{escalation_id}", summary="One escalation with everybody who was told")
def get_escalation(request: HttpRequest, response: HttpResponse, escalation_id: str) -> dict[str, Any]:
    """Return an escalation; the ETag names its version."""
    callers.require(request, READ)
    found = service.escalation(escalation_id)
    etag.stamp(response, found)
    return escalation_whole(found)


@router.post("/escalations/{escalation_id}/acknowledge", summary="I look after it")
def acknowledge(request: HttpRequest, escalation_id: str, payload: AcknowledgeIn) -> HttpResponse:
    """Stop every ladder about the same subject; doing it again changes nothing."""
    callers.require(request, WRITE)

    def do(work: Work) -> Escalation:
        found = service.escalation(escalation_id)
        permissions.require(work.actor, WRITE, found.organisation)
        etag.expect(request, found)
        return service.acknowledge(work, found, door="api", comment=payload.comment)

    return idempotency.act(request, do, out=escalation_out)


@router.post("/notifications/test", summary="Try a channel or a person's contact card")
def try_channel(request: HttpRequest, payload: TryIn) -> HttpResponse:
    """Send a message that says nothing has happened; with `dry_run` only say what would be sent, and how."""
    callers.require(request, WRITE)
    where = callers.organisation(request, WRITE, payload.organisation)
    asked: dict[str, Any] = {
        "channel": payload.channel, "person": payload.person, "organisation": where, "comment": payload.comment,
    }  # fmt: skip
    if not payload.channel and not payload.person:
        raise NotFound("Name a channel or a person.", remedy="Give one of the two.")
    if payload.dry_run:
        return idempotency.act(request, lambda work: service.preview(work, **asked), out=dict)
    return idempotency.act(
        request, lambda work: service.send_test(work, **asked), out=notification_out, status=201
    )


@router.get("/notifications", summary="List notifications, the newest first")
def list_notifications(
    request: HttpRequest, response: HttpResponse, filters: Query[NotificationFilter]
) -> dict[str, Any]:
    """Return a page of notifications with their receipts."""
    callers.require(request, READ)
    rows = Notification.objects.all()
    for name in (
        "state",
        "purpose",
        "escalation",
        "subject",
        "person",
        "channel",
        "connection",
        "organisation",
    ):
        if value := getattr(filters, name):
            rows = rows.filter(**{name: value})
    return paging.listed(
        request, response, rows, out=notification_out, cursor=filters.cursor, limit=filters.limit
    )


@router.get("/notifications/{notification_id}", summary="One notification with its receipts")
def get_notification(request: HttpRequest, response: HttpResponse, notification_id: str) -> dict[str, Any]:
    """Return a notification; the ETag names its version."""
    callers.require(request, READ)
    found = service.notification(notification_id)
    etag.stamp(response, found)
    return notification_out(found)
