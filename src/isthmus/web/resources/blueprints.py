"""The blueprint: what is in force, plan, apply, generations, rollback."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest, HttpResponse
from ninja import Router, Schema

from isthmus import blueprint
from isthmus.blueprint import approvals, service
from isthmus.blueprint.plan import Plan
from isthmus.blueprint.source import Source
from isthmus.hub.http import actor as callers
from isthmus.hub.http import idempotency, paging
from isthmus.identity import permissions
from isthmus.ledger import organisations
from isthmus.ledger.work import Work
from isthmus.web.resources import shapes

router = Router(tags=["blueprint"])


class Candidate(Schema):
    """`sections` as plain data; `expected`: the generation that was planned against (refused if it moved on)."""

    sections: dict[str, Any]
    expected: int | None = None


class Consent(Schema):
    """The hash of the content that is agreed to, as a plan shows it."""

    content_hash: str


@router.get("/blueprint", summary="The sections in force, as written")
def running(request: HttpRequest) -> dict[str, Any]:
    _readable(request)
    now = blueprint.current(fresh=True)
    return {"generation": now.generation, "content_hash": now.content_hash, "sections": service.export()}


@router.post("/blueprint/plan", summary="What applying would change; nothing is changed")
def plan(request: HttpRequest, payload: Candidate) -> dict[str, Any]:
    _readable(request)
    return _plan(service.plan(Source(sections=payload.sections)))


@router.post("/blueprint/apply", summary="Put a blueprint in force")
def apply(request: HttpRequest, payload: Candidate) -> HttpResponse:
    _allowed(request)

    def do(work: Work) -> Any:
        return service.apply(
            work,
            Source(sections=payload.sections),
            expected=payload.expected,
        )

    return idempotency.act(request, do, out=_generation)


@router.post("/blueprint/approvals", summary="Agree, as a second person, to exactly this content")
def approve(request: HttpRequest, payload: Consent) -> HttpResponse:
    """Needed before what decides about authority is applied. A signed-in person's; no token gives it."""
    callers.require(request, approvals.PERMISSION, organisations.root())
    return idempotency.act(
        request, lambda work: approvals.approve(work, payload.content_hash), out=shapes.record, status=201
    )


@router.get("/blueprint/generations", summary="Generations, newest first")
def generations(request: HttpRequest, limit: int = 50) -> dict[str, Any]:
    _readable(request)
    return {
        "items": [
            shapes.record(each, without=("content",)) for each in service.history(limit=paging.limited(limit))
        ],
        "next": "",
    }


@router.get("/blueprint/generations/{sequence}", summary="One generation, with its sections as written")
def generation(request: HttpRequest, sequence: int) -> dict[str, Any]:
    _readable(request)
    found = service.generation(sequence)
    return {**shapes.record(found, without=("content",)), "sections": service.sections_of(found)}


@router.post("/blueprint/generations/{sequence}/rollback", summary="Apply an earlier content again")
def rollback(request: HttpRequest, sequence: int) -> HttpResponse:
    _allowed(request)

    def do(work: Work) -> Any:
        return service.rollback(work, sequence)

    return idempotency.act(request, do, out=_generation)


def _readable(request: HttpRequest) -> None:
    """The blueprint names the connections and rules of every organisation, so it is read at the root only."""
    callers.require(request, "configuration:read", organisations.root())


def _allowed(request: HttpRequest) -> None:
    actor = callers.require(request, "configuration:write")
    permissions.require(actor, "configuration:write", organisations.root())


def _plan(found: Plan) -> dict[str, Any]:
    return {
        "base_generation": found.base_generation,
        "content_hash": found.content_hash,
        "steps": [
            {"pointer": each.pointer, "action": each.action, "old": each.old, "new": each.new}
            for each in found.steps
        ],
        "affects": list(found.affects),
        "high_tier": list(found.high_tier),
    }


def _generation(found: Any) -> dict[str, Any]:
    """None means that nothing differed, so no generation was made."""
    return (
        {"changed": False}
        if found is None
        else {"changed": True, **shapes.record(found, without=("content",))}
    )
