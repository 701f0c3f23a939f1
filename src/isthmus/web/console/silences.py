"""Silences: what is kept quiet, by whom, until when; a new one is tried before it is set."""

from __future__ import annotations

from typing import Any, Final

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_POST

from isthmus.hub.http import actor as callers
from isthmus.identity import permissions
from isthmus.kernel.errors import IsthmusError, Rejected
from isthmus.kernel.instant import MINUTE, Instant
from isthmus.ledger.ids import source
from isthmus.ledger.organisations import root
from isthmus.ledger.work import Work
from isthmus.practices.monitoring import silences as service
from isthmus.practices.monitoring.rules.matching import parse
from isthmus.web import records
from isthmus.web.console import listing
from isthmus.web.console.screen import act, back, found, me, page, said, screen
from isthmus.web.lists.asked import Asked
from isthmus.web.lists.showing import Row
from isthmus.web.lists.table import Slice
from isthmus.web.lists.tables import SILENCES
from isthmus.web.lists.tables.alerts import SILENCE_STATES, matchers

MINUTES_MAX: Final = service.SILENCE_DAYS_MAX * 24 * 60
MINUTES_DEFAULT: Final = 60


@screen("alert:read")
def index(request: HttpRequest) -> HttpResponse:
    """The silences, the newest first: matchers, owner, end, and where else they hold."""

    def more(asked: Asked, _: Slice, rows: list[Row]) -> dict[str, Any]:
        return {
            "title": "Silences",
            "acts": [(each, matchers(each.item)) for each in rows],
            "state": asked.get("state"),
            "states": SILENCE_STATES,
        }

    return listing.show(request, SILENCES, "console/silences.html", more)


@screen("alert:write")
def new(request: HttpRequest) -> HttpResponse:
    """The form, and once matchers are given what they would match; nothing is set before the second step."""
    given = request.GET
    text = given.get("matchers", "")
    context: dict[str, Any] = {
        "title": "New silence",
        "crumbs": [("Silences", "/silences"), ("New", "")],
        "matchers": text,
        "minutes": given.get("minutes", str(MINUTES_DEFAULT)),
        "comment": given.get("comment", ""),
        "alert": given.get("alert", ""),
        "organisation": _organisation(request, given.get("organisation", "")),
        "minutes_max": MINUTES_MAX,
    }
    if text.strip():
        try:
            preview = service.preview(parse(text), organisation=context["organisation"])
        except IsthmusError as error:
            messages.error(request, said(error))
        else:
            context["preview"] = preview
            shown = records.by_ids("alert", preview.alerts)
            context["alerts"] = [shown[each] for each in preview.alerts if each in shown]
    return page(request, "console/silence_new.html", context)


@require_POST
@screen("alert:write")
def create(request: HttpRequest) -> HttpResponse:
    """Set the silence that was tried."""
    organisation = _organisation(request, request.POST.get("organisation", ""))
    about = request.POST.get("alert", "")

    def do(work: Work) -> Any:
        now = source.now()
        return service.create(
            work,
            organisation=organisation,
            matchers=parse(request.POST.get("matchers", "")),
            starts_at=now,
            ends_at=Instant(now + _minutes(request.POST.get("minutes", "")) * MINUTE),
            comment=request.POST.get("comment", "").strip(),
            alert=records.of("alert").filter(id=about, organisation=organisation).first() if about else None,
        )

    done = "Matching alerts are quiet now. End it below to undo that."
    act(request, do, permission="alert:write", organisation=organisation, done=done)
    return back(request, "/silences")


@require_POST
@screen("alert:write")
def expire(request: HttpRequest, silence_id: str) -> HttpResponse:
    """End a silence early; what still fires under it is decided anew."""
    held = found(records.of("silence").filter(id=silence_id).first())

    def do(work: Work) -> Any:
        return service.expire(work, service.get(work, silence_id))

    done = "The silence has ended. Alerts that still fire are decided anew."
    act(request, do, permission="alert:write", organisation=held.organisation, done=done)
    return back(request, "/silences")


def _organisation(request: HttpRequest, wanted: str) -> str:
    """Return where a silence is to hold: as asked, else the reader's own or the only one."""
    actor = me(request)
    possible = permissions.organisations_with(actor, "alert:write")
    if wanted:
        permissions.require(actor, "alert:write", wanted)
        return wanted
    home = callers.home_organisation(actor)
    if home in possible:
        return home
    return root() if root() in possible else min(possible)


def _minutes(text: str) -> int:
    try:
        minutes = int(text)
    except ValueError:
        minutes = 0
    if not 1 <= minutes <= MINUTES_MAX:
        raise Rejected(f"A silence lasts 1 to {MINUTES_MAX} minutes.", remedy="Give the minutes as a number.")
    return minutes
