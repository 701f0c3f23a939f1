"""On call: the calendar, overrides, escalations, the notification log, one's own contact card."""

from __future__ import annotations

import datetime as dt
from typing import Any, Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_POST

from isthmus.hub.http import actor as callers
from isthmus.hub.http import paging
from isthmus.identity import people
from isthmus.kernel.actor import ActorKind
from isthmus.kernel.errors import Conflict, NotFound, Rejected
from isthmus.kernel.instant import Instant, from_datetime
from isthmus.ledger.ids import source
from isthmus.ledger.work import Work
from isthmus.practices.on_call import service
from isthmus.web import records
from isthmus.web.console import duty_calendar
from isthmus.web.console.screen import act, back, found, me, page, screen

READ: Final = "oncall:read"
WRITE: Final = "oncall:write"
LISTED_MAX: Final = 50
METHODS_SHOWN: Final = 4


@screen(READ)
def index(request: HttpRequest) -> HttpResponse:
    """Who is on duty now, and on which days who else; gaps are marked."""
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
        "running": list(records.of("escalation").filter(state="running").order_by("-id")[:LISTED_MAX]),
    }  # fmt: skip
    return page(request, "console/on_call.html", context)


@require_POST
@screen(WRITE)
def override(request: HttpRequest) -> HttpResponse:
    """Put somebody on duty for a while."""
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
    act(
        request,
        do,
        permission=WRITE,
        organisation=where,
        done="The override is set: who is paged next changes with it.",
    )
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
    rows = records.of("escalation").all()
    state = request.GET.get("state", "")
    rows = rows.filter(state=state) if state else rows
    cut = paging.cut(rows, cursor=request.GET.get("cursor", ""), limit=LISTED_MAX)
    context = {
        "title": "Escalations", "escalations": cut.items, "next": cut.next, "state": state,
        "states": ("running", "acknowledged", "finished", "stopped"),
        "numbers": records.titles("incident", (each.subject for each in cut.items if each.subject_kind == "incident"), "number"),
    }  # fmt: skip
    return page(request, "console/escalations.html", context)


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
    rows = records.of("notification").all()
    chosen = {
        name: request.GET.get(name, "").strip() for name in ("state", "channel", "connection", "subject")
    }
    for name, value in chosen.items():
        rows = rows.filter(**{name: value}) if value else rows
    cut = paging.cut(rows, cursor=request.GET.get("cursor", ""), limit=LISTED_MAX)
    context = {
        "title": "Notifications", "notifications": cut.items, "next": cut.next, "chosen": chosen,
        "states": ("queued", "held", "sent", "failed", "withdrawn", "digested"),
        "people": people.labels(each.person for each in cut.items),
        "numbers": records.titles("incident", (each.subject for each in cut.items if each.subject_kind == "incident"), "number"),
        "crumbs": [("On call", "/on-call"), ("Notifications", "")],
    }  # fmt: skip
    return page(request, "console/notifications.html", context)


# My contact card ------------------------------------------------------------------------------------------------


@screen(READ)
def contact(request: HttpRequest) -> HttpResponse:
    """How I am reached, in which order, and when I am left alone."""
    actor = me(request)
    if actor.kind is not ActorKind.PERSON:
        raise Conflict("A program has no contact card.")
    if request.method == "POST":
        act(
            request,
            lambda work: _save(work, request, actor.id),
            permission=READ,
            organisation="",
            done="Your card is saved.",
        )
        return back(request, "/on-call/contact")
    card = service.card(actor.id)
    methods = card.methods if card is not None and isinstance(card.methods, list) else []
    quiet = card.quiet_hours if card is not None and isinstance(card.quiet_hours, list) else []
    blank = [{"channel": "", "address": ""}] * max(1, METHODS_SHOWN - len(methods))
    context = {
        "title": "How I am reached", "card": card, "methods": [*methods, *blank], "channels": service.channels_for_people(),
        "quiet": quiet[0] if quiet and isinstance(quiet[0], dict) else None,
        "crumbs": [("On call", "/on-call"), ("How I am reached", "")],
    }  # fmt: skip
    return page(request, "console/contact.html", context)


def _save(work: Work, request: HttpRequest, person: str) -> Any:
    pairs = zip(request.POST.getlist("channel"), request.POST.getlist("address"), strict=False)
    return service.set_card(
        work, person, methods=[{"channel": name, "address": to} for name, to in pairs if name and to.strip()],
        quiet_hours=_quiet(service.card(person), request.POST.get("quiet_start", ""), request.POST.get("quiet_end", "")),
        locale=request.POST.get("locale", ""), zone=request.POST.get("zone", "").strip(),
    )  # fmt: skip


def _quiet(card: Any, start: str, end: str) -> list[dict[str, Any]]:
    """The page shows the first stretch only: its days, and the stretches after it, stay as the API set them."""
    held = list(card.quiet_hours) if card is not None and isinstance(card.quiet_hours, list) else []
    if not (start and end):
        return held[1:]
    return [{**(held[0] if held else {}), "start": start, "end": end}, *held[1:]]
