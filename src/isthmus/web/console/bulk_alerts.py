"""Many alerts at once: first a preview of what changes, then the change, then a way back."""

from __future__ import annotations

from typing import Any, Final, cast
from urllib.parse import urlencode

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.views.decorators.http import require_POST

from isthmus.hub.http import actor as callers
from isthmus.kernel.errors import Conflict, IsthmusError, Rejected
from isthmus.ledger.door import perform
from isthmus.ledger.ids import source
from isthmus.ledger.work import Work
from isthmus.practices.monitoring import acts, telling
from isthmus.web import records
from isthmus.web.console.screen import back, page, recent, refused, screen

_UNDO: Final = "bulk_alerts"
CHOICES: Final = {
    "acknowledge": "Take", "unacknowledge": "Put back", "silence": "Silence", "annotate": "Leave a note", "resolve": "Close at the source",
}  # fmt: skip
DONE: Final = {
    "acknowledge": "You have it now; its source is told.", "unacknowledge": "Nobody has it now; its source is told.",
    "annotate": "The note is on its way to the source.", "resolve": "The source is asked to close it.",
}  # fmt: skip
_BACK: Final = {"acknowledge": "unacknowledge", "unacknowledge": "acknowledge"}


@require_POST
@screen("alert:write")
def many(request: HttpRequest) -> HttpResponse:
    """Show what an action would do to the chosen alerts; confirmed, do it in one go."""
    ids = list(dict.fromkeys(request.POST.getlist("id")))[: acts.AT_ONCE_MAX]
    action, comment = request.POST.get("action", ""), request.POST.get("comment", "").strip()
    if action not in CHOICES:
        return refused(
            request, Rejected("Choose what to do.", remedy=f"One of {', '.join(CHOICES.values())}.")
        )
    chosen = list(records.of("alert").filter(id__in=ids).order_by("-id"))
    if action == "silence":
        return _silence(chosen)
    if request.POST.get("confirmed") != "yes":
        context = {
            "title": f"{CHOICES[action]}: {len(chosen)} alerts",
            "crumbs": [("Alerts", "/alerts"), (CHOICES[action], "")],
            "chosen": chosen,
            "action": action,
            "words": CHOICES[action],
            "comment": comment,
        }
        return page(request, "console/alerts_many.html", context)
    done = _carry_out(request, [each.id for each in chosen], action, comment)
    before = {"acknowledge": "", "unacknowledge": _name(request)}.get(action)
    ids = [each.id for each in chosen if each.id in done and each.taken_by == before]
    if ids:
        request.session[_UNDO] = {"at": source.now(), "action": action, "ids": ids}
    return back(request, "/alerts")


@require_POST
@screen("alert:write")
def undo(request: HttpRequest) -> HttpResponse:
    """Take back the last action on many alerts; those that somebody else took before or since stay with them."""
    last = undoable(request)
    if last is None:
        return refused(
            request, Conflict("There is nothing to undo any more.", remedy="Act on the alerts by hand.")
        )
    request.session.pop(_UNDO, None)
    now = {"acknowledge": _name(request), "unacknowledge": ""}[last["action"]]
    ids = [each.id for each in records.of("alert").filter(id__in=last["ids"]) if each.taken_by == now]
    if ids:
        _carry_out(request, ids, _BACK[last["action"]], "Taken back.")
    return back(request, "/alerts")


def undoable(request: HttpRequest) -> dict[str, Any] | None:
    """Return the last action of this session on many alerts while it can be undone."""
    last = recent(request, _UNDO)
    return last and {**last, "words": CHOICES[last["action"]].lower()}


def _name(request: HttpRequest) -> str:
    """Return the name under which the reader takes alerts."""
    actor = callers.of(request)
    return (actor.label or actor.id)[: telling.NAME_MAX]


def _carry_out(request: HttpRequest, ids: list[str], action: str, comment: str) -> set[str]:
    """Do it, say what became of it, and return the ids of the alerts with which it was done."""
    caller = callers.caller(request)

    def do(work: Work) -> list[acts.Result]:
        return acts.bulk(work, ids, cast("acts.Action", action), comment)

    try:
        results = perform(do, actor=callers.of(request), origin=caller.origin, trace=caller.trace)
    except IsthmusError as error:
        messages.error(request, str(error))
        return set()
    done = {alert_id for alert_id, each in results if not isinstance(each, IsthmusError)}
    failed = [each for _, each in results if isinstance(each, IsthmusError)]
    if done:
        messages.success(request, f"{CHOICES[action]}: {len(done)} alert(s).")
    for text in list(dict.fromkeys(str(each) for each in failed))[:3]:
        messages.error(request, text)
    return done


def _silence(chosen: list[Any]) -> HttpResponse:
    """Lead to the silences page with what the chosen alerts have in common."""
    labels = [dict(each.labels or {}) for each in chosen]
    common = {
        name: value for name, value in (labels[0].items() if labels else ()) if all(each.get(name) == value for each in labels)
    }  # fmt: skip
    if not common and chosen:
        names = {str(each.get("alertname", "")) for each in labels} - {""}
        common = {"alertname": "|".join(sorted(names))} if names else {}
    text = "\n".join(
        f"{name}{'=~' if '|' in str(value) and name == 'alertname' else '='}{value}"
        for name, value in sorted(common.items())
    )
    query = {"matchers": text, "organisation": chosen[0].organisation if chosen else ""}
    if len(chosen) == 1:
        query["alert"] = chosen[0].id
    return HttpResponseRedirect(f"/silences/new?{urlencode(query)}", status=303)
