"""Trace: how did this come to be? And the finder, which knows every id."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, JsonResponse

from isthmus.identity import people, permissions
from isthmus.kernel.actor import Actor
from isthmus.kernel.instant import to_rfc3339
from isthmus.ledger import search
from isthmus.web import records, tracing
from isthmus.web.console.menu import SCREENS
from isthmus.web.console.screen import me, page, screen

MATCHES_MAX = 20
ORGANISATIONS_SEARCHED_MAX = 50


@screen("trace:read")
def index(request: HttpRequest) -> HttpResponse:
    wanted = request.GET.get("id", "").strip()
    if wanted:
        return HttpResponseRedirect(f"/trace/{wanted}")
    return page(request, "console/trace.html", {"title": "Trace"})


@screen("trace:read")
def one(request: HttpRequest, wanted: str) -> HttpResponse:
    """The whole story of any id; `?format=json` exports it."""
    found = tracing.story(wanted, me(request))
    if request.GET.get("format") == "json":
        answer = JsonResponse(as_json(found), json_dumps_params={"indent": 2})
        answer["Content-Disposition"] = (
            f'attachment; filename="trace-{"".join(filter(str.isalnum, wanted))[:64]}.json"'
        )
        return answer
    context = {
        "title": f"Trace of {wanted}",
        "crumbs": [("Trace", "/trace"), (wanted, "")],
        "story": found,
        "members": [
            (kind, each, name_of(each), records.path_of(kind, each.id)) for kind, each in found.members
        ],
        "names": {each.id: name_of(each) for _, each in found.members},
        "people": people.labels({each.actor for each in found.entries}),
    }
    return page(request, "console/trace.html", context)


@screen("overview:read")
def find(request: HttpRequest) -> HttpResponse:
    """One match: go there; several: list them; a screen's name: open the screen."""
    wanted = request.GET.get("q", "").strip()
    actor = me(request)
    for each in SCREENS:
        if wanted.lower() == each.name.lower() and permissions.allowed(actor, each.permission):
            return HttpResponseRedirect(each.path)
    matches = [
        (kind, record_id)
        for kind, record_id in (tracing.resolve(wanted) or _by_words(actor, wanted))
        if permissions.allowed(actor, records.READ.get(kind, "trace:read"))
    ]
    if len(matches) == 1:
        return HttpResponseRedirect(records.path_of(*matches[0]))
    found = [
        (kind, each, name_of(each), records.path_of(kind, each.id))
        for kind in sorted({kind for kind, _ in matches})
        for each in records.by_ids(kind, [key for its, key in matches if its == kind]).values()
    ]
    return page(request, "console/find.html", {"title": "Found", "wanted": wanted, "found": found})


def _by_words(actor: Actor, wanted: str) -> list[tuple[str, str]]:
    """Return records by words: names on the map, and sealed titles through their keyed index."""
    if not wanted:
        return []
    found = [
        ("ci", each)
        for each in records.of("ci").filter(name__icontains=wanted).values_list("id", flat=True)[:MATCHES_MAX]
    ]
    ids: list[str] = []
    for organisation in sorted(actor.organisations)[:ORGANISATIONS_SEARCHED_MAX]:
        ids += search.find(organisation, wanted)[:MATCHES_MAX]
    for kind in ("incident", "problem", "known_error", "change"):
        found += [(kind, each) for each in records.of(kind).filter(id__in=ids).values_list("id", flat=True)]
    return found


def name_of(record: Any) -> str:
    """Return what people call a record."""
    parts = [
        getattr(record, name, "")
        for name in ("number", "title", "name", "summary", "external_label", "field")
    ]
    if getattr(record, "external_label", None) is not None:
        parts.insert(0, record.connection)
    return (
        " ".join(str(each) for each in parts if each)[:160]
        or f"{record.kind.replace('_', ' ')} {record.id[-6:]}"
    )


def as_json(found: tracing.Story) -> dict[str, Any]:
    """Return the export: the same facts as the page, with both times of each entry."""
    return {
        "asked": found.asked,
        "records": [{"kind": kind, "id": each.id, "name": name_of(each), "version": each.version} for kind, each in found.members],
        "external": [
            {"connection": each.connection, "kind": each.external_kind, "key": each.external_key, "label": each.external_label, "url": each.external_url}
            for each in found.external
        ],
        "entries": [
            {
                "id": each.id, "kind": each.kind, "record": each.record, "version": each.version,
                "occurred_at": to_rfc3339(each.occurred_at), "recorded_at": to_rfc3339(each.recorded_at), "actor": each.actor,
                "channel": each.channel, "connection": each.connection, "cause": each.cause, "trace": each.trace,
                "generation": each.generation, "versions": dict(each.versions), "inputs": [list(pair) for pair in each.inputs],
                "changes": {name: list(pair) for name, pair in each.changes.items()},
                "why": [{"rule": reason.rule, "text": reason.text, "facts": dict(reason.facts)} for reason in each.why],
            }
            for each in found.entries
        ],
        "gaps": [{"at": to_rfc3339(each.at), "text": each.text, "remedy": each.remedy} for each in found.gaps],  # type: ignore[arg-type]
        "complete": not found.gaps and not found.cut,
    }  # fmt: skip
