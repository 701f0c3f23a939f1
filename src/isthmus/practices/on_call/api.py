"""HTTP resources of on-call duty: who is on duty, overrides, one's own contact card."""

from __future__ import annotations

from typing import Any, Literal

from django.http import HttpRequest, HttpResponse
from ninja import Query, Router, Schema

from isthmus.hub.http import actor as callers
from isthmus.hub.http import etag, idempotency, paging
from isthmus.identity import permissions
from isthmus.kernel.actor import ActorKind
from isthmus.kernel.errors import Conflict, NotFound
from isthmus.kernel.instant import DAY, Instant, from_rfc3339
from isthmus.ledger.ids import source
from isthmus.ledger.work import Work
from isthmus.practices.on_call import service
from isthmus.practices.on_call.models import RotaOverride
from isthmus.practices.on_call.shapes import card_out, duties_out, override_out

router = Router(tags=["on call"])
READ, WRITE = "oncall:read", "oncall:write"


class OverrideIn(Schema):
    """`person` takes over from `starts_at` (default: now) until `ends_at`; with `replaces` only for that person."""

    rota: str
    person: str
    ends_at: str
    starts_at: str = ""
    replaces: str = ""
    reason: str = ""


class MethodIn(Schema):
    """A channel for people and one's address there."""

    channel: str
    address: str


class QuietIn(Schema):
    """Hours on weekdays (mon … sun; none: every day)."""

    days: list[Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]] = []
    start: str = "22:00"
    end: str = "07:00"


class CardIn(Schema):
    """How one wants to be reached: methods in the order in which they are tried."""

    methods: list[MethodIn]
    quiet_hours: list[QuietIn] = []
    locale: str = ""
    zone: str = ""


def visible(request: HttpRequest, rota: str) -> str:
    """Return the organisation of a rota that the caller may see; `NotFound` otherwise."""
    found = service.rotas(callers.of(request).organisations)
    if rota not in found:
        raise NotFound(f"There is no rota {rota!r}, or none that you may see.")
    permissions.require(callers.of(request), READ, found[rota])
    return found[rota]


@router.get("/on-call/rotas", summary="List rotas with who is on duty")
def list_rotas(request: HttpRequest) -> dict[str, Any]:
    """Return the rotas of the caller's organisations and who is on duty now."""
    callers.require(request, READ)
    return _who(request, source.now(), "")


@router.get("/on-call/who", summary="Who is on duty at an instant")
def who(request: HttpRequest, at: str = "", rota: str = "") -> dict[str, Any]:
    """Return who is on duty now, or `at` an RFC 3339 time, in every rota or in one."""
    callers.require(request, READ)
    return _who(request, from_rfc3339(at) if at else source.now(), rota)


def _who(request: HttpRequest, at: Instant, rota: str) -> dict[str, Any]:
    actor = callers.of(request)
    if rota:
        visible(request, rota)
    homes = {
        name: home
        for name, home in service.rotas(actor.organisations).items()
        if rota in {"", name} and permissions.allowed(actor, READ, home)
    }
    found = duties_out(service.who(homes, at).items())
    return {"items": [{**each, "organisation": homes[each["rota"]]} for each in found], "next": ""}


@router.get("/on-call/rotas/{rota}/duties", summary="Who is on duty over a stretch of time")
def list_duties(request: HttpRequest, rota: str, since: str = "", until: str = "") -> dict[str, Any]:
    """Return stretches of duty, gaps included; by default the next seven days, at most a hundred."""
    callers.require(request, READ)
    visible(request, rota)
    start = from_rfc3339(since) if since else source.now()
    end = from_rfc3339(until) if until else Instant(start + 7 * DAY)
    found = service.duties([rota], start, end)[rota]
    return {"items": duties_out((rota, each) for each in found), "next": ""}


class OverrideFilter(Schema):
    """Every given value narrows the list."""

    rota: str = ""
    state: Literal["", "active", "cancelled"] = ""
    organisation: str = ""
    cursor: str = ""
    limit: int = paging.LIMIT_DEFAULT


@router.get("/on-call/overrides", summary="List overrides, the newest first")
def list_overrides(
    request: HttpRequest, response: HttpResponse, filters: Query[OverrideFilter]
) -> dict[str, Any]:
    """Return a page of overrides."""
    callers.require(request, READ)
    rows = RotaOverride.objects.all()
    for name in ("rota", "state", "organisation"):
        if value := getattr(filters, name):
            rows = rows.filter(**{name: value})
    return paging.listed(
        request, response, rows, out=override_out, cursor=filters.cursor, limit=filters.limit
    )


@router.post("/on-call/overrides", summary="Put somebody on duty for a while")
def create_override(request: HttpRequest, payload: OverrideIn) -> HttpResponse:
    """Set an override; the newest one of several counts."""
    callers.require(request, WRITE)

    def do(work: Work) -> RotaOverride:
        home = service.rotas(work.actor.organisations).get(payload.rota)
        if home is None:
            raise NotFound(f"There is no rota {payload.rota!r}, or none that you may see.")
        permissions.require(work.actor, WRITE, home)
        start = from_rfc3339(payload.starts_at) if payload.starts_at else work.now
        return service.override(
            work, payload.rota, person=payload.person, replaces=payload.replaces, reason=payload.reason, starts_at=start,
            ends_at=from_rfc3339(payload.ends_at),
        )  # fmt: skip

    return idempotency.act(request, do, out=override_out, status=201)


@router.post("/on-call/overrides/{override_id}/cancel", summary="Take an override back")
def cancel_override(request: HttpRequest, override_id: str) -> HttpResponse:
    """Cancel an override; whoever the rota names is on duty again."""
    callers.require(request, WRITE)

    def do(work: Work) -> RotaOverride:
        found = service.override_of(override_id)
        permissions.require(work.actor, WRITE, found.organisation)
        etag.expect(request, found)
        return service.cancel_override(work, found)

    return idempotency.act(request, do, out=override_out)


@router.get("/on-call/contact", summary="How I am reached")
def get_card(request: HttpRequest) -> dict[str, Any]:
    """Return the caller's own contact card; nobody else's is ever shown."""
    person = _myself(request)
    return card_out(person, service.card(person))


@router.put("/on-call/contact", summary="Say how I want to be reached")
def put_card(request: HttpRequest, payload: CardIn) -> HttpResponse:
    """Replace the caller's own contact card."""
    person = _myself(request)

    def do(work: Work) -> Any:
        return service.set_card(
            work, person, methods=[each.dict() for each in payload.methods], locale=payload.locale, zone=payload.zone,
            quiet_hours=[{**each.dict(), "days": each.days or list(_DAYS)} for each in payload.quiet_hours],
        )  # fmt: skip

    # What is answered holds addresses: it is not kept for a repeat, which would change nothing anyway.
    return idempotency.act(request, do, out=lambda found: card_out(person, found), repeatable=False)


_DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


def _myself(request: HttpRequest) -> str:
    actor = callers.require(request, READ)
    if actor.kind is not ActorKind.PERSON:
        raise Conflict("A program has no contact card.", remedy="Sign in as the person.")
    return actor.id
