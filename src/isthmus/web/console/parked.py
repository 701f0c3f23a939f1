"""Parked messages: what could not be taken, and what a person does about it."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_POST

from isthmus.hub.http import actor as callers
from isthmus.hub.http import paging
from isthmus.hub.intake import shared
from isthmus.hub.models import ParkedMessage
from isthmus.hub.pump import completing, parking
from isthmus.identity import permissions
from isthmus.kernel.errors import Rejected
from isthmus.ledger.work import Work
from isthmus.web import visible
from isthmus.web.console.screen import act, back, found, page, screen

PATH = "/deliveries?lane=parked"


@screen("delivery:read")
def index(request: HttpRequest) -> HttpResponse:
    """What waits for a remedy, the latest first."""
    rows = visible.rows(ParkedMessage).filter(state=parking.PARKED)
    cut = paging.cut(
        rows, cursor=request.GET.get("cursor", ""), limit=request.GET.get("limit"), order="-parked_at"
    )
    context = {
        "title": "Parked messages",
        "crumbs": [("Deliveries", "/deliveries"), ("Parked messages", "")],
        "parked": cut.items,
        "next": cut.next,
        "completable": {each.connection for each in cut.items if completing.fields_of(each)},
    }
    return page(request, "console/parked.html", context)


@screen("delivery:retry")
def show(request: HttpRequest, message_id: str) -> HttpResponse:
    """Show what a parked message really says, and ask for what it does not."""
    row = found(visible.rows(ParkedMessage).filter(id=message_id, state=parking.PARKED).first())
    permissions.require(callers.of(request), "delivery:retry", row.organisation)
    message = completing.raw(shared.log(), row)
    context = {
        "title": "Complete a message",
        "crumbs": [("Deliveries", "/deliveries"), ("Parked messages", PATH), ("Complete", "")],
        "row": row,
        "text": completing.shown(message),
        "bytes": len(message.body),
        "fields": completing.fields_of(row),
    }
    return page(request, "console/parked_message.html", context)


@require_POST
@screen("delivery:retry")
def complete(request: HttpRequest, message_id: str) -> HttpResponse:
    """Have a message taken up again with what a person gave."""
    row = found(visible.rows(ParkedMessage).filter(id=message_id).first())
    given = {each.name: request.POST.get(each.name, "") for each in completing.fields_of(row)}

    def do(work: Work) -> Any:
        return parking.redrive(work, message_id, completing.checked(row, given))

    done = "It is taken up now with what you gave; if something is still missing, it stays here and says so."
    taken = act(request, do, permission="delivery:retry", organisation=row.organisation, done=done)
    return back(request, PATH if taken is not None else f"/deliveries/parked/{row.id}")


@require_POST
@screen("delivery:retry")
def retry(request: HttpRequest, message_id: str) -> HttpResponse:
    """Have a message, and what waits behind it, taken up again by the engine."""
    row = found(visible.rows(ParkedMessage).filter(id=message_id).first())

    def do(work: Work) -> Any:
        return parking.redrive(work, message_id)

    done = "It is taken up again now; if it fails once more, it stays here with the new cause."
    act(request, do, permission="delivery:retry", organisation=row.organisation, done=done)
    return back(request, PATH)


@require_POST
@screen("delivery:retry")
def dismiss(request: HttpRequest, message_id: str) -> HttpResponse:
    """Give a message up for good, with a reason."""
    row = found(visible.rows(ParkedMessage).filter(id=message_id).first())
    reason = request.POST.get("reason", "").strip()

    def do(work: Work) -> Any:
        return dismissed(work, message_id, reason)

    done = "The message is given up. What waited behind it can be taken up now."
    act(request, do, permission="delivery:retry", organisation=row.organisation, done=done)
    return back(request, PATH)


def dismissed(work: Work, message_id: str, reason: str) -> ParkedMessage:
    """Dismiss, but never without a reason: nothing else will say why the message had no effect."""
    if not reason:
        raise Rejected("A message is given up with a reason.", remedy="Say why it is not needed.")
    return parking.dismiss(work, message_id, reason)
