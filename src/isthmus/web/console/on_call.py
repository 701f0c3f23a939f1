"""On call: the calendar, overrides, escalations, the notification log."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from typing import Any, Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.views.decorators.http import require_POST

from isthmus.hub.http import actor as callers
from isthmus.identity import people
from isthmus.kernel.errors import NotFound, Rejected
from isthmus.kernel.instant import Instant, from_datetime
from isthmus.kernel.kinds.on_call import ESCALATION_STATES, NOTIFICATION_STATES
from isthmus.ledger.ids import source
from isthmus.ledger.work import Work
from isthmus.practices.on_call import service
from isthmus.web import records
from isthmus.web.console import duty_calendar, listing
from isthmus.web.console.screen import act, back, found, me, page, screen
from isthmus.web.lists.asked import Asked
from isthmus.web.lists.tables import ESCALATIONS, NOTIFICATIONS

READ: Final = "oncall:read"
WRITE: Final = "oncall:write"
LISTED_MAX: Final = 50


@screen(READ)
def index(request: HttpRequest) -> HttpResponse:
    """Who is on duty now, and on which days who else; gaps are marked."""
    return _calendar(request)


def _calendar(request: HttpRequest) -> HttpResponse:
    """Return the calendar; what was typed into a form that was refused stands in it again."""
    actor, now = me(request), source.now()
    view = "week" if request.GET.get("view") == "week" else "month"
    mine = request.GET.get("mine") == "1"
    rotas = service.rotas(actor.organisations)
    chosen = [each for each in rotas if request.GET.get("rota", "") in {"", each}]
    duties = list(service.who(chosen, now).items())
    overrides = list(
        records.of("rota_override")
        .filter(state="active", ends_at__gt=now)
        .order_by("starts_at", "id")[:LISTED_MAX]
    )
    running = list(records.of("escalation").filter(state="running").order_by("-id")[:LISTED_MAX])
    names = people.labels(
        [
            *(each.person for _, each in duties),
            *(each.person for each in overrides),
            *(each.replaces for each in overrides),
        ]
    )
    context = {
        "title": "On call", "view": view, "mine": mine, "rotas": list(rotas), "rota": request.GET.get("rota", ""),
        "duties": duties, "overrides": overrides, "people": names, "zone": callers.caller(request).time_zone or "UTC",
        "sheet": duty_calendar.sheet(
            view, request.GET.get("date", ""), now, callers.caller(request).time_zone, chosen, mine=actor.id if mine else ""
        ),
        "running": running, "numbers": _numbers(running), "given": request.POST,
    }  # fmt: skip
    return page(request, "console/on_call.html", context)


@screen(WRITE)
def override(request: HttpRequest) -> HttpResponse:
    """Put somebody on duty for a while; a refusal keeps what was typed."""
    if request.method != "POST":
        # The calendar shown with a refusal has links to other days.
        return HttpResponseRedirect(f"/on-call?{request.GET.urlencode()}")
    rota = request.POST.get("rota", "")
    home = service.rotas(me(request).organisations).get(rota)
    zone = callers.caller(request).time_zone

    def do(work: Work) -> Any:
        if home is None:
            raise NotFound(f"There is no rota {rota!r}, or none that you may see.")
        return service.override(
            work, rota, person=request.POST.get("person", "").strip(), replaces=request.POST.get("replaces", "").strip(),
            starts_at=_instant(request.POST.get("starts_at", ""), zone, work.now),
            ends_at=_instant(request.POST.get("ends_at", ""), zone, work.now), reason=request.POST.get("reason", "").strip(),
        )  # fmt: skip

    where = home or callers.organisation(request, WRITE)
    done = "The override is set: who is paged next changes with it."
    if act(request, do, permission=WRITE, organisation=where, done=done) is None:
        answer = _calendar(request)
        answer.status_code = 422
        return answer
    return back(request, "/on-call")


@require_POST
@screen(WRITE)
def cancel(request: HttpRequest, override_id: str) -> HttpResponse:
    """Take an override back."""
    held = found(records.of("rota_override").filter(id=override_id).first())

    def do(work: Work) -> Any:
        return service.cancel_override(work, service.override_of(override_id))

    act(request, do, permission=WRITE, organisation=held.organisation, done="The override is taken back.")
    return back(request, "/on-call")


def _instant(text: str, zone: str, now: Instant) -> Instant:
    """Read a `datetime-local` field in the reader's zone; empty is now."""
    if not text.strip():
        return now
    try:
        local = dt.datetime.fromisoformat(text.strip())
        where: dt.tzinfo = ZoneInfo(zone or "UTC")
    except (ValueError, ZoneInfoNotFoundError) as cause:
        raise Rejected(f"{text!r} is no date and time.", remedy="Write it like 2026-11-20T15:00.") from cause
    return from_datetime(local.replace(tzinfo=local.tzinfo or where))


# Escalations ----------------------------------------------------------------------------------------------------


@screen(READ)
def escalations(request: HttpRequest) -> HttpResponse:
    """What is being escalated, and what was."""

    def more(asked: Asked, *_: Any) -> dict[str, Any]:
        return {"title": "Escalations", "state": asked.get("state"), "states": ESCALATION_STATES}

    return listing.show(request, ESCALATIONS, "console/escalations.html", more)


def _numbers(about: Iterable[Any]) -> dict[str, str]:
    """Return the numbers of the incidents that escalations or notifications are about."""
    return records.titles(
        "incident", [each.subject for each in about if each.subject_kind == "incident"], "number"
    )


@screen(READ)
def escalation(request: HttpRequest, escalation_id: str) -> HttpResponse:
    """One escalation: who was told what by which way, and what comes next."""
    held = found(records.of("escalation").filter(id=escalation_id).first())
    told = list(records.of("notification").filter(escalation=held.id).order_by("id")[:200])
    said = list(records.of("acknowledgement").filter(escalation=held.id).order_by("id")[:LISTED_MAX])
    context = {
        "title": "Escalation", "escalation": held, "told": told, "said": said,
        "people": people.labels([held.acknowledged_by, *(each.person for each in (*told, *said))]),
        "path": records.path_of(held.subject_kind, held.subject) if held.subject_kind != "connection" else "/systems",
        "number": records.titles("incident", [held.subject], "number").get(held.subject, held.subject),
        "crumbs": [("On call", "/on-call"), ("Escalations", "/on-call/escalations"), (held.policy or "by hand", "")],
    }  # fmt: skip
    return page(request, "console/escalation.html", context)


@require_POST
@screen(WRITE)
def acknowledge(request: HttpRequest, escalation_id: str) -> HttpResponse:
    """Say that one looks after it."""
    held = found(records.of("escalation").filter(id=escalation_id).first())

    def do(work: Work) -> Any:
        return service.acknowledge(
            work,
            service.escalation(escalation_id),
            door="console",
            comment=request.POST.get("comment", "").strip(),
        )

    act(
        request,
        do,
        permission=WRITE,
        organisation=held.organisation,
        done="You look after it: nobody else is told.",
    )
    return back(request, f"/on-call/escalations/{escalation_id}")


@require_POST
@screen(WRITE)
def page_by_hand(request: HttpRequest, incident_id: str) -> HttpResponse:
    """Begin a ladder about an incident."""
    incident = found(records.of("incident").filter(id=incident_id).first())

    def do(work: Work) -> Any:
        return service.page(
            work, ladder=request.POST.get("ladder", ""), subject_kind="incident", subject=incident_id,
            organisation=incident.organisation, comment=request.POST.get("comment", "").strip(),
        )  # fmt: skip

    act(request, do, permission=WRITE, organisation=incident.organisation, done="They are being told.")
    return back(request, f"/incidents/{incident_id}")


# Notifications --------------------------------------------------------------------------------------------------


@screen(READ)
def notifications(request: HttpRequest) -> HttpResponse:
    """Who was told what, by which way, with which receipt."""

    def more(asked: Asked, *_: Any) -> dict[str, Any]:
        return {
            "title": "Notifications",
            "chosen": {name: asked.get(name) for name in ("state", "channel", "connection", "subject")},
            "states": NOTIFICATION_STATES,
            "crumbs": [("On call", "/on-call"), ("Notifications", "")],
        }

    return listing.show(request, NOTIFICATIONS, "console/notifications.html", more)
