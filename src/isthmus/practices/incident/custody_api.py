"""HTTP resources of forwarding: the custody ledger of an incident, offers and their answers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

from django.http import HttpRequest, HttpResponse
from ninja import Query, Router, Schema

from isthmus.hub.http import actor as callers
from isthmus.hub.http import etag, idempotency, paging
from isthmus.identity import permissions
from isthmus.ledger import scope
from isthmus.ledger.ids import source
from isthmus.ledger.work import Work
from isthmus.practices.incident import custody, desks, ledger, service
from isthmus.practices.incident.api import READ, WRITE, visible
from isthmus.practices.incident.desk_shapes import custody_out, ledger_out
from isthmus.practices.incident.models import Custody, Incident

router = Router(tags=["custody"])


class OfferIn(Schema):
    """`to`: the desk that shall take the incident over; `reason`: why, for its people."""

    to: str
    reason: str


class AnswerIn(Schema):
    """`reason` is needed for everything but an acceptance."""

    reason: str = ""


class OfferFilter(Schema):
    """`state` offered: what waits for an answer; `orphan`: what nobody takes care of."""

    state: Literal["", "offered", "accepted", "rejected", "withdrawn", "returned"] = ""
    giver: str = ""
    taker: str = ""
    orphan: bool = False
    cursor: str = ""
    limit: int = paging.LIMIT_DEFAULT


def mine(held: ledger.Ledger) -> set[str]:
    """Return which incidents of a case the open scope shows."""
    ids = {held.case.id, *(each.record for each in held.rows), *(each.counterpart for each in held.rows)}
    return set(Incident.objects.filter(id__in=ids - {""}).values_list("id", flat=True))


@router.get("/incidents/{reference}/custody", summary="Who holds it, and who held it when")
def get_ledger(request: HttpRequest, reference: str) -> dict[str, Any]:
    """Return the custody ledger: the same for every desk of the case."""
    callers.require(request, READ)
    held = ledger.of(visible(reference))
    return ledger_out(held, mine(held), source.now())


@router.post("/incidents/{reference}/forward", summary="Offer an incident to another desk")
def forward(request: HttpRequest, reference: str, payload: OfferIn) -> HttpResponse:
    """Offer it under the contract between the desks; until it is accepted, nothing changes hands."""
    callers.require(request, WRITE)

    def do(work: Work) -> Custody:
        incident = service.get(work, reference)
        permissions.require(work.actor, WRITE, incident.organisation)
        etag.expect(request, incident)
        return custody.offer(work, incident, taker=payload.to, reason=payload.reason)

    return idempotency.act(request, do, out=custody_out, status=201)


@router.get("/custody", summary="Offers between desks")
def list_offers(request: HttpRequest, response: HttpResponse, filters: Query[OfferFilter]) -> dict[str, Any]:
    """Return a page of offers, as giver or taker, the newest first."""
    callers.require(request, READ)
    rows = ledger.offers()
    for name in ("state", "giver", "taker"):
        if value := getattr(filters, name):
            rows = rows.filter(**{name: value})
    if filters.orphan:
        rows = rows.filter(orphaned_at__isnull=False, state="accepted")
    with scope.everywhere(ledger.WHY):
        Custody.objects.none()  # a queryset of this scope, so that row-level security shows what the filter names
        return paging.listed(
            request, response, rows, out=custody_out, cursor=filters.cursor, limit=filters.limit
        )


@router.get("/custody/desks", summary="Desks, and which of them are the caller's")
def list_desks(request: HttpRequest) -> dict[str, Any]:
    """Return the desks that may hold incidents and the contracts between them."""
    actor = callers.require(request, READ)
    where = callers.home_organisation(actor)
    return {
        "items": [
            {
                "name": name,
                "kind": each.kind,
                "connection": each.connection,
                "mine": desks.acts_for(actor, name, where),
            }
            for name, each in desks.declared().items()
            if not each.organisation or desks.organisation_of(name) in actor.organisations
        ]
    }


@router.get("/custody/{custody_id}", summary="One offer")
def get_offer(request: HttpRequest, response: HttpResponse, custody_id: str) -> dict[str, Any]:
    """Return an offer by its id."""
    callers.require(request, READ)
    found = ledger.offer(custody_id)
    etag.stamp(response, found)
    return custody_out(found)


def _answer(request: HttpRequest, custody_id: str, do: Callable[[Work, Custody], Custody]) -> HttpResponse:
    callers.require(request, WRITE)

    def once(work: Work) -> Custody:
        found = ledger.offer(custody_id, work)
        etag.expect(request, found)
        return do(work, found)

    return idempotency.act(request, once, out=custody_out)


@router.post("/custody/{custody_id}/accept", summary="Accept an offer")
def accept(request: HttpRequest, custody_id: str, payload: AnswerIn) -> HttpResponse:
    """Take the incident over; from this instant on the taker is accountable."""
    return _answer(request, custody_id, lambda work, row: custody.accept(work, row, answer=payload.reason))


@router.post("/custody/{custody_id}/reject", summary="Reject an offer")
def reject(request: HttpRequest, custody_id: str, payload: AnswerIn) -> HttpResponse:
    """Refuse it, with a reason; the giver stays accountable."""
    return _answer(request, custody_id, lambda work, row: custody.reject(work, row, reason=payload.reason))


@router.post("/custody/{custody_id}/withdraw", summary="Withdraw an offer")
def withdraw(request: HttpRequest, custody_id: str, payload: AnswerIn) -> HttpResponse:
    """Take an unanswered offer back."""
    return _answer(request, custody_id, lambda work, row: custody.withdraw(work, row, reason=payload.reason))


@router.post("/custody/{custody_id}/hand-back", summary="Hand an incident back")
def hand_back(request: HttpRequest, custody_id: str, payload: AnswerIn) -> HttpResponse:
    """Give it back to the desk that it came from; an orphan may be taken back by that desk."""
    return _answer(request, custody_id, lambda work, row: custody.hand_back(work, row, reason=payload.reason))
