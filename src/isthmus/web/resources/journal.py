"""The journal: read, verify, export."""

from __future__ import annotations

from typing import Any

from django.http import FileResponse, HttpRequest, HttpResponse
from ninja import Router

from isthmus.hub.http import actor as callers
from isthmus.hub.http import paging
from isthmus.identity import permissions
from isthmus.ledger import audit, organisations, reading
from isthmus.ledger.models import Checkpoint
from isthmus.web import journal_reading
from isthmus.web.console.audit import pack
from isthmus.web.resources import shapes

router = Router(tags=["audit"])
CHECKPOINTS_MAX = 100


@router.get(
    "/journal",
    summary="Entries, newest first; filters: kind, record, actor, channel, connection, trace, since, until",
)
def index(
    request: HttpRequest,
    response: HttpResponse,
    kind: str = "",
    record: str = "",
    actor: str = "",
    channel: str = "",
    connection: str = "",
    trace: str = "",
    since: str = "",
    until: str = "",
    cursor: str = "",
    limit: int = paging.LIMIT_DEFAULT,
) -> dict[str, Any]:
    del kind, record, actor, channel, connection, trace, since, until  # read from the URL as the page does
    callers.require(request, "audit:read")
    found = reading.journal(journal_reading.filters_of(request.GET), cursor, limit=paging.limited(limit))
    paging.link_next(request, response, found.cursor)
    return {"items": [shapes.entry(each) for each in found.entries], "next": found.cursor}


@router.post("/audit/verify", summary="Verify the whole book now")
def verify(request: HttpRequest) -> dict[str, Any]:
    actor = callers.require(request, "audit:verify")
    permissions.require(actor, "audit:verify", organisations.root())
    report = audit.verify_store()
    journal_reading.note(
        request, "audit.verified", f"The book was verified: {'sound' if report.ok else 'findings'}."
    )
    return report.as_dict()


@router.get("/audit/export", summary="The evidence pack (ZIP), which verifies by itself")
def export(request: HttpRequest) -> FileResponse:
    callers.require(request, "audit:export")
    return pack(request)


@router.get("/audit/checkpoints", summary="Signed checkpoints, newest first")
def checkpoints(request: HttpRequest) -> dict[str, Any]:
    callers.require(request, "audit:read")
    found = Checkpoint.objects.order_by("-number")[:CHECKPOINTS_MAX]
    items = [
        {
            "number": each.number,
            "at": shapes.time(each.at),
            "signature": bytes(each.signature).hex(),
            "key": bytes(each.key).hex(),
        }
        for each in found
    ]
    return {"items": items, "next": ""}
