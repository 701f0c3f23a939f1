"""HTTP resources of monitoring: alerts, what became of events, silences."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any, Literal

from django.http import HttpRequest, HttpResponse
from ninja import Query, Router, Schema

from isthmus.hub.http import actor as callers
from isthmus.hub.http import etag, idempotency, paging, problems
from isthmus.identity import permissions
from isthmus.kernel.errors import IsthmusError
from isthmus.kernel.instant import SECOND, Instant, from_rfc3339, to_rfc3339
from isthmus.ledger.ids import source
from isthmus.ledger.work import Work
from isthmus.practices.monitoring import acts, enrichment, events, expecting, partner, service, silences
from isthmus.practices.monitoring.models import Alert, Silence
from isthmus.practices.monitoring.rules import classification

router = Router(tags=["alerts"])


class AlertFilter(Schema):
    """Every given value narrows the list."""

    state: Literal["", "firing", "resolved", "stale"] = ""
    severity: str = ""
    classification: Literal["", "informational", "warning", "exception", "unclassified"] = ""
    decision: str = ""
    ci: str = ""
    service: str = ""
    incident: str = ""
    parent: str = ""
    connection: str = ""
    organisation: str = ""
    open: bool | None = None
    acknowledged: bool | None = None
    astray: bool | None = None
    cursor: str = ""
    limit: int = paging.LIMIT_DEFAULT


class NoteIn(Schema):
    """`comment` goes to the alert's source with what is done."""

    comment: str = ""


class AlertBulkIn(Schema):
    """At most `acts.AT_ONCE_MAX` alerts; the answer says what became of each."""

    ids: list[str]
    action: Literal["acknowledge", "unacknowledge", "annotate", "resolve"]
    comment: str = ""


class MatcherIn(Schema):
    """`op` is one of = != =~ !~ (whole text)."""

    label: str
    value: str
    op: str = "="


class PreviewIn(Schema):
    """Matchers as a silence would have them."""

    matchers: list[MatcherIn]
    organisation: str = ""


class SilenceIn(Schema):
    """Times in RFC 3339; without `starts_at` the silence begins now."""

    matchers: list[MatcherIn]
    ends_at: str
    comment: str
    starts_at: str = ""
    organisation: str = ""
    alert: str = ""
    """The alert that it is made from, for sources that mute objects and no patterns."""


def _time(value: int | None) -> str | None:
    return None if value is None else to_rfc3339(Instant(value))


def alert_out(alert: Alert) -> dict[str, Any]:
    """Return an alert as the API shows it."""
    names = (
        "id", "organisation", "version", "identity", "identity_version", "connection", "external_key", "severity", "state",
        "summary", "labels", "annotations", "ci", "service", "binding", "binding_confidence", "decision", "decision_reason",
        "suppressed_by", "incident", "parent", "group_key", "open", "occurrences", "notifications", "trace", "synthetic",
        "acknowledged", "acknowledged_by", "silenced", "taken_by", "astray",
    )  # fmt: skip
    times = (
        "starts_at", "ends_at", "last_seen_at", "created_at", "updated_at", "acknowledged_at", "taken_at",
    )  # fmt: skip
    return (
        {name: getattr(alert, name) for name in names}
        | {name: _time(getattr(alert, name)) for name in times}
        | {
            "classification": classification.classify(alert.severity),
            "told": [
                {
                    "to": each["to"],
                    "verb": each["verb"],
                    "state": each.get("state", ""),
                    "at": _time(each.get("at")),
                    "why": each.get("why", ""),
                }
                for each in partner.told_lines(alert)
            ],
        }
    )


def silence_out(found: Silence) -> dict[str, Any]:
    """Return a silence as the API shows it."""
    names = (
        "id", "organisation", "version", "matchers", "owner", "owner_label", "comment", "state", "connection", "external_key", "astray",
    )  # fmt: skip
    held = found.mirrors if isinstance(found.mirrors, dict) else {}
    mirrors = [
        {"connection": name, "state": each.get("state", ""), "why": each.get("why", "")}
        for name, each in sorted(held.items())
        if isinstance(each, dict)
    ]
    times = {name: _time(getattr(found, name)) for name in ("starts_at", "ends_at")}
    return {name: getattr(found, name) for name in names} | times | {"mirrors": mirrors}


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
    if filters.classification:
        rows = rows.filter(severity__in=classification.severities_of(filters.classification))
    for name in ("open", "acknowledged", "astray"):
        if (flag := getattr(filters, name)) is not None:
            rows = rows.filter(**{name: flag})
    return paging.listed(request, response, rows, out=alert_out, cursor=filters.cursor, limit=filters.limit)


@router.post("/alerts/bulk", summary="Acknowledge, annotate or close many alerts")
def bulk_alerts(request: HttpRequest, payload: AlertBulkIn) -> HttpResponse:
    """Act on many alerts at once; the answer has one result per id, in their order."""
    callers.require(request, "alert:write")
    return idempotency.act(
        request, lambda work: acts.bulk(work, payload.ids, payload.action, payload.comment), out=results_out
    )


def results_out(found: list[acts.Result]) -> dict[str, Any]:
    """Return what became of each of many alerts as the API shows it."""
    return {
        "items": [
            {"alert": alert_id, **problems.of_item(each)}
            if isinstance(each, IsthmusError)
            else {"alert": alert_id, "status": 200, "result": alert_out(each)}
            for alert_id, each in found
        ]
    }


@router.get("/alerts/{alert_id}", summary="One alert with its decision")
def get_alert(request: HttpRequest, response: HttpResponse, alert_id: str) -> dict[str, Any]:
    """Return one alert; the ETag names its version."""
    callers.require(request, "alert:read")
    alert = Alert.objects.get(id=alert_id)
    etag.stamp(response, alert)
    return alert_out(alert)


@router.get("/alerts/{alert_id}/context", summary="What is known around an alert")
def alert_context(request: HttpRequest, alert_id: str) -> dict[str, Any]:
    """Return its item, service and owner, recent changes near it, and known errors like it."""
    callers.require(request, "alert:read")
    alert: Alert = Alert.objects.get(id=alert_id)
    found = enrichment.of(alert, source.now())
    return {
        "alert": alert.id,
        "binding": found.binding,
        "item": None if found.item is None else asdict(found.item),
        "service": None if found.service is None else asdict(found.service),
        "changes": [{**asdict(each), "at": _time(each.at)} for each in found.changes],
        "known_errors": [asdict(each) for each in found.known_errors],
    }


@router.post("/alerts/{alert_id}/confirm", summary="Open the incident that was only drafted")
def confirm_draft(request: HttpRequest, alert_id: str) -> HttpResponse:
    """Confirm a draft of the automation level `draft`."""

    def do(work: Work) -> Alert:
        alert = service.get(work, alert_id)
        permissions.require(work.actor, "incident:write", alert.organisation)
        etag.expect(request, alert)
        return service.confirm_draft(work, alert)

    return idempotency.act(request, do, out=alert_out)


def _act(request: HttpRequest, alert_id: str, action: acts.Action, comment: str) -> HttpResponse:
    """Load, check right and version, do, answer."""

    def do(work: Work) -> Alert:
        alert = acts.load(work, [alert_id]).get(alert_id) or service.get(work, alert_id)
        permissions.require(work.actor, "alert:write", alert.organisation)
        etag.expect(request, alert)
        return acts.act(work, alert, action, comment)

    return idempotency.act(request, do, out=alert_out)


@router.post("/alerts/{alert_id}/acknowledge", summary="Look after an alert")
def acknowledge_alert(request: HttpRequest, alert_id: str, payload: NoteIn) -> HttpResponse:
    """Take an alert; its source is told who has it, as the blueprint lets it."""
    return _act(request, alert_id, "acknowledge", payload.comment)


@router.post("/alerts/{alert_id}/unacknowledge", summary="Put an alert back")
def unacknowledge_alert(request: HttpRequest, alert_id: str, payload: NoteIn) -> HttpResponse:
    """Take an acknowledgement back, here and at the source."""
    return _act(request, alert_id, "unacknowledge", payload.comment)


@router.post("/alerts/{alert_id}/annotate", summary="Leave a note at an alert's source")
def annotate_alert(request: HttpRequest, alert_id: str, payload: NoteIn) -> HttpResponse:
    """Have the source show a note at the alert."""
    return _act(request, alert_id, "annotate", payload.comment)


@router.post("/alerts/{alert_id}/resolve", summary="Have an alert closed at its source")
def resolve_alert(request: HttpRequest, alert_id: str, payload: NoteIn) -> HttpResponse:
    """Ask the source to close the alert; it counts as clear once the source says so."""
    return _act(request, alert_id, "resolve", payload.comment)


@router.get("/sources", summary="Is every source of alerts heard from?")
def list_sources(request: HttpRequest) -> dict[str, Any]:
    """Return per expected source its interval, when it was last heard, and in words whether it is silent."""
    callers.require(request, "alert:read")
    return {"items": [source_out(each) for each in expecting.visible(source.now())]}


def source_out(found: expecting.Health) -> dict[str, Any]:
    """Return a source's health as the API shows it."""
    return {
        "connection": found.connection,
        "every_seconds": found.every // SECOND,
        "heartbeat": found.heartbeat,
        "heard_at": _time(found.heard_at),
        "silent": found.silent,
    }


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


@router.post("/silences/preview", summary="What a silence would match")
def preview_silence(request: HttpRequest, payload: PreviewIn) -> dict[str, Any]:
    """Return how many of the open alerts the matchers fit, and the first of them; nothing is changed."""
    organisation = callers.organisation(request, "alert:write", payload.organisation)
    found = silences.preview([each.dict() for each in payload.matchers], organisation=organisation)
    rows = {each.id: each for each in Alert.objects.filter(id__in=list(found.alerts))}
    return {
        "matched": found.matched,
        "firing": found.firing,
        "looked_at": found.looked_at,
        "alerts": [alert_out(rows[each]) for each in found.alerts if each in rows],
    }


@router.post("/silences", summary="Silence matching alerts until a stated time")
def create_silence(request: HttpRequest, payload: SilenceIn) -> HttpResponse:
    """Create a silence that the caller owns."""
    organisation = callers.organisation(request, "alert:write", payload.organisation)

    def do(work: Work) -> Silence:
        return silences.create(
            work,
            organisation=organisation,
            matchers=[each.dict() for each in payload.matchers],
            starts_at=from_rfc3339(payload.starts_at) if payload.starts_at else work.now,
            ends_at=from_rfc3339(payload.ends_at),
            comment=payload.comment,
            alert=None
            if not payload.alert
            else Alert.objects.filter(id=payload.alert, organisation=organisation).first(),
        )

    return idempotency.act(request, do, out=silence_out, status=201)


@router.post("/silences/{silence_id}/expire", summary="End a silence now")
def expire_silence(request: HttpRequest, silence_id: str) -> HttpResponse:
    """End a silence; alerts that still fire under it are decided anew."""

    def do(work: Work) -> Silence:
        found = silences.get(work, silence_id)
        permissions.require(work.actor, "alert:write", found.organisation)
        etag.expect(request, found)
        return silences.expire(work, found)

    return idempotency.act(request, do, out=silence_out)
