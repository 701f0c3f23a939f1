"""The console's lists for programs: which there are, their rows with chosen columns, as JSON or CSV, and one's choice."""

from __future__ import annotations

from typing import Any, Literal

from django.http import HttpRequest, HttpResponse, QueryDict
from ninja import Router, Schema

from isthmus.hub.http import actor as callers
from isthmus.hub.http import idempotency, paging
from isthmus.identity import list_choices, list_views, permissions
from isthmus.identity.list_models import ListChoice
from isthmus.kernel.errors import NotFound
from isthmus.ledger.work import Work
from isthmus.web.lists import choosing, download, shelf, showing, tables
from isthmus.web.lists.table import Table

router = Router(tags=["views"])


class Choice(Schema):
    """Only what is sent changes. `columns`: in their order, none for the usual ones; `view`: the one that the list opens
    with, by id, "" for none."""

    columns: list[str] | None = None
    view: str | None = None


@router.get("/lists", summary="The lists that you may read, with their columns, filters and orders")
def index(request: HttpRequest) -> dict[str, Any]:
    actor = callers.require(request, list_views.READ)
    shown = [each for each in tables.TABLES.values() if permissions.allowed(actor, each.permission)]
    return {"items": [_table(each) for each in shown], "next": ""}


@router.get(
    "/lists/{table}",
    summary="Rows of a list: filters as GET /lists names them, columns, order, a view; `format=csv` for a file",
)
def rows(
    request: HttpRequest,
    response: HttpResponse,
    table: str,
    view: str = "",
    columns: str = "",
    order: str = "",
    format: Literal["json", "csv"] = "json",  # noqa: A002 - the name that the console's URLs use
    cursor: str = "",
    limit: int = paging.LIMIT_DEFAULT,
) -> Any:
    """Return what the console's page shows: the same rows, the same cells. `view` is an id or a name; what the address
    says itself counts more. A name that means nothing here is refused."""
    del columns, order  # read from the URL as the page does
    actor = callers.require(request, list_views.READ)
    found = tables.permitted(actor, table)
    callers.require(request, found.permission)
    held = shelf.of(actor, found)
    query: QueryDict = request.GET
    if view and view != shelf.NO_VIEW:
        kept = held.find(view)
        if kept is None:
            raise NotFound("There is no such view, or none that you may see.")
        query = shelf.applied(kept, query)
    asked, _, _ = shelf.asked(held, actor, query, strict=True)
    if found.told is not None:
        found.told(request, asked)
    if format == "csv":
        return download.answer(asked, cursor=cursor)
    cut = showing.fetched(asked, cursor, limit)
    paging.link_next(request, response, cut.next)
    items = [
        {"id": found.id_of(row.item), **{column.key: cell.text for column, cell in row.cells}}
        for row in showing.rows(asked, cut.items)
    ]
    return {"items": items, "next": cut.next, "columns": [each.key for each in asked.columns]}


@router.get("/lists/{table}/choice", summary="How you like a list: columns, and the view that it opens with")
def choice(request: HttpRequest, table: str) -> dict[str, Any]:
    actor = callers.require(request, list_views.READ)
    found = tables.permitted(actor, table)
    return _chosen(found, list_choices.of(actor, found.key))


@router.put("/lists/{table}/choice", summary="Say how you like a list")
def choose(request: HttpRequest, table: str, payload: Choice) -> HttpResponse:
    actor = callers.require(request, list_views.WRITE)
    found = tables.permitted(actor, table)
    if gone := choosing.unknown(found, payload.columns or ()):
        raise choosing.refuse(found, gone)

    def do(work: Work) -> ListChoice:
        view = list_views.get(work.actor, payload.view) if payload.view else None
        return list_choices.choose(
            work,
            organisation=callers.home_organisation(actor),
            table=found.key,
            columns=payload.columns,
            view="" if payload.view == "" else view,
        )

    return idempotency.act(request, do, out=lambda each: _chosen(found, each))


def _chosen(table: Table, held: ListChoice | None) -> dict[str, Any]:
    return {
        "table": table.key,
        "columns": (held.columns if held is not None else None) or [],
        "view": held.view if held is not None else "",
    }


def _table(each: Table) -> dict[str, Any]:
    return {
        "table": each.key,
        "title": each.title,
        "path": each.path,
        "columns": [
            {
                "key": column.key,
                "heading": column.heading,
                "usual": column.shown,
                "always": column.key == each.fixed,
                "sortable": bool(column.order),
                "number": column.number,
            }
            for column in each.columns
        ],
        "filters": [
            {"name": one.name, "values": list(one.possible), "several": one.many, "usual": one.usual}
            for one in each.filters
        ],
    }
