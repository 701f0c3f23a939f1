"""HTTP resources of monitoring: alerts, what became of events, silences."""

from __future__ import annotations

from typing import Any, Literal

from django.http import HttpRequest, HttpResponse
from ninja import Query, Router, Schema

from isthmus.hub.http import actor as callers
from isthmus.hub.http import etag, idempotency, paging
from isthmus.identity import permissions
from isthmus.kernel.instant import Instant, from_rfc3339, to_rfc3339
from isthmus.ledger.work import Work
from isthmus.practices.monitoring import events, service
from isthmus.practices.monitoring.models import Alert, Silence

router = Router(tags=["alerts"])


class AlertFilter(Schema):
    """Every given value narrows the list."""

    state: Literal["", "firing", "resolved", "stale"] = ""
    severity: str = ""
    decision: str = ""
    ci: str = ""
    service: str = ""
    incident: str = ""
    parent: str = ""
    connection: str = ""
    organisation: str = ""
    open: bool | None = None
    cursor: str = ""
    limit: int = paging.LIMIT_DEFAULT


class MatcherIn(Schema):
    """`op` is one of = != =~ !~ (whole text)."""

    label: str
    value: str
    op: str = "="


class SilenceIn(Schema):
    """Times in RFC 3339; without `starts_at` the silence begins now."""

    matchers: list[MatcherIn]
    ends_at: str
    comment: str
    starts_at: str = ""
    organisation: str = ""


def _time(value: int | None) -> str | None:
    return None if value is None else to_rfc3339(Instant(value))


def alert_out(alert: Alert) -> dict[str, Any]:
    """Return an alert as the API shows it."""
    names = (
        "id", "organisation", "version", "identity", "identity_version", "connection", "external_key", "severity", "state",
        "summary", "labels", "annotations", "ci", "service", "binding", "binding_confidence", "decision", "decision_reason",
        "suppressed_by", "incident", "parent", "group_key", "open", "occurrences", "notifications", "trace", "synthetic",
    )  # fmt: skip
    times = ("starts_at", "ends_at", "last_seen_at", "created_at", "updated_at")
    return {name: getattr(alert, name) for name in names} | {
        name: _time(getattr(alert, name)) for name in times
    }


def silence_out(found: Silence) -> dict[str, Any]:
    """Return a silence as the API shows it."""
    names = ("id", "organisation", "version", "matchers", "owner", "comment", "state")
    return {name: getattr(found, name) for name in names} | {
        name: _time(getattr(found, name)) for name in ("starts_at", "ends_at")
    }


@router.get("/alerts", summary="List alerts, the newest first")
def list_alerts(request: HttpRequest, response: HttpResponse, filters: Query[AlertFilter]) -> dict[str, Any]:
    """Return a page of alerts."""
    callers.require(request, "alert:read")
    rows = Alert.objects.all()
    for name in (
        "state",
        "severity",
        "decision",
        "ci",
        "service",
        "incident",
        "parent",
        "connection",
        "organisation",
    ):
        if value := getattr(filters, name):
            rows = rows.filter(**{name: value})
    if filters.open is not None:
        rows = rows.filter(open=filters.open)
    return paging.listed(request, response, rows, out=alert_out, cursor=filters.cursor, limit=filters.limit)


@router.get("/alerts/{alert_id}", summary="One alert with its decision")
def get_alert(request: HttpRequest, response: HttpResponse, alert_id: str) -> dict[str, Any]:
    """Return one alert; the ETag names its version."""
    callers.require(request, "alert:read")
    alert = Alert.objects.get(id=alert_id)
    etag.stamp(response, alert)
    return alert_out(alert)


@router.post("/alerts/{alert_id}/confirm", summary="Open the incident that was only drafted")
def confirm_draft(request: HttpRequest, alert_id: str) -> HttpResponse:
    """Confirm a draft of the automation level `draft`."""

    def do(work: Work) -> Alert:
        alert = service.get(work, alert_id)
        permissions.require(work.actor, "incident:write", alert.organisation)
        etag.expect(request, alert)
        return service.confirm_draft(work, alert)

    return idempotency.act(request, do, out=alert_out)


@router.get("/events", summary="What became of one event")
def get_event(request: HttpRequest, connection: str, event_id: str) -> dict[str, Any]:
    """Return the decision about the event that `connection` sent under `event_id`, with its records."""
    callers.require(request, "alert:read")
    row = events.outcome_of(connection, event_id)
    alerts = Alert.objects.filter(id__in=list(row.records))
    return {
        "event_id": row.event_id,
        "connection": connection,
        "outcome": row.what,
        "reason": row.reason,
        "message": row.message,
        "position": row.position,
        "trace": row.trace,
        "records": list(row.records),
        "alerts": [alert_out(each) for each in alerts],
    }


@router.get("/silences", summary="List silences, the newest first")
def list_silences(
    request: HttpRequest,
    response: HttpResponse,
    state: Literal["", "active", "expired"] = "",
    cursor: str = "",
    limit: int = paging.LIMIT_DEFAULT,
) -> dict[str, Any]:
    """Return a page of silences."""
    callers.require(request, "alert:read")
    rows = Silence.objects.filter(state=state) if state else Silence.objects.all()
    return paging.listed(request, response, rows, out=silence_out, cursor=cursor, limit=limit)


@router.post("/silences", summary="Silence matching alerts until a stated time")
def create_silence(request: HttpRequest, payload: SilenceIn) -> HttpResponse:
    """Create a silence that the caller owns."""
    organisation = callers.organisation(request, "alert:write", payload.organisation)

    def do(work: Work) -> Silence:
        return service.silence(
            work,
            organisation=organisation,
            matchers=[each.dict() for each in payload.matchers],
            starts_at=from_rfc3339(payload.starts_at) if payload.starts_at else work.now,
            ends_at=from_rfc3339(payload.ends_at),
            comment=payload.comment,
        )

    return idempotency.act(request, do, out=silence_out, status=201)


@router.post("/silences/{silence_id}/expire", summary="End a silence now")
def expire_silence(request: HttpRequest, silence_id: str) -> HttpResponse:
    """End a silence; alerts that still fire under it are decided anew."""

    def do(work: Work) -> Silence:
        found = service.get_silence(work, silence_id)
        permissions.require(work.actor, "alert:write", found.organisation)
        etag.expect(request, found)
        return service.expire_silence(work, found)

    return idempotency.act(request, do, out=silence_out)
