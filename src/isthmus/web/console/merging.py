"""Merging and splitting incidents as plain forms: first a preview of what follows, then the act, then a way back."""

from __future__ import annotations

from typing import Any, Final

from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_POST

from isthmus.ledger.work import Work
from isthmus.practices.incident import merging, service
from isthmus.web import records
from isthmus.web.console.screen import act, back, found, page, screen

CHOSEN_MAX: Final = 100
CANDIDATES_MAX: Final = 25
SHOWN_MAX: Final = 200


@screen("incident:write")
def merge(request: HttpRequest, incident_id: str) -> HttpResponse:
    """Choose duplicates, see what would follow, merge."""
    survivor = found(records.of("incident").filter(id=incident_id).first())
    wanted = request.POST.getlist("duplicate")[:CHOSEN_MAX]
    wanted += [each.strip() for each in request.POST.get("numbers", "").replace(",", " ").split()][
        :CHOSEN_MAX
    ]
    chosen = _chosen(survivor, wanted)
    reason = request.POST.get("reason", "").strip()
    if request.method == "POST" and request.POST.get("confirmed") == "yes":
        for each in chosen:

            def do(work: Work, other: str = each.id) -> Any:
                return merging.merge(
                    work, service.get(work, survivor.id), service.get(work, other), reason=reason
                )

            done = f"{each.number} is merged into {survivor.number}."
            act(request, do, permission="incident:write", organisation=survivor.organisation, done=done)
        return back(request, f"/incidents/{survivor.id}")
    context = {
        "title": f"Merge into {survivor.number}",
        "crumbs": [
            ("Incidents", "/incidents"),
            (survivor.number, f"/incidents/{survivor.id}"),
            ("Merge", ""),
        ],
        "incident": survivor,
        "previews": merging.preview(survivor, chosen),
        "candidates": [] if chosen else candidates(survivor),
        "reason": reason,
        "unknown": len(set(wanted)) - len(chosen),
    }
    return page(request, "console/merge.html", context)


def _chosen(survivor: Any, wanted: list[str]) -> list[Any]:
    rows = records.of("incident").filter(organisation=survivor.organisation)
    ids = [each for each in wanted if not each.startswith("INC-")]
    numbers = [each for each in wanted if each.startswith("INC-")]
    held = {each.id: each for each in [*rows.filter(id__in=ids), *rows.filter(number__in=numbers)]}
    return [held[each] for each in sorted(held)]


def candidates(survivor: Any) -> list[Any]:
    """Return open incidents of the same item or service, the newest first: the likely duplicates."""
    rows = records.of("incident").filter(
        organisation=survivor.organisation, state__in=("new", "in_progress", "on_hold"), merged_into=""
    )
    near = rows.filter(service=survivor.service) if survivor.service else rows
    return list(near.exclude(id=survivor.id).order_by("-id")[:CANDIDATES_MAX])


@screen("incident:write")
def split(request: HttpRequest, incident_id: str) -> HttpResponse:
    """Choose alerts and comments that are about something else, and name the new incident."""
    incident = found(records.of("incident").filter(id=incident_id).first())
    alerts, comments = (request.POST.getlist(name)[:SHOWN_MAX] for name in ("alert", "comment"))
    title, reason = (request.POST.get(name, "").strip() for name in ("title", "reason"))
    if request.method == "POST":

        def do(work: Work) -> Any:
            fresh = service.get(work, incident_id)
            return merging.split(work, fresh, title=title, alerts=alerts, comment_ids=comments, reason=reason)

        done = "It has an incident of its own now."
        made = act(request, do, permission="incident:write", organisation=incident.organisation, done=done)
        return back(request, f"/incidents/{made.other if made is not None else incident.id}")
    context = {
        "title": f"Split {incident.number}",
        "crumbs": [
            ("Incidents", "/incidents"),
            (incident.number, f"/incidents/{incident.id}"),
            ("Split", ""),
        ],
        "incident": incident,
        "alerts": list(records.of("alert").filter(incident=incident.id).order_by("-id")[:SHOWN_MAX]),
        "comments": service.comments_of(incident.id)[:SHOWN_MAX],
    }
    return page(request, "console/split.html", context)


@require_POST
@screen("incident:write")
def undo(request: HttpRequest, incident_id: str, merge_id: str) -> HttpResponse:
    """Take a merge or a split back."""
    incident = found(records.of("incident").filter(id=incident_id).first())
    held = found(records.of("incident_merge").filter(id=merge_id).first())
    if incident.id not in {held.record, held.other}:
        return back(request, f"/incidents/{incident_id}")
    reason = request.POST.get("reason", "").strip()
    act(
        request,
        lambda work: merging.undo(work, merging.get(merge_id), reason=reason),
        permission="incident:write",
        organisation=incident.organisation,
        done=f"The {held.type} is undone.",
    )
    return back(request, f"/incidents/{incident_id}")
