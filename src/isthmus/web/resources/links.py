"""Links between records and objects of other systems."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from django.http import HttpRequest, HttpResponse
from ninja import Router, Schema

from isthmus.hub.http import actor as callers
from isthmus.hub.http import etag, idempotency, paging
from isthmus.hub.sync import service
from isthmus.hub.sync.loading import mapping_of
from isthmus.hub.sync.models import Link
from isthmus.identity import permissions
from isthmus.kernel.errors import NotFound, Problem, Rejected
from isthmus.kernel.observation import ExternalRef
from isthmus.ledger.work import Work
from isthmus.web import records
from isthmus.web.resources import shapes

router = Router(tags=["links"])
LINKED_KINDS = ("incident", "change")


class NewLink(Schema):
    """Link a record to a connection; `external_key` adopts an existing object, else one is created."""

    record_kind: str
    record: str
    connection: str
    external_kind: str = ""
    external_key: str = ""
    reason: str = ""


class UnlinkIn(Schema):
    reason: str


@router.get("/links", summary="Links, newest first")
def index(
    request: HttpRequest,
    response: HttpResponse,
    record: str = "",
    connection: str = "",
    state: str = "",
    cursor: str = "",
    limit: int = paging.LIMIT_DEFAULT,
) -> dict[str, Any]:
    callers.require(request, "link:read")
    rows = records.of("link")
    for name, value in (("record", record), ("connection", connection), ("state", state)):
        if value:
            rows = rows.filter(**{name: value})
    return paging.listed(request, response, rows.all(), out=_out, cursor=cursor, limit=limit)


@router.get("/links/{link_id}", summary="One link with its base per field")
def one(request: HttpRequest, response: HttpResponse, link_id: str) -> dict[str, Any]:
    callers.require(request, "link:read")
    found = _link(link_id)
    etag.stamp(response, found)
    return shapes.record(found)


@router.post("/links", summary="Link a record", response={201: dict[str, Any]})
def create(request: HttpRequest, payload: NewLink) -> HttpResponse:
    actor = callers.require(request, "link:write")
    if payload.record_kind not in LINKED_KINDS:
        raise Rejected(
            "Only incidents and changes are linked.",
            problems=(Problem(path="/body/record_kind", message="not linked"),),
        )
    record = records.of(payload.record_kind).filter(id=payload.record).first()
    if record is None:
        raise NotFound("There is no such record, or none that you may see.")
    permissions.require(actor, "link:write", record.organisation)
    external = (
        ExternalRef(
            connection=payload.connection,
            kind=payload.external_kind or mapping_of(payload.connection, payload.record_kind).external_kind,
            key=payload.external_key,
            label=payload.external_key,
        )
        if payload.external_key
        else None
    )

    def do(work: Work) -> Any:
        return service.link(
            work, record, payload.connection, external=external, why=payload.reason or "Linked by hand."
        )

    return idempotency.act(request, do, out=_out, status=201)


@router.post("/links/{link_id}/unlink", summary="Stop following; both objects stay")
def unlink(request: HttpRequest, link_id: str, payload: UnlinkIn) -> HttpResponse:
    _allowed(request, link_id)

    def do(work: Work) -> Any:
        fresh = _link(link_id)
        etag.expect(request, fresh)
        service.unlink(work, fresh, why=payload.reason or "Unlinked by hand.")
        return fresh

    return idempotency.act(request, do, out=_out)


@router.post(
    "/links/{link_id}/compare", summary="Read the other side again now", response={202: dict[str, Any]}
)
def compare(request: HttpRequest, link_id: str) -> HttpResponse:
    return _asked(request, link_id, service.compare)


@router.post(
    "/links/{link_id}/insist",
    summary="Write our value once more where a field is parked, also over one that could not be read",
    response={202: dict[str, Any]},
)
def insist(request: HttpRequest, link_id: str) -> HttpResponse:
    return _asked(request, link_id, partial(service.retry_parked, insist=True))


def _asked(request: HttpRequest, link_id: str, ask: Callable[[Work, Link], None]) -> HttpResponse:
    """Have the lane do something about a link; it is done later."""
    _allowed(request, link_id)

    def do(work: Work) -> Any:
        fresh = _link(link_id)
        ask(work, fresh)
        return fresh

    return idempotency.act(request, do, out=_out, status=202)


def _link(link_id: str) -> Any:
    found = records.of("link").filter(id=link_id).first()
    if found is None:
        raise NotFound("There is no such link, or none that you may see.")
    return found


def _allowed(request: HttpRequest, link_id: str) -> None:
    actor = callers.require(request, "link:write")
    permissions.require(actor, "link:write", _link(link_id).organisation)


def _out(found: Any) -> dict[str, Any]:
    return shapes.record(found, without=("parts",))
