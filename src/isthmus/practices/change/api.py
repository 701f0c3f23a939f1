"""HTTP resources of change enablement: changes and their way, freezes, the calendar."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
from django.http import HttpRequest, HttpResponse
from ninja import Query, Router, Schema

from isthmus.hub.http import actor as callers
from isthmus.hub.http import etag, idempotency, paging
from isthmus.identity import permissions
from isthmus.kernel.errors import NotFound, Rejected
from isthmus.kernel.instant import MINUTE, Instant, from_rfc3339
from isthmus.ledger.ids import source
from isthmus.ledger.work import Work
from isthmus.practices.change import freezes, service
from isthmus.practices.change.gate_api import router as gate_router
from isthmus.practices.change.models import Change, Freeze
from isthmus.practices.configuration.shapes import record_out, time_out

router = Router(tags=["changes"])
router.add_router("", gate_router)
READ, WRITE, MANAGE, DECIDE = "change:read", "change:write", "change:manage", "approval:decide"

_ACTIONS: dict[str, tuple[str, Callable[..., Change]]] = {
    "submit": (WRITE, service.submit),
    "assess": (WRITE, service.assess),
    "request-approval": (WRITE, service.request_approval),
    "approve": (DECIDE, service.approve),
    "refuse": (DECIDE, service.refuse),
    "start": (MANAGE, service.start),
    "implement": (MANAGE, service.implement),
    "review": (MANAGE, service.review),
    "close": (MANAGE, service.close),
    "cancel": (WRITE, service.cancel),
}
"""action → (permission, service). Deciding checks more than the permission; see `approval.rules.may_decide`."""


class ChangeFilter(Schema):
    """Every given value narrows the list; `from`/`to` bound the window (RFC 3339)."""

    state: str = ""
    type: str = ""
    authorisation: str = ""
    risk: str = ""
    environment: str = ""
    model: str = ""
    number: str = ""
    incident: str = ""
    organisation: str = ""
    cursor: str = ""
    limit: int = paging.LIMIT_DEFAULT


class ChangeIn(Schema):
    """A change. Items by id, key, name or alias; times in RFC 3339."""

    title: str
    description: str = ""
    type: str = "normal"
    model: str = ""
    window_start: str | None = None
    window_end: str | None = None
    cis: list[str] = []
    environment: str = ""
    artefact_hash: str = ""
    implementation_plan: str = ""
    backout_plan: str = ""
    assignment_group: str = ""
    priority: str = ""
    incident: str = ""
    organisation: str = ""


class ChangePatch(Schema):
    """Only what is sent changes. Editing content after an approval voids it."""

    title: str | None = None
    description: str | None = None
    type: str | None = None
    model: str | None = None
    window_start: str | None = None
    window_end: str | None = None
    cis: list[str] | None = None
    environment: str | None = None
    artefact_hash: str | None = None
    implementation_plan: str | None = None
    backout_plan: str | None = None
    assignment_group: str | None = None
    priority: str | None = None
    incident: str | None = None


class ActionIn(Schema):
    """What an action needs: `comment` (approve, refuse), `outcome` (implement, review), `notes` (review), `reason` (cancel)."""

    comment: str = ""
    outcome: str = ""
    notes: str = ""
    reason: str = ""


class FreezeIn(Schema):
    """A freeze (nothing goes in) or a peak (nothing of high risk goes in)."""

    name: str
    effect: str = "freeze"
    starts_at: str
    ends_at: str
    environments: list[str] = []
    cis: list[str] = []
    organisation: str = ""


class FreezeFilter(Schema):
    """`state`: active or cancelled."""

    state: str = ""
    effect: str = ""
    organisation: str = ""
    cursor: str = ""
    limit: int = paging.LIMIT_DEFAULT


class CalendarFilter(Schema):
    """From when to when (RFC 3339)."""

    since: str
    until: str
    organisation: str = ""


class SlotIn(Schema):
    """How long, for what, not before and not after when."""

    minutes: int
    cis: list[str] = []
    environment: str = ""
    after: str = ""
    until: str
    high_risk: bool = False
    organisation: str = ""


def change_out(change: Change) -> dict[str, Any]:
    """Return a change with what can be done next."""
    return record_out(change) | {"actions": list(service.next_actions(change.state))}


def _times(values: dict[str, Any], *names: str) -> dict[str, Any]:
    return {
        name: from_rfc3339(value) if name in names and isinstance(value, str) else value
        for name, value in values.items()
    }


@router.get("/changes", summary="List changes, the newest first")
def list_changes(
    request: HttpRequest, response: HttpResponse, filters: Query[ChangeFilter]
) -> dict[str, Any]:
    """Return a page of changes."""
    callers.require(request, READ)
    rows = Change.objects.all()
    for name in (
        "type",
        "authorisation",
        "risk",
        "environment",
        "model",
        "number",
        "incident",
        "organisation",
    ):
        if value := getattr(filters, name):
            rows = rows.filter(**{name: value})
    if filters.state:
        rows = rows.filter(state__in=filters.state.split(","))
    return paging.listed(request, response, rows, out=change_out, cursor=filters.cursor, limit=filters.limit)


@router.post("/changes", summary="Raise a change")
def create_change(request: HttpRequest, payload: ChangeIn) -> HttpResponse:
    """Raise a change; the caller is its requester."""
    where = callers.organisation(request, WRITE, payload.organisation)
    given = {
        name: value
        for name, value in payload.dict(exclude={"organisation"}).items()
        if value not in ("", [], None)
    }
    values = _times(given, "window_start", "window_end")
    return idempotency.act(
        request, lambda work: service.create(work, values, organisation=where), out=change_out, status=201
    )


@router.get("/changes/{reference}", summary="One change")
def get_change(request: HttpRequest, response: HttpResponse, reference: str) -> dict[str, Any]:
    """Return a change by id or number; the ETag names its version."""
    callers.require(request, READ)
    found = service.find(reference)
    if found is None:
        raise NotFound(f"There is no change {reference}.", remedy="Check the id or number.")
    etag.stamp(response, found)
    return change_out(found) | {"report_outdated": service.report_outdated(found)}


@router.patch("/changes/{reference}", summary="Edit a change")
def patch_change(request: HttpRequest, reference: str, payload: ChangePatch) -> HttpResponse:
    """Edit the fields sent; `If-Match` guards against overwriting what another has changed."""
    values = _times(payload.dict(exclude_unset=True), "window_start", "window_end")
    return _act(request, reference, WRITE, lambda work, change: service.update(work, change, values))


@router.post("/changes/{reference}/{action}", summary="Take a change a step further")
def act_on_change(
    request: HttpRequest, reference: str, action: str, payload: ActionIn | None = None
) -> HttpResponse:
    """submit, assess, request-approval, approve, refuse, start, implement, review, close or cancel."""
    if action not in _ACTIONS:
        raise NotFound(f"There is no action {action!r}.", remedy=f"Possible: {', '.join(_ACTIONS)}.")
    permission, do = _ACTIONS[action]
    given = payload or ActionIn()
    arguments: dict[str, Any] = {
        "approve": {"comment": given.comment},
        "refuse": {"comment": given.comment},
        "implement": {"outcome": given.outcome},
        "review": {"notes": given.notes, "outcome": given.outcome},
        "cancel": {"why": given.reason},
    }.get(action, {})
    return _act(request, reference, permission, lambda work, change: do(work, change, **arguments))


def _act(
    request: HttpRequest, reference: str, permission: str, do: Callable[[Work, Change], Change]
) -> HttpResponse:
    """Load, check right and version, do, answer; a refused decision is journalled."""

    def once(work: Work) -> Change:
        change = service.load(work, reference)
        # Whether this person may decide is judged with the approval, so that a refused attempt is on record.
        if permission != DECIDE:
            permissions.require(work.actor, permission, change.organisation)
        etag.expect(request, change)
        return do(work, change)

    return idempotency.act(request, once, out=change_out)


@router.get("/freezes", summary="List freezes and peaks that people set")
def list_freezes(
    request: HttpRequest, response: HttpResponse, filters: Query[FreezeFilter]
) -> dict[str, Any]:
    """Return a page of freezes, the newest first."""
    callers.require(request, READ)
    rows = Freeze.objects.all()
    for name in ("state", "effect", "organisation"):
        if value := getattr(filters, name):
            rows = rows.filter(**{name: value})
    return paging.listed(request, response, rows, out=record_out, cursor=filters.cursor, limit=filters.limit)


@router.post("/freezes", summary="Set a freeze or a peak")
def create_freeze(request: HttpRequest, payload: FreezeIn) -> HttpResponse:
    """Set a freeze; the gate says its name."""
    where = callers.organisation(request, MANAGE, payload.organisation)
    values = _times(payload.dict(exclude={"organisation"}), "starts_at", "ends_at")
    return idempotency.act(
        request,
        lambda work: service.create_freeze(work, values, organisation=where),
        out=record_out,
        status=201,
    )


@router.delete("/freezes/{reference}", summary="Lift a freeze")
def cancel_freeze(request: HttpRequest, reference: str) -> HttpResponse:
    """Lift a freeze before its time; its history stays."""

    def act(work: Work) -> Freeze:
        freeze = freezes.of(reference)
        permissions.require(work.actor, MANAGE, freeze.organisation)
        etag.expect(request, freeze)
        return service.cancel_freeze(work, freeze)

    return idempotency.act(request, act, out=record_out)


@router.get("/change-calendar", summary="What is planned, what stands in the way, what collides")
def get_calendar(request: HttpRequest, filters: Query[CalendarFilter]) -> dict[str, Any]:
    """Return the calendar between two times."""
    where = callers.organisation(request, READ, filters.organisation)
    found = service.calendar(from_rfc3339(filters.since), from_rfc3339(filters.until), organisation=where)
    items = [
        {
            **msgspec.to_builtins(each),
            "starts_at": time_out(each.starts_at),
            "ends_at": time_out(each.ends_at),
        }
        for each in found.items
    ]
    return {"items": items, "conflicts": msgspec.to_builtins(found.conflicts)}


@router.post("/change-calendar/next-slot", summary="The next free slot")
def next_slot(request: HttpRequest, payload: SlotIn) -> dict[str, Any]:
    """Return the first stretch that no freeze, peak or other change stands against; null if there is none."""
    where = callers.organisation(request, READ, payload.organisation)
    if not 0 < payload.minutes <= 366 * 24 * 60:
        raise Rejected("A number of minutes is needed.", remedy="Give minutes from 1 on.")
    after = from_rfc3339(payload.after) if payload.after else source.now()
    found = service.next_slot(
        payload.minutes * MINUTE, cis=payload.cis, environment=payload.environment, after=Instant(after), until=from_rfc3339(payload.until),
        high_risk=payload.high_risk, organisation=where,
    )  # fmt: skip
    return {
        "slot": None if found is None else {"starts_at": time_out(found[0]), "ends_at": time_out(found[1])}
    }
