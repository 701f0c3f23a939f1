"""Conflicts: read, decide, restore the loser."""

from __future__ import annotations

from typing import Any, Literal

from django.http import HttpRequest, HttpResponse
from ninja import Router, Schema

from isthmus.hub.http import actor as callers
from isthmus.hub.http import etag, idempotency, paging
from isthmus.hub.sync import service
from isthmus.identity import permissions
from isthmus.kernel.errors import NotFound
from isthmus.ledger.work import Work
from isthmus.web import records
from isthmus.web.resources import shapes

router = Router(tags=["conflicts"])


class Decision(Schema):
    """`value` is needed for `other` only."""

    winner: Literal["ours", "theirs", "other"]
    value: str | None = None


@router.get("/conflicts", summary="Conflicts, newest first")
def index(
    request: HttpRequest,
    response: HttpResponse,
    state: str = "",
    record: str = "",
    cursor: str = "",
    limit: int = paging.LIMIT_DEFAULT,
) -> dict[str, Any]:
    callers.require(request, "conflict:read")
    rows = records.of("conflict")
    for name, value in (("state", state), ("record", record)):
        if value:
            rows = rows.filter(**{name: value})
    return paging.listed(request, response, rows.all(), out=shapes.record, cursor=cursor, limit=limit)


@router.get("/conflicts/{conflict_id}", summary="One conflict")
def one(request: HttpRequest, response: HttpResponse, conflict_id: str) -> dict[str, Any]:
    callers.require(request, "conflict:read")
    found = _conflict(conflict_id)
    etag.stamp(response, found)
    return shapes.record(found)


@router.post("/conflicts/{conflict_id}/decision", summary="Decide; the value goes to every linked system")
def decide(request: HttpRequest, conflict_id: str, payload: Decision) -> HttpResponse:
    _allowed(request, conflict_id)

    def do(work: Work) -> Any:
        fresh = _conflict(conflict_id)
        etag.expect(request, fresh)
        service.decide(work, fresh, payload.winner, payload.value)
        return fresh

    return idempotency.act(request, do, out=shapes.record)


@router.post("/conflicts/{conflict_id}/restore", summary="Bring the losing value back everywhere")
def restore(request: HttpRequest, conflict_id: str) -> HttpResponse:
    _allowed(request, conflict_id)

    def do(work: Work) -> Any:
        fresh = _conflict(conflict_id)
        etag.expect(request, fresh)
        service.restore_loser(work, fresh)
        return fresh

    return idempotency.act(request, do, out=shapes.record)


def _conflict(conflict_id: str) -> Any:
    found = records.of("conflict").filter(id=conflict_id).first()
    if found is None:
        raise NotFound("There is no such conflict, or none that you may see.")
    return found


def _allowed(request: HttpRequest, conflict_id: str) -> None:
    actor = callers.require(request, "conflict:decide")
    permissions.require(actor, "conflict:decide", _conflict(conflict_id).organisation)
