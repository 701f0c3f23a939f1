"""The form of a change: raising one, editing one."""

from __future__ import annotations

from typing import Any, Final

from django.http import HttpRequest, HttpResponse, HttpResponseRedirect

from isthmus.hub.http import actor as callers
from isthmus.kernel.errors import Conflict, Rejected
from isthmus.kernel.instant import Instant, from_rfc3339, to_datetime
from isthmus.kernel.kinds.change import CHANGE_TYPES
from isthmus.ledger.work import Work
from isthmus.practices.change import service
from isthmus.practices.configuration import service as configuration
from isthmus.web import records
from isthmus.web.console.screen import act, found, page, screen

_FIELDS: Final = (
    "title",
    "description",
    "type",
    "environment",
    "artefact_hash",
    "implementation_plan",
    "backout_plan",
)


@screen("change:write")
def new(request: HttpRequest) -> HttpResponse:
    """The form, and what it sends; a refusal keeps what was typed."""
    if request.method != "POST":
        return page(
            request,
            "console/change_new.html",
            {
                "title": "Raise a change",
                "types": CHANGE_TYPES,
                "given": {"type": "normal"},
                "target": "/changes/new",
            },
        )
    where = callers.organisation(request, "change:write", request.POST.get("organisation", ""))

    def do(work: Work) -> Any:
        return service.create(work, _values(request), organisation=where)

    made = act(request, do, permission="change:write", organisation=where, done="The change is raised.")
    if made is None:
        context = {
            "title": "Raise a change", "types": CHANGE_TYPES, "given": request.POST, "target": "/changes/new",
        }  # fmt: skip
        answer = page(request, "console/change_new.html", context)
        answer.status_code = 422
        return answer
    return HttpResponseRedirect(f"/changes/{made.id}", status=303)


@screen("change:write")
def edit(request: HttpRequest, change_id: str) -> HttpResponse:
    """The same form with what stands there now. An approval of the old content is void afterwards."""
    change = found(records.of("change").filter(id=change_id).first())
    context: dict[str, Any] = {
        "title": f"Edit {change.number}",
        "crumbs": [("Changes", "/changes"), (change.number, f"/changes/{change.id}"), ("Edit", "")],
        "types": CHANGE_TYPES,
        "target": f"/changes/{change.id}/edit",
        "change": change,
        "given": _given(change),
    }
    if request.method != "POST":
        return page(request, "console/change_new.html", context)

    def do(work: Work) -> Any:
        fresh = service.load(work, change_id)
        if str(fresh.version) != request.POST.get("version", ""):
            raise Conflict(
                "Somebody changed it while you were typing.",
                remedy="Compare with what stands there now, then save again.",
            )
        return service.update(work, fresh, _values(request))

    saved = act(
        request,
        do,
        permission="change:write",
        organisation=change.organisation,
        done="Saved. What was approved for the old content is void.",
    )
    if saved is None:
        answer = page(request, "console/change_new.html", {**context, "given": request.POST})
        answer.status_code = 422
        return answer
    return HttpResponseRedirect(f"/changes/{change_id}", status=303)


def _values(request: HttpRequest) -> dict[str, Any]:
    values: dict[str, Any] = {name: request.POST.get(name, "").strip() for name in _FIELDS}
    named = [
        each.strip() for each in request.POST.get("cis", "").replace(",", "\n").splitlines() if each.strip()
    ]
    resolved = configuration.resolve(named)
    unknown = [each for each, ci in resolved.items() if not ci]
    if unknown:
        raise Rejected(
            f"Not on the map: {', '.join(unknown[:10])}.", remedy="Use names, aliases or keys of the map."
        )
    values["cis"] = sorted(set(resolved.values()))
    for name in ("window_start", "window_end"):
        values[name] = _instant(request.POST.get(name, ""))
    return values


def _given(change: Any) -> dict[str, str]:
    """Return what stands in a change, as the form's fields hold it."""
    names = records.titles("ci", change.cis or (), "name")
    found_values = {name: getattr(change, name) for name in _FIELDS}
    found_values["cis"] = "\n".join(names.get(each, each) for each in change.cis or ())
    for name in ("window_start", "window_end"):
        at = getattr(change, name)
        found_values[name] = "" if at is None else f"{to_datetime(at):%Y-%m-%dT%H:%M}"
    return found_values


def _instant(text: str) -> Instant | None:
    """Read a `datetime-local` field, which has no zone: it is UTC here, as its label says."""
    return from_rfc3339(f"{text.strip()}Z") if text.strip() else None
