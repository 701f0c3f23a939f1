"""Service accounts: issue a token (shown once), list, revoke. And `me`: who is calling."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest, HttpResponse
from ninja import Router, Schema

from isthmus.hub.http import actor as callers
from isthmus.hub.http import idempotency, paging
from isthmus.identity import permissions, tokens
from isthmus.kernel.errors import NotFound
from isthmus.ledger.work import Work
from isthmus.web import records
from isthmus.web.resources import shapes

router = Router(tags=["identity"])


class NewToken(Schema):
    name: str
    scopes: list[str]
    days: int = tokens.DAYS_DEFAULT
    organisation: str = ""


@router.get("/me", summary="Who is calling, and what they may do")
def me(request: HttpRequest) -> dict[str, Any]:
    actor = callers.of(request)
    return {
        "id": actor.id,
        "kind": str(actor.kind),
        "label": actor.label,
        "organisations": sorted(actor.organisations),
        "roles": sorted(actor.roles),
        "permissions": sorted(permissions.held(actor)),
    }


@router.get("/tokens", summary="Service accounts; hashes never leave")
def index(
    request: HttpRequest, response: HttpResponse, cursor: str = "", limit: int = paging.LIMIT_DEFAULT
) -> dict[str, Any]:
    callers.require(request, "token:read")
    return paging.listed(
        request, response, records.of("service_account").all(), out=_out, cursor=cursor, limit=limit
    )


@router.post(
    "/tokens",
    summary="Issue a token; it is in this answer and never shown again",
    response={201: dict[str, Any]},
)
def issue(request: HttpRequest, payload: NewToken) -> HttpResponse:
    where = callers.organisation(request, "token:write", payload.organisation)

    def do(work: Work) -> tuple[Any, str]:
        return tokens.issue(
            work, organisation=where, name=payload.name, scopes=payload.scopes, days=payload.days
        )

    return idempotency.act(
        request, do, out=lambda pair: {**_out(pair[0]), "token": pair[1]}, status=201, repeatable=False
    )


@router.post("/tokens/{account_id}/revoke", summary="Refused everywhere within two seconds")
def revoke(request: HttpRequest, account_id: str) -> HttpResponse:
    actor = callers.require(request, "token:write")
    permissions.require(actor, "token:write", _account(account_id).organisation)

    def do(work: Work) -> Any:
        return tokens.revoke(work, _account(account_id))

    return idempotency.act(request, do, out=_out)


def _account(account_id: str) -> Any:
    found = records.of("service_account").filter(id=account_id).first()
    if found is None:
        raise NotFound("There is no such service account, or none that you may see.")
    return found


def _out(found: Any) -> dict[str, Any]:
    return shapes.record(found, without=("token_hash",))
