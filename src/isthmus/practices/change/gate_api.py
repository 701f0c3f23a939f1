"""HTTP resources of the deployment gate."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest, HttpResponse
from ninja import Query, Router, Schema

from isthmus.hub.http import actor as callers
from isthmus.hub.http import idempotency, paging
from isthmus.kernel.instant import SECOND
from isthmus.practices.change import gate
from isthmus.practices.change.models import GateDecision
from isthmus.practices.configuration.shapes import time_out

router = Router(tags=["gate"])
ASK, READ = "gate:check", "change:read"


class GateQuestion(Schema):
    """Which change (number or id), where it goes, what goes in, onto which items."""

    change: str
    environment: str = ""
    artefact_hash: str = ""
    cis: list[str] = []
    organisation: str = ""


class GateRequest(GateQuestion):
    """As a question; `callback` names a connection that is told the answer once."""

    callback: str = ""
    wait_seconds: int | None = None


class DecisionFilter(Schema):
    """Every given value narrows the list."""

    decision: str = ""
    change: str = ""
    change_number: str = ""
    organisation: str = ""
    cursor: str = ""
    limit: int = paging.LIMIT_DEFAULT


def decision_out(record: GateDecision) -> dict[str, Any]:
    """Return a decision with its reasons and the facts that it was computed from."""
    told = gate.described(record)
    return told | {
        "expires_at": time_out(record.expires_at), "asked_by": record.asked_by, "cis": record.cis or [], "facts": record.facts,
        "organisation": record.organisation, "created_at": time_out(record.created_at), "version": record.version,
    }  # fmt: skip


@router.post("/gate/check", summary="May this go in now?")
def check(request: HttpRequest, payload: GateQuestion) -> HttpResponse:
    """Answer allow, deny or wait with every reason. 200 whatever the answer: read `decision`."""
    where = callers.organisation(request, ASK, payload.organisation)
    question = payload.dict(exclude={"organisation"})
    return idempotency.act(
        request, lambda work: gate.check(work, question, organisation=where).record, out=decision_out
    )


@router.post("/gate/requests", summary="Ask, and be told when it is decided")
def ask(request: HttpRequest, payload: GateRequest) -> HttpResponse:
    """Answer 202 with a token. Look with it, wait with it at /gate/wait, or name a connection to be called back."""
    where = callers.organisation(request, ASK, payload.organisation)
    question = payload.dict(exclude={"organisation", "callback", "wait_seconds"})
    wait_for = None if payload.wait_seconds is None else payload.wait_seconds * SECOND
    return idempotency.act(
        request,
        lambda work: gate.ask(
            work, question, organisation=where, callback=payload.callback, wait_for=wait_for
        ),
        out=lambda answer: (
            decision_out(answer.record) | {"token": answer.token, "wait": f"/gate/wait?token={answer.token}"}
        ),
        status=202,
    )


@router.get("/gate/requests/{token}", summary="What became of a request")
def look(request: HttpRequest, token: str) -> dict[str, Any]:
    """Return the decision as it stands; `wait` until something decides it or its time is up."""
    callers.require(request, ASK)
    return decision_out(gate.look(token))


@router.get("/gate/decisions", summary="Every answer of the gate, the newest first")
def list_decisions(
    request: HttpRequest, response: HttpResponse, filters: Query[DecisionFilter]
) -> dict[str, Any]:
    """Return a page of decisions."""
    callers.require(request, READ)
    rows = GateDecision.objects.all()
    for name in ("decision", "change", "change_number", "organisation"):
        if value := getattr(filters, name):
            rows = rows.filter(**{name: value})
    return paging.listed(
        request, response, rows, out=decision_out, cursor=filters.cursor, limit=filters.limit
    )
