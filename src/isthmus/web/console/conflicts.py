"""Conflicts: which value is right."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_POST

from isthmus.hub.http import paging
from isthmus.hub.sync import service
from isthmus.kernel.errors import Rejected
from isthmus.ledger.work import Work
from isthmus.web import records
from isthmus.web.console.screen import act, back, found, page, screen


@screen("conflict:read")
def index(request: HttpRequest) -> HttpResponse:
    """Open conflicts first; decided ones stay restorable."""
    rows = records.of("conflict")
    state = request.GET.get("state", "open")
    if state in {"open", "decided"}:
        rows = rows.filter(state=state)
    if field := request.GET.get("field", "").strip():
        rows = rows.filter(field=field)
    cut = paging.cut(rows, cursor=request.GET.get("cursor", ""), limit=request.GET.get("limit") or 25)
    context = {"title": "Conflicts", "conflicts": _with_places(cut.items), "next": cut.next, "state": state}
    return page(request, "console/conflicts.html", context)


@screen("conflict:read")
def one(request: HttpRequest, conflict_id: str) -> HttpResponse:
    conflict = found(records.of("conflict").filter(id=conflict_id).first())
    context = {
        "title": "Conflict",
        "crumbs": [("Conflicts", "/conflicts"), (conflict.field, "")],
        "conflicts": _with_places([conflict]),
        "state": "one",
    }
    return page(request, "console/conflicts.html", context)


@require_POST
@screen("conflict:decide")
def decide(request: HttpRequest, conflict_id: str) -> HttpResponse:
    """Decide an open conflict, or restore the loser of a decided one."""
    conflict = found(records.of("conflict").filter(id=conflict_id).first())
    winner = request.POST.get("winner", "")

    def do(work: Work) -> Any:
        fresh = records.of("conflict").get(id=conflict_id)
        if winner == "restore":
            return service.restore_loser(work, fresh)
        if winner not in {"ours", "theirs", "other"}:
            raise Rejected("Say which value wins.", remedy="Choose ours, theirs or another value.")
        return service.decide(
            work, fresh, winner, request.POST.get("value", "") if winner == "other" else None
        )

    done = "Decided: the value goes here and to every linked system."
    act(request, do, permission="conflict:decide", organisation=conflict.organisation, done=done)
    return back(request, "/conflicts")


def _with_places(conflicts: Sequence[Any]) -> list[tuple[Any, str, str, str]]:
    """Return (conflict, system, record's name, record's page)."""
    links = records.by_ids("link", [each.link for each in conflicts])
    names: dict[str, str] = {}
    for kind in {each.record_kind for each in conflicts} & {"incident", "change"}:
        names.update(
            records.titles(kind, [each.record for each in conflicts if each.record_kind == kind], "number")
        )
    return [
        (
            each,
            links[each.link].connection if each.link in links else "There",
            names.get(each.record, each.record),
            records.path_of(each.record_kind, each.record),
        )
        for each in conflicts
    ]
