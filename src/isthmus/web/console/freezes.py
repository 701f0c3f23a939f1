"""Freezes and peaks that people set: the calendar shows them, the gate says their names."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_POST

from isthmus.hub.http import actor as callers
from isthmus.kernel.instant import Instant, from_rfc3339
from isthmus.ledger.ids import source
from isthmus.ledger.work import Work
from isthmus.practices.change import service
from isthmus.web import records
from isthmus.web.console.screen import act, back, found, screen

LISTED_MAX = 50


def coming() -> list[Any]:
    """Return the freezes and peaks that people set and that are not over, the next first."""
    rows = records.of("freeze").filter(state="active", ends_at__gt=source.now())
    return list(rows.order_by("starts_at", "id")[:LISTED_MAX])


@require_POST
@screen("change:manage")
def create(request: HttpRequest) -> HttpResponse:
    """Set a freeze (nothing goes in) or a peak (nothing of high risk goes in)."""
    where = callers.organisation(request, "change:manage", request.POST.get("organisation", ""))
    name = request.POST.get("name", "").strip()

    def do(work: Work) -> Any:
        values = {
            "name": name,
            "effect": request.POST.get("effect", "freeze"),
            "starts_at": _instant(request.POST.get("starts_at", "")),
            "ends_at": _instant(request.POST.get("ends_at", "")),
            "environments": _names(request.POST.get("environments", "")),
            "cis": _names(request.POST.get("cis", "")),
        }
        return service.create_freeze(work, values, organisation=where)

    done = f"“{name}” is set: the gate denies by this name."
    act(request, do, permission="change:manage", organisation=where, done=done)
    return back(request, "/changes/calendar")


@require_POST
@screen("change:manage")
def lift(request: HttpRequest, freeze_id: str) -> HttpResponse:
    """Lift a freeze before its time; its history stays."""
    freeze = found(records.of("freeze").filter(id=freeze_id).first())

    def do(work: Work) -> Any:
        return service.cancel_freeze(work, records.of("freeze").get(id=freeze_id))

    done = f"“{freeze.name}” is lifted."
    act(request, do, permission="change:manage", organisation=freeze.organisation, done=done)
    return back(request, "/changes/calendar")


def _instant(text: str) -> Instant | None:
    """Read a `datetime-local` field, which has no zone: it is UTC here, as its label says."""
    return from_rfc3339(f"{text.strip()}Z") if text.strip() else None


def _names(text: str) -> list[str]:
    return [each.strip() for each in text.replace(",", "\n").splitlines() if each.strip()]
