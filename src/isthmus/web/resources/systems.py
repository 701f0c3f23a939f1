"""Connected systems and their health; pause and resume."""

from __future__ import annotations

import base64
from typing import Any

from django.http import HttpRequest, HttpResponse
from ninja import Router, Schema

from isthmus.hub import connections, trying
from isthmus.hub.http import actor as callers
from isthmus.hub.http import idempotency
from isthmus.hub.lanes import service as lanes
from isthmus.hub.sync import comparing
from isthmus.hub.sync.models import Comparison
from isthmus.identity import permissions
from isthmus.kernel.errors import NotFound, Problem, Rejected
from isthmus.ledger.ids import source
from isthmus.ledger.work import Work
from isthmus.web import probing
from isthmus.web.console import systems as view
from isthmus.web.resources import shapes

router = Router(tags=["systems"])


class Pause(Schema):
    """Why calls to the system stop, or how it is known that its objects are gone."""

    reason: str


class Sample(Schema):
    """A message as a sender would send it; `base64` if it is not text."""

    body: str
    base64: bool = False
    headers: dict[str, str] = {}


@router.get("/systems", summary="All connections with their health")
def index(request: HttpRequest) -> dict[str, Any]:
    callers.require(request, "system:read")
    return {"items": [_out(each) for each in view.cards(source.now())], "next": ""}


@router.get("/systems/{name}", summary="One connection")
def one(request: HttpRequest, name: str) -> dict[str, Any]:
    callers.require(request, "system:read")
    return _out(_card(name))


@router.post("/systems/{name}/pause", summary="Stop calls; messages from it are still taken")
def pause(request: HttpRequest, name: str, payload: Pause) -> HttpResponse:
    card = _allowed(request, name)

    def do(work: Work) -> view.Card:
        lanes.pause(work, name, payload.reason)
        return card

    return idempotency.act(request, do, out=lambda each: {"name": each.name, "paused": True})


@router.post("/systems/{name}/resume", summary="Let calls go out again, oldest first")
def resume(request: HttpRequest, name: str) -> HttpResponse:
    card = _allowed(request, name)

    def do(work: Work) -> view.Card:
        lanes.resume(work, name)
        return card

    return idempotency.act(request, do, out=lambda each: {"name": each.name, "paused": False})


@router.post("/systems/{name}/confirm-gone", summary="Confirm that objects which vanished were deleted there")
def confirm_gone(request: HttpRequest, name: str, payload: Pause) -> HttpResponse:
    card = _allowed(request, name)

    def do(work: Work) -> view.Card:
        lanes.confirm_gone(work, name, payload.reason)
        return card

    return idempotency.act(request, do, out=lambda each: {"name": each.name, "paused": False})


@router.post("/systems/{name}/probe", summary="Ask the partner now whether it answers; journalled")
def probe(request: HttpRequest, name: str) -> HttpResponse:
    card = _allowed(request, name)
    found = probing.probe(name, card.organisation)
    return idempotency.act(request, lambda work: probing.note(work, found), out=_finding, repeatable=False)


@router.post("/systems/{name}/try", summary="Show what a connection sees in a sample message; no effect")
def try_message(request: HttpRequest, name: str, payload: Sample) -> dict[str, Any]:
    _allowed(request, name)
    try:
        body = base64.b64decode(payload.body, validate=True) if payload.base64 else payload.body.encode()
    except (ValueError, UnicodeError) as cause:
        raise Rejected(
            "The sample is not base64.", problems=(Problem(path="/body", message="is not base64"),)
        ) from cause
    return {"items": trying.read(connections.get(name), body, payload.headers), "next": ""}


def _finding(found: probing.Finding) -> dict[str, Any]:
    return {
        "name": found.name,
        "ok": found.ok,
        "detail": found.text,
        "remedy": found.error.remedy if found.error is not None else "",
        "product": found.product,
        "version": found.version,
        "missing_scopes": list(found.missing_scopes),
    }


def _card(name: str) -> view.Card:
    for each in view.cards(source.now()):
        if each.name == name:
            return each
    raise NotFound(f"There is no connection {name!r}, or none that you may see.")


def _allowed(request: HttpRequest, name: str) -> view.Card:
    callers.require(request, "system:write")
    card = _card(name)
    permissions.require(callers.of(request), "system:write", card.organisation)
    return card


def _out(card: view.Card) -> dict[str, Any]:
    _, words = card.status()
    state = card.state
    return {
        "name": card.name,
        "connector": card.connector,
        "organisation": card.organisation,
        "status": words,
        "receives": card.receives,
        "fault": None if card.fault is None else {"detail": card.fault.text, "remedy": card.fault.remedy},
        "paused": state.paused,
        "paused_reason": state.paused_reason,
        "vanished_held_at": shapes.time(state.vanished_held_at),
        "breaker": state.breaker,
        "backlog": card.backlog,
        "oldest_due_at": shapes.time(card.oldest),
        "lag_messages": state.lag_messages,
        "lag_seconds": state.lag_microseconds / 1_000_000,
        "last_success_at": shapes.time(state.last_success_at),
        "last_received_at": shapes.time(card.received_at),
        "last_error_at": shapes.time(state.last_error_at),
        "last_error": state.last_error,
        "last_error_remedy": state.last_error_remedy,
        "comparisons": [_comparison(each) for each in comparing.latest(card.name)],
    }


def _comparison(found: Comparison) -> dict[str, Any]:
    """Show the last or running comparison of one kind; it is running while `finished_at` is null."""
    counts = {name: getattr(found, name) for name in ("kind", "asked", "looked", "different", "missing")}
    times = {name: shapes.time(getattr(found, name)) for name in ("started_at", "finished_at")}
    return counts | times
