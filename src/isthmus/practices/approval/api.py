"""HTTP resources of approval: what is asked for, and the decision."""

from __future__ import annotations

from typing import Any, Literal

from django.http import HttpRequest, HttpResponse
from ninja import Query, Router, Schema

from isthmus.hub.http import actor as callers
from isthmus.hub.http import etag, idempotency, paging
from isthmus.ledger.work import Work
from isthmus.practices.approval import service
from isthmus.practices.approval.models import Approval
from isthmus.practices.configuration.shapes import record_out

router = Router(tags=["approvals"])
READ = "approval:read"


class ApprovalFilter(Schema):
    """Every given value narrows the list; `subject` is the id of the record in question."""

    state: str = ""
    subject: str = ""
    subject_kind: str = ""
    requester: str = ""
    organisation: str = ""
    cursor: str = ""
    limit: int = paging.LIMIT_DEFAULT


class DecisionIn(Schema):
    """The verdict about exactly the content that was asked about."""

    verdict: Literal["approved", "refused"]
    comment: str = ""


@router.get("/approvals", summary="List decisions asked for, the newest first")
def list_approvals(
    request: HttpRequest, response: HttpResponse, filters: Query[ApprovalFilter]
) -> dict[str, Any]:
    """Return a page of approvals."""
    callers.require(request, READ)
    rows = Approval.objects.all()
    for name in ("state", "subject", "subject_kind", "requester", "organisation"):
        if value := getattr(filters, name):
            rows = rows.filter(**{name: value})
    return paging.listed(request, response, rows, out=record_out, cursor=filters.cursor, limit=filters.limit)


@router.get("/approvals/{reference}", summary="One decision asked for")
def get_approval(request: HttpRequest, response: HttpResponse, reference: str) -> dict[str, Any]:
    """Return an approval; the ETag names its version."""
    callers.require(request, READ)
    found = service.of(reference)
    etag.stamp(response, found)
    return record_out(found)


@router.post("/approvals/{reference}/decision", summary="Approve or refuse")
def decide(request: HttpRequest, reference: str, payload: DecisionIn) -> HttpResponse:
    """Decide as the signed-in person; 403 for the requester and for whoever lacks the authority."""

    def act(work: Work) -> Approval:
        approval = service.of(reference)
        etag.expect(request, approval)
        return service.decide(work, approval, payload.verdict, comment=payload.comment)

    return idempotency.act(request, act, out=record_out)
