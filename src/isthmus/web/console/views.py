"""What the forms above a list do: keep columns, keep a filter as a view, change or delete a view, undo that."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.views.decorators.http import require_POST

from isthmus.hub.http import actor as callers
from isthmus.identity import list_choices, list_views
from isthmus.identity.list_models import ListView
from isthmus.kernel.errors import NotFound
from isthmus.ledger.ids import source
from isthmus.ledger.work import Work
from isthmus.web.console import listing
from isthmus.web.console.screen import act, back, me, refused, screen
from isthmus.web.lists import choosing, shelf, tables
from isthmus.web.lists.asked import canonical
from isthmus.web.lists.table import Table


@require_POST
@screen(list_views.WRITE)
def columns(request: HttpRequest, table: str) -> HttpResponse:
    """Keep the shown columns for this list, or go back to the usual ones."""
    held = tables.permitted(me(request), table)
    keys = [each for each in request.POST.get("columns", "").split(",") if each]
    if gone := choosing.unknown(held, keys):
        return refused(request, choosing.refuse(held, gone))

    def do(work: Work) -> Any:
        return list_choices.choose(work, organisation=_home(request), table=held.key, columns=keys)

    said = (
        f"{held.title} show these columns to you from now on."
        if keys
        else f"{held.title} show the usual columns."
    )
    act(request, do, permission=list_views.WRITE, organisation="", done=said)
    return back(request, held.path)


@require_POST
@screen(list_views.WRITE)
def keep(request: HttpRequest, table: str) -> HttpResponse:
    """Keep what the list shows under a name, and go there."""
    held = tables.permitted(me(request), table)
    shared, first = request.POST.get("shared") == "on", request.POST.get("first") == "on"
    where = (
        callers.organisation(request, list_views.SHARE, request.POST.get("organisation", ""))
        if shared
        else _home(request)
    )

    def do(work: Work) -> ListView:
        made = list_views.keep(
            work, organisation=where, table=held.key, name=request.POST.get("name", ""),
            query=canonical(held, me(request), request.POST.get("query", "")), shared=shared,
        )  # fmt: skip
        if first:
            list_choices.choose(work, organisation=_home(request), table=held.key, view=made)
        return made

    needed = list_views.SHARE if shared else list_views.WRITE
    made = act(request, do, permission=needed, organisation=where if shared else "", done="The view is kept.")
    if made is None:
        return back(request, held.path)
    return HttpResponseRedirect(_path(held, made), status=303)


@require_POST
@screen(list_views.WRITE)
def change(request: HttpRequest, view_id: str) -> HttpResponse:
    """Rename a view, replace its filter by what is shown, share it, or have it for oneself."""
    _, held = _found(request, view_id)
    deed = request.POST.get("do", "")

    def do(work: Work) -> ListView:
        fresh = list_views.get(me(request), view_id)
        if deed == "replace":
            return list_views.change(
                work, fresh, query=canonical(held, me(request), request.POST.get("query", ""))
            )
        if deed in {"share", "unshare"}:
            return list_views.change(work, fresh, shared=deed == "share")
        return list_views.change(work, fresh, name=request.POST.get("name", ""))

    done = {
        "replace": "The view keeps what is shown now.",
        "share": "Everybody in the organisation sees the view now.",
        "unshare": "Only you see the view now.",
    }
    made = act(
        request,
        do,
        permission=list_views.WRITE,
        organisation="",
        done=done.get(deed, "The view has its new name."),
    )
    return HttpResponseRedirect(_path(held, made), status=303) if made else back(request, held.path)


@require_POST
@screen(list_views.WRITE)
def first(request: HttpRequest, view_id: str) -> HttpResponse:
    """Have the list open with a view, or as usual again."""
    view, held = _found(request, view_id)
    wanted = request.POST.get("first") != "no"

    def do(work: Work) -> Any:
        chosen = list_views.get(me(request), view_id) if wanted else None
        return list_choices.choose(work, organisation=_home(request), table=held.key, view=chosen or "")

    said = f"{held.title} open with “{view.name}” for you." if wanted else f"{held.title} open as usual."
    act(request, do, permission=list_views.WRITE, organisation="", done=said)
    return back(request, held.path)


@require_POST
@screen(list_views.WRITE)
def delete(request: HttpRequest, view_id: str) -> HttpResponse:
    """Delete a view; the list offers to undo it, and says whom it concerned."""
    view, held = _found(request, view_id)

    def do(work: Work) -> ListView:
        return list_views.delete(work, list_views.get(me(request), view_id))

    opened = list_choices.openers(view)
    concerned = (
        f" {opened} list{'s' if opened > 1 else ''} opened with it and will open as usual." if opened else ""
    )
    done = f"“{view.name}” is deleted{' for everybody' if view.shared else ''}.{concerned}"
    if act(request, do, permission=list_views.WRITE, organisation="", done=done) is None:
        return back(request, held.path)
    request.session[listing.UNDO] = {
        "at": source.now(), "id": view.id, "name": view.name, "table": held.key, "shared": view.shared,
    }  # fmt: skip
    return HttpResponseRedirect(f"{held.path}?{urlencode({'view': shelf.NO_VIEW})}", status=303)


@require_POST
@screen(list_views.WRITE)
def restore(request: HttpRequest, view_id: str) -> HttpResponse:
    """Undo a deletion."""
    view, held = _found(request, view_id, deleted=True)

    def do(work: Work) -> ListView:
        return list_views.restore(work, list_views.get(me(request), view_id, deleted=True))

    made = act(request, do, permission=list_views.WRITE, organisation="", done=f"“{view.name}” is back.")
    request.session.pop(listing.UNDO, None)
    return HttpResponseRedirect(_path(held, made), status=303) if made else back(request, held.path)


def _found(request: HttpRequest, view_id: str, *, deleted: bool = False) -> tuple[ListView, Table]:
    view = list_views.get(me(request), view_id, deleted=deleted)
    held = tables.TABLES.get(view.table)
    if held is None:
        raise NotFound("The list of this view is gone.")
    return view, tables.permitted(me(request), held.key)


def _path(table: Table, view: ListView) -> str:
    return shelf.Shelf(table=table, views=(), owned=0).path(view)


def _home(request: HttpRequest) -> str:
    """Return the organisation that what somebody keeps for themselves belongs to."""
    return callers.home_organisation(me(request))
