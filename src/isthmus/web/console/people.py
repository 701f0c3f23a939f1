"""People and tokens: who may do what, and which programs may call."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_POST

from isthmus.hub.http import actor as callers
from isthmus.identity import partner_names, people, permissions, tokens
from isthmus.identity.roles import NEVER_BY_TOKEN, PERMISSIONS, ROLES
from isthmus.kernel.errors import NotFound
from isthmus.ledger.work import Work
from isthmus.web import naming, records
from isthmus.web.console import listing
from isthmus.web.console.screen import act, back, found, me, page, screen
from isthmus.web.lists.asked import Asked
from isthmus.web.lists.showing import Row
from isthmus.web.lists.table import Slice
from isthmus.web.lists.tables import PEOPLE, TOKENS
from isthmus.web.lists.tables.people import grants_of


@screen("people:read")
def index(request: HttpRequest) -> HttpResponse:
    """People with their roles, and the table that says what each role may do."""

    def more(_: Asked, found: Slice, rows: list[Row]) -> dict[str, Any]:
        places = {each: naming.open_to(each) for each in {person.organisation for person in found.items}}
        return {
            "title": "People",
            "rows": [
                (each, sorted(partner_names.of(each.item).items()), places[each.item.organisation])
                for each in rows
            ],
            "grants": grants_of(found.items, me(request)),
            "roles": sorted(ROLES),
            "matrix": [
                (name, text, [name in ROLES[role] for role in sorted(ROLES)])
                for name, text in PERMISSIONS.items()
            ],
            "organisations": _organisations(request, "people:write"),
        }

    return listing.show(request, PEOPLE, "console/people.html", more)


@require_POST
@screen("people:write")
def add(request: HttpRequest) -> HttpResponse:
    """Add a person who can sign in, with one role."""
    where = callers.organisation(request, "people:write", request.POST.get("organisation", ""))
    given = {name: request.POST.get(name, "").strip() for name in ("username", "name", "email")}
    password, role = request.POST.get("password", ""), request.POST.get("role", "")

    def do(work: Work) -> Any:
        return people.create_user(
            work, organisation=where, password=password, roles=[role] if role else [], **given
        )

    act(request, do, permission="people:write", organisation=where, done=f"{given['username']} can sign in.")
    return back(request, "/people")


@require_POST
@screen("people:write")
def grant(request: HttpRequest, person_id: str) -> HttpResponse:
    person = found(records.of("person").filter(id=person_id).first())
    where = request.POST.get("organisation", "") or person.organisation
    role = request.POST.get("role", "")

    def do(work: Work) -> Any:
        return people.grant(work, holder=person_id, role=role, organisation=where)

    act(request, do, permission="people:write", organisation=where, done=f"The role {role} is granted.")
    people.forget(person_id)
    return back(request, "/people")


@require_POST
@screen("people:write")
def revoke(request: HttpRequest, grant_id: str) -> HttpResponse:
    held = found(records.of("role_grant").filter(id=grant_id).first())

    def do(work: Work) -> Any:
        return people.revoke(work, holder=held.holder, role=held.role, organisation=held.organisation)

    done = f"The role {held.role} is revoked and stops working within two seconds."
    act(request, do, permission="people:write", organisation=held.organisation, done=done)
    return back(request, "/people")


@require_POST
@screen("people:write")
def name(request: HttpRequest, person_id: str) -> HttpResponse:
    """Say what somebody is called at a connection."""
    person = found(records.of("person").filter(id=person_id).first())
    given, where = request.POST.get("name", "").strip(), request.POST.get("connection", "")

    def do(work: Work) -> Any:
        fresh = found(records.of("person").filter(id=person_id).first())
        return partner_names.give(work, fresh, connection=naming.connection_for(fresh, where), name=given)

    done = f"What {given} decides at {where} is {person.username}'s decision from now on."
    act(request, do, permission="people:write", organisation=person.organisation, done=done)
    return back(request, "/people")


@require_POST
@screen("people:write")
def unname(request: HttpRequest, person_id: str) -> HttpResponse:
    """Take somebody's name at a connection away."""
    person = found(records.of("person").filter(id=person_id).first())
    where = request.POST.get("connection", "")

    def do(work: Work) -> Any:
        return partner_names.take(
            work, found(records.of("person").filter(id=person_id).first()), connection=where
        )

    done = f"{person.username} has no name at {where} any more."
    act(request, do, permission="people:write", organisation=person.organisation, done=done)
    return back(request, "/people")


@screen("token:read")
def list_tokens(request: HttpRequest) -> HttpResponse:
    """The programs that may call, and the form that issues a token."""

    def more(*_: Any) -> dict[str, Any]:
        return {
            "title": "Tokens",
            "scopes": [
                (name, text)
                for name, text in PERMISSIONS.items()
                if name not in NEVER_BY_TOKEN and permissions.allowed(me(request), name)
            ],
            "organisations": _organisations(request, "token:write"),
            "days": tokens.DAYS_DEFAULT,
            "days_max": tokens.DAYS_MAX,
        }

    return listing.show(request, TOKENS, "console/tokens.html", more)


@require_POST
@screen("token:write")
def issue(request: HttpRequest) -> HttpResponse:
    """Issue a token and show it once, on the page that answers the form (it is never in a URL or a cookie)."""
    where = callers.organisation(request, "token:write", request.POST.get("organisation", ""))
    days = request.POST.get("days", "")

    def do(work: Work) -> tuple[Any, str]:
        return tokens.issue(
            work,
            organisation=where,
            name=request.POST.get("name", "").strip(),
            scopes=request.POST.getlist("scope"),
            days=int(days) if days.isdigit() else 0,
        )

    issued = act(request, do, permission="token:write", organisation=where, done="The token is issued.")
    if issued is None:
        return back(request, "/tokens")
    account, token = issued
    list(messages.get_messages(request))
    return page(
        request, "console/token_issued.html", {"title": "Token issued", "account": account, "token": token}
    )


@require_POST
@screen("token:write")
def revoke_token(request: HttpRequest, account_id: str) -> HttpResponse:
    account = found(records.of("service_account").filter(id=account_id).first())

    def do(work: Work) -> Any:
        fresh = records.of("service_account").filter(id=account_id).first()
        if fresh is None:
            raise NotFound("There is no such token.")
        return tokens.revoke(work, fresh)

    done = f"{account.name} is refused everywhere within two seconds."
    act(request, do, permission="token:write", organisation=account.organisation, done=done)
    return back(request, "/tokens")


def _organisations(request: HttpRequest, permission: str) -> list[tuple[str, str]]:
    """Return (id, name) of the organisations in which the reader may do this."""
    ids = permissions.organisations_with(me(request), permission)
    return sorted(records.titles("organisation", ids, "name").items(), key=lambda each: each[1])
