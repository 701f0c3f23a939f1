"""Views: filters of a list that somebody keeps under a name, for themselves or for their organisation."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest, HttpResponse
from ninja import Router, Schema

from isthmus.hub.http import actor as callers
from isthmus.hub.http import etag, idempotency
from isthmus.identity import list_choices, list_views
from isthmus.identity.list_models import ListView
from isthmus.kernel.actor import Actor
from isthmus.ledger.work import Work
from isthmus.web.lists import shelf, tables
from isthmus.web.lists.asked import canonical
from isthmus.web.lists.table import Table
from isthmus.web.resources import shapes

router = Router(tags=["views"])


class NewView(Schema):
    """`table` as GET /lists names it; `query` as it stands in the console's address: filters, order, columns.
    `first`: the list opens with it for you; `organisation`: where it is shared, if several are possible."""

    table: str
    name: str
    query: str = ""
    shared: bool = False
    first: bool = False
    organisation: str = ""


class ViewPatch(Schema):
    """Only what is sent changes."""

    name: str | None = None
    query: str | None = None
    shared: bool | None = None


@router.get(
    "/views", summary="Your views and those shared with you; `deleted=true` for what can be brought back"
)
def index(request: HttpRequest, table: str = "", *, deleted: bool = False) -> dict[str, Any]:
    actor = callers.require(request, list_views.READ)
    held = list_views.visible(actor, table, deleted=deleted)
    return {"items": [_out(each) for each in held if each.table in tables.TABLES], "next": ""}


@router.post("/views", summary="Keep a filter under a name", response={201: dict[str, Any]})
def keep(request: HttpRequest, payload: NewView) -> HttpResponse:
    actor = callers.require(request, list_views.WRITE)
    table = tables.permitted(actor, payload.table)
    home = callers.home_organisation(actor)
    where = callers.organisation(request, list_views.SHARE, payload.organisation) if payload.shared else home

    def do(work: Work) -> ListView:
        made = list_views.keep(
            work, organisation=where, table=table.key, name=payload.name,
            query=canonical(table, actor, payload.query), shared=payload.shared,
        )  # fmt: skip
        if payload.first:
            list_choices.choose(work, organisation=home, table=table.key, view=made)
        return made

    return idempotency.act(request, do, out=_out, status=201)


@router.get("/views/{view_id}", summary="One view")
def one(request: HttpRequest, response: HttpResponse, view_id: str) -> dict[str, Any]:
    actor = callers.require(request, list_views.READ)
    found = list_views.get(actor, view_id)
    etag.stamp(response, found)
    return _out(found)


@router.patch("/views/{view_id}", summary="Rename a view, replace its filter, share it or take it back")
def change(request: HttpRequest, view_id: str, payload: ViewPatch) -> HttpResponse:
    actor = callers.require(request, list_views.WRITE)

    def do(work: Work) -> ListView:
        view = _expected(request, actor, view_id)
        query = None if payload.query is None else canonical(_table(actor, view), actor, payload.query)
        return list_views.change(work, view, name=payload.name, query=query, shared=payload.shared)

    return idempotency.act(request, do, out=_out)


@router.delete("/views/{view_id}", summary="Delete a view; it can be brought back")
def delete(request: HttpRequest, view_id: str) -> HttpResponse:
    actor = callers.require(request, list_views.WRITE)
    return idempotency.act(
        request, lambda work: list_views.delete(work, _expected(request, actor, view_id)), out=_out
    )


@router.post("/views/{view_id}/restore", summary="Bring a deleted view back")
def restore(request: HttpRequest, view_id: str) -> HttpResponse:
    actor = callers.require(request, list_views.WRITE)
    return idempotency.act(
        request,
        lambda work: list_views.restore(work, _expected(request, actor, view_id, deleted=True)),
        out=_out,
    )


def _expected(request: HttpRequest, actor: Actor, view_id: str, *, deleted: bool = False) -> ListView:
    """Return the view, at the version that the caller expects."""
    found = list_views.get(actor, view_id, deleted=deleted)
    etag.expect(request, found)
    return found


def _table(actor: Actor, view: ListView) -> Table:
    return tables.permitted(actor, view.table)


def _out(view: ListView) -> dict[str, Any]:
    """Return a view with the page that applies it."""
    table = tables.TABLES.get(view.table)
    href = shelf.Shelf(table=table, views=(), owned=0).path(view) if table is not None else ""
    return {**shapes.record(view), "href": href}
