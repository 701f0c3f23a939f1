"""Resources of drafts and of sampled accuracy."""

from __future__ import annotations

from typing import Any, Literal

from django.http import HttpRequest, HttpResponse
from ninja import Query, Router, Schema

from isthmus.hub.http import actor as callers
from isthmus.hub.http import etag, idempotency, paging
from isthmus.identity import permissions
from isthmus.kernel.instant import Instant, to_rfc3339
from isthmus.ledger.work import Work
from isthmus.practices.incident.loading import one
from isthmus.practices.monitoring import accuracy, drafts, service
from isthmus.practices.monitoring.api import alert_out, results_out
from isthmus.practices.monitoring.models import AccuracySample, Alert, AutomationMode
from isthmus.practices.monitoring.plan import current as current_plan
from isthmus.practices.monitoring.rules import accuracy as rules

router = Router(tags=["monitoring"])


class RejectIn(Schema):
    """Why no incident is needed."""

    reason: str


class DraftBulkIn(Schema):
    """`reason` is needed to reject."""

    ids: list[str]
    action: Literal["confirm", "reject"]
    reason: str = ""


class ModeFilter(Schema):
    """Which classes to list."""

    service: str = ""
    full_permitted: bool | None = None
    cursor: str = ""
    limit: int = paging.LIMIT_DEFAULT


class SampleVerdictIn(Schema):
    """`note` says what was wrong; it is needed then."""

    verdict: Literal["right", "wrong"]
    note: str = ""


def sample_out(found: AccuracySample) -> dict[str, Any]:
    """Return a sample as the API shows it."""
    names = (
        "id", "organisation", "version", "alert", "service", "alert_class", "seed", "decision", "verdict", "note", "judged_by", "trace",
    )  # fmt: skip
    at = None if found.judged_at is None else to_rfc3339(Instant(found.judged_at))
    return {name: getattr(found, name) for name in names} | {
        "judged_at": at,
        "created_at": to_rfc3339(Instant(found.created_at)),
    }


def mode_out(found: AutomationMode) -> dict[str, Any]:
    """Return what a class has earned, with the interval by today's policy."""
    names = (
        "id", "organisation", "version", "service", "alert_class", "full_permitted", "verdicts", "wrong", "said", "trace",
    )  # fmt: skip
    measured = rules.measured(current_plan().accuracy, verdicts=found.verdicts or 0, wrong=found.wrong or 0)
    since = None if found.since is None else to_rfc3339(Instant(found.since))
    return {name: getattr(found, name) for name in names} | {
        "precision": measured.precision,
        "low": measured.low,
        "high": measured.high,
        "since": since,
    }


@router.post("/alerts/{alert_id}/reject", summary="Say that a draft needs no incident")
def reject_draft(request: HttpRequest, alert_id: str, payload: RejectIn) -> HttpResponse:
    """Reject a draft of the automation level `draft`."""

    def do(work: Work) -> Alert:
        alert = service.get(work, alert_id)
        permissions.require(work.actor, "incident:write", alert.organisation)
        etag.expect(request, alert)
        return drafts.reject(work, alert, payload.reason)

    return idempotency.act(request, do, out=alert_out)


@router.post("/drafts/bulk", summary="Confirm or reject many drafts")
def bulk_drafts(request: HttpRequest, payload: DraftBulkIn) -> HttpResponse:
    """Act on many drafts at once; the answer has one result per id, in their order."""
    callers.require(request, "incident:write")
    return idempotency.act(
        request,
        lambda work: drafts.bulk(work, payload.ids, payload.action, payload.reason),
        out=results_out,
    )


@router.get("/accuracy/samples", summary="List alerts drawn for a verdict, the newest first")
def list_samples(
    request: HttpRequest,
    response: HttpResponse,
    verdict: Literal["", "open", "right", "wrong"] = "",
    service: str = "",
    alert_class: str = "",
    alert: str = "",
    cursor: str = "",
    limit: int = paging.LIMIT_DEFAULT,
) -> dict[str, Any]:
    """Return a page of samples."""
    callers.require(request, "alert:read")
    wanted = {"verdict": verdict, "service": service, "alert_class": alert_class, "alert": alert}
    rows = AccuracySample.objects.filter(**{name: value for name, value in wanted.items() if value})
    return paging.listed(request, response, rows, out=sample_out, cursor=cursor, limit=limit)


@router.get("/accuracy/samples/{sample_id}", summary="One sample")
def get_sample(request: HttpRequest, response: HttpResponse, sample_id: str) -> dict[str, Any]:
    """Return one sample; the ETag names its version."""
    callers.require(request, "alert:read")
    found = AccuracySample.objects.get(id=sample_id)
    etag.stamp(response, found)
    return sample_out(found)


@router.post("/accuracy/samples/{sample_id}/judge", summary="Say whether the hub decided rightly")
def judge_sample(request: HttpRequest, sample_id: str, payload: SampleVerdictIn) -> HttpResponse:
    """Record a verdict; what the class has earned is counted anew at once."""

    def do(work: Work) -> AccuracySample:
        held = one(work, AccuracySample, sample_id)
        permissions.require(work.actor, "alert:write", held.organisation)
        etag.expect(request, held)
        return accuracy.judge(work, sample_id, payload.verdict, payload.note)

    return idempotency.act(request, do, out=sample_out)


@router.get("/accuracy/modes", summary="What each class of alerts has earned")
def list_modes(request: HttpRequest, response: HttpResponse, filters: Query[ModeFilter]) -> dict[str, Any]:
    """Return a page of classes with precision and interval; None below the least number of verdicts."""
    callers.require(request, "alert:read")
    rows = AutomationMode.objects.all()
    if filters.service:
        rows = rows.filter(service=filters.service)
    if filters.full_permitted is not None:
        rows = rows.filter(full_permitted=filters.full_permitted)
    return paging.listed(request, response, rows, out=mode_out, cursor=filters.cursor, limit=filters.limit)
