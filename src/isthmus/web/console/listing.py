"""List pages: columns, order, views and the download are the same on every one of them.

A page names its list and its template, and adds what else it shows; everything in the URL is read here.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, QueryDict

from isthmus.hub.http import actor as callers
from isthmus.identity import list_views, permissions
from isthmus.identity.list_models import ListView
from isthmus.web import records
from isthmus.web.console.screen import me, page, recent
from isthmus.web.lists import choosing, download, shelf, showing
from isthmus.web.lists.asked import Asked
from isthmus.web.lists.shelf import Shelf
from isthmus.web.lists.showing import Row
from isthmus.web.lists.table import Slice, Table

UNDO: Final = "deleted_view"
ARRANGE: Final = "arrange"
More = Callable[[Asked, Slice, list[Row]], dict[str, Any]]


def show(
    request: HttpRequest,
    table: Table,
    template: str,
    more: More,
    *,
    in_rows: Callable[[Asked], bool] = lambda _: True,
) -> HttpResponse:
    """Answer a list page: the page itself, its file (`format=csv`), or where to go for what was chosen.

    `more` adds to the template's context; where `in_rows` says no, the page shows its items in a way of its own.
    """
    if "column" in request.GET or "move" in request.GET:
        return _arranged(request, table)
    actor = me(request)
    held = shelf.of(actor, table)
    if request.method != "POST" and (view := _opened(request.GET, held)) is not None:
        return HttpResponseRedirect(held.path(view))
    asked, view, notices = shelf.asked(held, actor, request.GET)
    if table.told is not None:
        table.told(request, asked)
    if request.GET.get("format") == "csv":
        return download.answer(asked)
    found = showing.fetched(asked, request.GET.get("cursor", ""), request.GET.get("limit"))
    zone = callers.caller(request).time_zone
    rows = showing.rows(asked, found.items, zone=zone) if in_rows(asked) else []
    context: dict[str, Any] = {
        "list": _context(request, held, asked, view, notices, rows),
        "next": found.next,
    }
    return page(request, template, context | more(asked, found, rows))


def undoable(request: HttpRequest, table: Table) -> dict[str, Any] | None:
    """Return the view of this list that was deleted in this session, while that can be undone."""
    last = recent(request, UNDO)
    return last if last is not None and last["table"] == table.key else None


def _arranged(request: HttpRequest, table: Table) -> HttpResponse:
    """Turn the form of columns into the URL that says them; after a move the form stays open."""
    keys = request.GET.getlist("column")
    if gone := choosing.unknown(table, keys):
        raise choosing.refuse(table, gone)
    move = request.GET.get("move", "")
    found = [each.key for each in choosing.chosen(table, choosing.moved(keys, move))]
    query = request.GET.copy()
    for name in ("column", "move", "cursor", ARRANGE):
        query.pop(name, None)
    query["columns"] = ",".join(found)
    if not query.get("order"):
        query.pop("order", None)
    if move:
        query[ARRANGE] = "1"
    return HttpResponseRedirect(f"{table.path}?{query.urlencode(safe=',')}#columns")


def _opened(query: QueryDict, held: Shelf) -> ListView | None:
    """Return the view to go to: the first one for a bare address, the named one for an address that says nothing else."""
    if not query:
        return held.first
    if list(query) == ["view"] and (view := held.find(query.get("view", ""))) is not None and view.query:
        return view
    return None


def _context(
    request: HttpRequest,
    held: Shelf,
    asked: Asked,
    view: ListView | None,
    notices: list[str],
    rows: list[Row],
) -> dict[str, Any]:
    actor, table, query = me(request), held.table, asked.query()
    chosen = [each.key for each in asked.columns]
    rest = [each for each in table.columns if each.key not in chosen]
    kept = {name: request.GET[name] for name in ("columns", "order", "view") if request.GET.get(name)}
    linked = {
        each.name: asked.values[each.name]
        for each in table.filters
        if each.linked and each.name in asked.values
    }
    return {
        "table": table,
        "rows": rows,
        "heads": showing.heads(asked, kept.get("view", "")),
        "orders": showing.orders(asked),
        "arranged": [
            # Mappings, because a template looks for a key before it looks for an attribute: a third of the time.
            {
                "key": each.key,
                "heading": each.heading,
                "shown": each.key in chosen,
                "fixed": each.key == table.fixed,
            }
            for each in (*asked.columns, *rest)
        ],
        "arranging": ARRANGE in request.GET,
        "own_columns": held.columns is not None,
        "chosen": ",".join(chosen),
        "named_columns": asked.named_columns,
        "without_columns": f"{table.path}?{_without(request.GET, 'columns')}",
        "filtered": {**asked.values, **({"view": kept["view"]} if "view" in kept else {})},
        "carried": {**kept, **linked},
        "linked": [
            (name, value, f"{table.path}?{_without(request.GET, name) or 'view=' + shelf.NO_VIEW}")
            for name, value in linked.items()
        ],
        "query": query,
        # A view says its columns itself: those that its owner keeps for good are theirs, and may be others tomorrow.
        "shown": query
        if asked.named_columns or held.columns is None
        else asked.query(columns=",".join(chosen)),
        "download": f"{table.path}?{'&'.join(each for each in (query, 'format=csv') if each)}",
        "rows_max": download.ROWS_MAX,
        "notices": notices,
        "views": [(each, held.path(each), each is view, each is held.first) for each in held.views],
        "view": view,
        "changed": view is not None and view.query != query,
        "changeable": view is not None and list_views.may_change(actor, view),
        "mine": view is not None and view.owner == actor.id,
        "is_first": view is not None and view is held.first,
        "first": held.first,
        "plain": held.plain,
        "owned": held.owned,
        "owned_max": list_views.OWN_MAX,
        "name_max": list_views.NAME_CHARACTERS_MAX,
        "places": _places(request),
        "deleted": undoable(request, table),
    }


def _without(query: QueryDict, *names: str) -> str:
    rest = query.copy()
    for name in (*names, "cursor", ARRANGE):
        rest.pop(name, None)
    return rest.urlencode(safe=",")


def _places(request: HttpRequest) -> list[tuple[str, str]]:
    """Return the organisations that the reader may share a view with, as (id, name); no query where there is one."""
    actor = me(request)
    where = permissions.organisations_with(actor, list_views.SHARE)
    if len(where) < 2:
        return [(each, "") for each in where]
    names = records.titles("organisation", where, "name")
    return sorted(((each, names.get(each, each)) for each in where), key=lambda each: each[1].casefold())
