"""Resources of back-tests: try rules on the stored past, and read what they would have made of it."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest, HttpResponse
from ninja import Router, Schema

from isthmus.hub.http import actor as callers
from isthmus.hub.http import idempotency
from isthmus.identity import permissions
from isthmus.kernel.errors import NotFound, Problem, Rejected
from isthmus.kernel.instant import DAY, Instant, from_rfc3339, to_rfc3339
from isthmus.ledger import organisations
from isthmus.ledger.ids import source
from isthmus.ledger.work import Work
from isthmus.practices.monitoring.backtest import jobs
from isthmus.practices.monitoring.backtest.candidate import wanted
from isthmus.practices.monitoring.backtest.jobs import Job

router = Router(tags=["monitoring"])
TIMES = ("opened_at", "resolved_at", "starts_at")


class BacktestIn(Schema):
    """`sections` (monitoring, incident) replace those in force; `rules` are correlation rules, put in by their names.

    Times in RFC 3339; without `until` the window ends now, without `since` it is a day long.
    """

    rules: list[dict[str, Any]] = []
    sections: dict[str, Any] = {}
    since: str = ""
    until: str = ""
    organisation: str = ""


@router.post(
    "/backtests",
    summary="Try rules on the stored past; nothing is changed or sent",
    response={202: dict[str, Any]},
)
def start_backtest(request: HttpRequest, payload: BacktestIn) -> HttpResponse:
    """Begin a back-test; ask for it again under its id until its state is done or failed."""
    actor = callers.require(request, "configuration:read", organisations.root())
    until = instant(payload.until, "/until") or source.now()
    asked = wanted(
        organisation=payload.organisation or callers.home_organisation(actor),
        sections=payload.sections,
        rules=payload.rules,
        since=instant(payload.since, "/since") or Instant(until - DAY),
        until=until,
    )
    permissions.require(actor, "alert:read", asked.organisation)

    def do(work: Work) -> Job:
        job = jobs.ready(asked, actor)
        work.after_commit(lambda: jobs.begin(job, asked))
        return job

    return idempotency.act(request, do, out=job_out, status=202)


@router.get("/backtests/{backtest_id}", summary="A back-test: how far it is, and what it found")
def get_backtest(request: HttpRequest, backtest_id: str) -> dict[str, Any]:
    """Return an operation; `result` is there once its state is done, for a day."""
    return job_out(visible(request, backtest_id))


def visible(request: HttpRequest, backtest_id: str) -> Job:
    """Return a back-test if the caller may read the blueprint and the alerts of its organisation."""
    actor = callers.require(request, "configuration:read", organisations.root())
    found = jobs.get(backtest_id)
    if not permissions.allowed(actor, "alert:read", found.organisation):
        raise NotFound("There is no such back-test, or its result has expired.", remedy="Start it again.")
    return found


def instant(text: str, path: str) -> Instant | None:
    """Return the instant that a text names, None for none; `Rejected` names the field."""
    if not text:
        return None
    try:
        return from_rfc3339(text[:40])
    except (Rejected, OverflowError) as cause:
        remedy = "Write it as 2026-05-01T12:00:00Z."
        raise Rejected(
            f"{text[:40]!r} is not a time.",
            problems=(Problem(path=path, message="not a time", remedy=remedy),),
        ) from cause


def job_out(found: Job) -> dict[str, Any]:
    """Return an operation as the API shows it."""
    times = ("since", "until", "created_at", "expires_at")
    return {
        "id": found.id,
        "organisation": found.organisation,
        "owner": found.owner_label or found.owner,
        "state": found.state,
        "stage": found.stage,
        "progress": found.progress,
        "problem": found.problem,
        "remedy": found.remedy,
        **{name: to_rfc3339(Instant(getattr(found, name))) for name in times},
        "result": _with_times(found.result),
    }


def _with_times(value: Any) -> Any:
    """Return a result with its instants in RFC 3339."""
    if isinstance(value, list):
        return [_with_times(each) for each in value]
    if not isinstance(value, dict):
        return value
    return {
        name: to_rfc3339(Instant(each)) if name in TIMES and isinstance(each, int) else _with_times(each)
        for name, each in value.items()
    }
