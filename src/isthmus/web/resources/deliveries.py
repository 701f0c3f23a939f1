"""Deliveries: what is owed to other systems, dead letters, retry one or many."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.http import HttpRequest, HttpResponse
from ninja import Router, Schema

from isthmus.hub.http import actor as callers
from isthmus.hub.http import idempotency, paging, problems
from isthmus.hub.intake import shared
from isthmus.hub.lanes import service
from isthmus.hub.lanes.models import Delivery
from isthmus.hub.models import ParkedMessage
from isthmus.hub.pump import completing, parking
from isthmus.identity import permissions
from isthmus.kernel.actor import Actor
from isthmus.kernel.errors import IsthmusError, NotFound
from isthmus.ledger.door import perform
from isthmus.ledger.work import Work
from isthmus.web import visible
from isthmus.web.console.parked import dismissed
from isthmus.web.resources import shapes

router = Router(tags=["deliveries"])
RETRIED_MAX = 500
_FIELDS = (
    "id",
    "organisation",
    "connection",
    "kind",
    "record_kind",
    "record",
    "verb",
    "state",
    "attempts",
    "trace",
    "fault",
    "cause",
    "remedy",
    "outcome",
)
_TIMES = ("created_at", "updated_at", "done_at", "next_at")


class Chosen(Schema):
    """Ids of deliveries."""

    ids: list[str]


class Given(Schema):
    """Canonical values with which a person completes a message."""

    values: dict[str, str]


class Discarded(Schema):
    """Ids of dead letters, and why they are not needed."""

    ids: list[str]
    reason: str


class DiscardIn(Schema):
    """Why."""

    reason: str


@router.get("/deliveries", summary="Deliveries, last changed first")
def index(
    request: HttpRequest,
    response: HttpResponse,
    state: str = "",
    connection: str = "",
    record: str = "",
    cursor: str = "",
    limit: int = paging.LIMIT_DEFAULT,
) -> dict[str, Any]:
    callers.require(request, "delivery:read")
    rows = visible.rows(Delivery)
    for name, value in (("state", state), ("connection", connection), ("record", record)):
        if value:
            rows = rows.filter(**{f"{name}__in": value.split(",")})
    return paging.listed(request, response, rows, out=out, cursor=cursor, limit=limit, order="-updated_at")


@router.get("/deliveries/parked", summary="Messages that could not be taken")
def parked(
    request: HttpRequest,
    response: HttpResponse,
    connection: str = "",
    cursor: str = "",
    limit: int = paging.LIMIT_DEFAULT,
) -> dict[str, Any]:
    callers.require(request, "delivery:read")
    rows = visible.rows(ParkedMessage).filter(state="parked")
    if connection:
        rows = rows.filter(connection=connection)
    return paging.listed(request, response, rows, out=_message, cursor=cursor, limit=limit)


@router.get("/deliveries/parked/{message_id}/message", summary="The raw text of a parked message")
def parked_message(request: HttpRequest, message_id: str) -> dict[str, Any]:
    row = _parked_allowed(request, message_id)
    message = completing.raw(shared.log(), row)
    return {
        "id": row.id,
        "connection": row.connection,
        "door": message.door,
        "headers": [{"name": name, "value": value} for name, value in message.headers],
        "bytes": len(message.body),
        "text": completing.shown(message),
        "fields": [
            {"name": each.name, "choices": list(each.choices), "missing": each.asked}
            for each in completing.fields_of(row)
        ],
    }


@router.post(
    "/deliveries/parked/{message_id}/complete",
    summary="Complete a message that says too little, and take it up again",
    response={202: dict[str, Any]},
)
def complete(request: HttpRequest, message_id: str, payload: Given) -> HttpResponse:
    row = _parked_allowed(request, message_id)
    return idempotency.act(
        request,
        lambda work: parking.redrive(work, message_id, completing.checked(row, payload.values)),
        out=lambda row: {"id": row.id, "state": "taken up again"},
        status=202,
    )


@router.post(
    "/deliveries/parked/{message_id}/redrive",
    summary="Take a parked message, and those behind it, up again",
    response={202: dict[str, Any]},
)
def redrive(request: HttpRequest, message_id: str) -> HttpResponse:
    _parked_allowed(request, message_id)
    return idempotency.act(
        request,
        lambda work: parking.redrive(work, message_id),
        out=lambda row: {"id": row.id, "state": "taken up again"},
        status=202,
    )


@router.post(
    "/deliveries/parked/{message_id}/dismiss", summary="Give a parked message up for good, with a reason"
)
def dismiss(request: HttpRequest, message_id: str, payload: DiscardIn) -> HttpResponse:
    _parked_allowed(request, message_id)
    return idempotency.act(
        request,
        lambda work: dismissed(work, message_id, payload.reason.strip()),
        out=lambda row: {"id": row.id, "state": "dismissed"},
    )


@router.post("/deliveries/retry", summary="Retry many; answers per item")
def retry_many(request: HttpRequest, payload: Chosen) -> dict[str, Any]:
    callers.require(request, "delivery:retry")
    return {"items": [_retried(request, each) for each in payload.ids[:RETRIED_MAX]], "next": ""}


@router.post("/deliveries/discard", summary="Give many dead letters up for good; answers per item")
def discard_many(request: HttpRequest, payload: Discarded) -> dict[str, Any]:
    callers.require(request, "delivery:retry")
    items = [_discarded(request, each, payload.reason) for each in payload.ids[:RETRIED_MAX]]
    return {"items": items, "next": ""}


@router.post("/deliveries/{delivery_id}/discard", summary="Give a dead letter up for good, with a reason")
def discard(request: HttpRequest, delivery_id: str, payload: DiscardIn) -> HttpResponse:
    _allowed(request, delivery_id)

    def do(work: Work) -> dict[str, Any]:
        service.discard(work, delivery_id, payload.reason)
        return {"id": delivery_id, "state": "dropped"}

    return idempotency.act(request, do, out=lambda each: each)


@router.post("/deliveries/{delivery_id}/retry", summary="Try again now; the order of its subject is kept")
def retry(request: HttpRequest, delivery_id: str) -> HttpResponse:
    _allowed(request, delivery_id)

    def do(work: Work) -> dict[str, Any]:
        service.retry(work, delivery_id)
        return {"id": delivery_id, "state": "due"}

    return idempotency.act(request, do, out=lambda each: each, status=202)


@router.get("/deliveries/{delivery_id}", summary="One delivery")
def one(request: HttpRequest, delivery_id: str) -> dict[str, Any]:
    callers.require(request, "delivery:read")
    return out(_delivery(delivery_id))


def _retried(request: HttpRequest, delivery_id: str) -> dict[str, Any]:
    return _one_of_many(request, delivery_id, lambda work: service.retry(work, delivery_id), done=202)


def _discarded(request: HttpRequest, delivery_id: str, reason: str) -> dict[str, Any]:
    return _one_of_many(
        request, delivery_id, lambda work: service.discard(work, delivery_id, reason), done=200
    )


def _one_of_many(
    request: HttpRequest, delivery_id: str, do: Callable[[Work], None], *, done: int
) -> dict[str, Any]:
    """Act on one of many in a Work of its own: a refusal is this item's answer and stops no other."""
    caller = callers.caller(request)
    try:
        actor = _allowed(request, delivery_id)
        perform(do, actor=actor, origin=caller.origin, trace=caller.trace)
    except IsthmusError as error:
        return {
            "id": delivery_id,
            "status": problems.status_of(error)[0],
            "detail": error.text,
            "remedy": error.remedy,
        }
    return {"id": delivery_id, "status": done}


def _allowed(request: HttpRequest, delivery_id: str) -> Actor:
    actor = callers.require(request, "delivery:retry")
    permissions.require(actor, "delivery:retry", _delivery(delivery_id).organisation)
    return actor


def _parked_allowed(request: HttpRequest, message_id: str) -> ParkedMessage:
    actor = callers.require(request, "delivery:retry")
    row: ParkedMessage | None = visible.rows(ParkedMessage).filter(id=message_id).first()
    if row is None:
        raise NotFound("There is no such parked message, or none that you may see.")
    permissions.require(actor, "delivery:retry", row.organisation)
    return row


def _delivery(delivery_id: str) -> Any:
    found = visible.rows(Delivery).filter(id=delivery_id).first()
    if found is None:
        raise NotFound("There is no such delivery, or none that you may see.")
    return found


def out(found: Any) -> dict[str, Any]:
    """Return a delivery; its payload stays sealed."""
    return {name: getattr(found, name) for name in _FIELDS} | {
        name: shapes.time(getattr(found, name)) for name in _TIMES
    }


def _message(found: Any) -> dict[str, Any]:
    plain = (
        "id",
        "connection",
        "position",
        "trace",
        "kind",
        "subject",
        "behind",
        "cause",
        "remedy",
        "problems",
        "attempts",
    )
    return {name: getattr(found, name) for name in plain} | {"parked_at": shapes.time(found.parked_at)}
