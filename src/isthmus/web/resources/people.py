"""People and their roles."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest, HttpResponse
from ninja import Router, Schema

from isthmus.hub.http import actor as callers
from isthmus.hub.http import etag, idempotency, paging
from isthmus.identity import partner_names, people, permissions
from isthmus.identity.models import Person
from isthmus.kernel.errors import NotFound
from isthmus.ledger.work import Work
from isthmus.web import naming, records
from isthmus.web.resources import shapes

router = Router(tags=["identity"])


class NewPerson(Schema):
    username: str
    password: str
    name: str = ""
    email: str = ""
    roles: list[str] = []
    organisation: str = ""


class Grant(Schema):
    role: str
    organisation: str = ""


class PartnerName(Schema):
    """`name` as the partner shows it: for ServiceNow the user name, for Jira the account id."""

    connection: str
    name: str


class FormerName(Schema):
    connection: str


@router.get("/people", summary="People")
def index(
    request: HttpRequest, response: HttpResponse, username: str = "", cursor: str = "", limit: int = paging.LIMIT_DEFAULT
) -> dict[str, Any]:  # fmt: skip
    callers.require(request, "people:read")
    rows = records.of("person").all()
    if username:
        rows = rows.filter(username=username)
    return paging.listed(request, response, rows, out=shapes.record, cursor=cursor, limit=limit)


@router.post("/people", summary="Add a person who can sign in", response={201: dict[str, Any]})
def add(request: HttpRequest, payload: NewPerson) -> HttpResponse:
    where = callers.organisation(request, "people:write", payload.organisation)
    given = payload.dict(exclude={"organisation"})

    def do(work: Work) -> Any:
        return people.create_user(work, organisation=where, **given)

    return idempotency.act(request, do, out=shapes.record, status=201)


@router.post("/people/{person_id}/grants", summary="Grant a role", response={201: dict[str, Any]})
def grant(request: HttpRequest, person_id: str, payload: Grant) -> HttpResponse:
    actor = callers.require(request, "people:write")
    person = _person(person_id)
    where = payload.organisation or person.organisation
    permissions.require(actor, "people:write", where)

    def do(work: Work) -> Any:
        return people.grant(work, holder=person_id, role=payload.role, organisation=where)

    answer = idempotency.act(request, do, out=shapes.record, status=201)
    people.forget(person_id)
    return answer


@router.post(
    "/people/{person_id}/grants/revoke", summary="Revoke a role; it stops working within two seconds"
)
def revoke(request: HttpRequest, person_id: str, payload: Grant) -> HttpResponse:
    actor = callers.require(request, "people:write")
    where = payload.organisation or _person(person_id).organisation
    permissions.require(actor, "people:write", where)

    def do(work: Work) -> dict[str, Any]:
        people.revoke(work, holder=person_id, role=payload.role, organisation=where)
        return {"holder": person_id, "role": payload.role, "state": "revoked"}

    return idempotency.act(request, do, out=lambda each: each)


@router.post(
    "/people/{person_id}/partner-names",
    summary="Say what somebody is called at a connection; their decisions there count from then on",
)
def name(request: HttpRequest, person_id: str, payload: PartnerName) -> HttpResponse:
    person = _named(request, person_id)
    where = naming.connection_for(person, payload.connection)

    def do(work: Work) -> Any:
        return partner_names.give(work, _person(person_id), connection=where, name=payload.name)

    return idempotency.act(request, do, out=shapes.record)


@router.post("/people/{person_id}/partner-names/remove", summary="Take somebody's name at a connection away")
def unname(request: HttpRequest, person_id: str, payload: FormerName) -> HttpResponse:
    _named(request, person_id)

    def do(work: Work) -> Any:
        return partner_names.take(work, _person(person_id), connection=payload.connection)

    return idempotency.act(request, do, out=shapes.record)


def _named(request: HttpRequest, person_id: str) -> Person:
    """Return the person whose names may be changed by the caller, at the version that they expect."""
    actor = callers.require(request, "people:write")
    person: Person = _person(person_id)
    permissions.require(actor, "people:write", person.organisation)
    etag.expect(request, person)
    return person


def _person(person_id: str) -> Any:
    found = records.of("person").filter(id=person_id).first()
    if found is None:
        raise NotFound("There is no such person, or none that you may see.")
    return found
