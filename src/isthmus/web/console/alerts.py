"""Alerts: what is firing, and what became of it."""

from __future__ import annotations

from typing import Any, Final

from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_POST

from isthmus.hub.http import paging
from isthmus.kernel.errors import Rejected
from isthmus.kernel.instant import MINUTE, Instant
from isthmus.kernel.kinds.monitoring import ALERT_DECISIONS, ALERT_STATES, SEVERITIES
from isthmus.ledger import reading
from isthmus.ledger.ids import source
from isthmus.ledger.work import Work
from isthmus.practices.monitoring import silences
from isthmus.web import records, values
from isthmus.web.console.screen import act, back, found, page, screen

HISTORY_MAX: Final = 100
SILENCE_MINUTES_MAX: Final = 7 * 24 * 60


@screen("alert:read")
def index(request: HttpRequest) -> HttpResponse:
    """The board: alerts grouped by the incident they went to, each with its decision and reason."""
    rows = records.of("alert")
    state = request.GET.get("state", "firing")
    if state in ALERT_STATES:
        rows = rows.filter(state=state)
    for name, known in (("severity", SEVERITIES), ("decision", ALERT_DECISIONS)):
        if (value := request.GET.get(name, "")) in known:
            rows = rows.filter(**{name: value})
    if connection := request.GET.get("connection", "").strip():
        rows = rows.filter(connection=connection)
    if ci := request.GET.get("ci", "").strip():
        rows = rows.filter(ci=ci)
    cut = paging.cut(rows, cursor=request.GET.get("cursor", ""), limit=request.GET.get("limit"))
    context = {
        "title": "Alerts",
        "groups": _grouped(cut.items),
        "next": cut.next,
        "cis": records.titles("ci", [each.ci for each in cut.items], "name"),
        "state": state,
        "states": ALERT_STATES,
        "severities": SEVERITIES,
        "decisions": ALERT_DECISIONS,
    }
    return page(request, "console/alerts.html", context)


@screen("alert:read")
def one(request: HttpRequest, alert_id: str) -> HttpResponse:
    """One alert: what it said, what was decided and by which rule."""
    alert = found(records.of("alert").filter(id=alert_id).first())
    related = records.by_ids("incident", [alert.incident])
    context = {
        "title": alert.summary or alert.identity,
        "crumbs": [("Alerts", "/alerts"), (alert.summary or alert.identity, "")],
        "alert": alert,
        "incident": related.get(alert.incident),
        "parent": records.of("alert").filter(id=alert.parent).first() if alert.parent else None,
        "cis": records.by_ids("ci", [alert.ci, alert.service]),
        "history": _history(alert),
    }
    return page(request, "console/alert.html", context)


@require_POST
@screen("alert:write")
def silence(request: HttpRequest, alert_id: str) -> HttpResponse:
    """Mute alerts with the same chosen labels for a stated time."""
    alert = found(records.of("alert").filter(id=alert_id).first())
    chosen = request.POST.getlist("label")
    labels = alert.labels or {}
    comment = request.POST.get("comment", "").strip()

    def do(work: Work) -> Any:
        matchers = [
            {"label": name, "op": "=", "value": str(labels[name])} for name in chosen if name in labels
        ]
        minutes = _minutes(request.POST.get("minutes", ""))
        now = source.now()
        return silences.create(
            work,
            organisation=alert.organisation,
            matchers=matchers,
            starts_at=now,
            ends_at=Instant(now + minutes * MINUTE),
            comment=comment,
            alert=alert,
        )

    act(
        request,
        do,
        permission="alert:write",
        organisation=alert.organisation,
        done="Matching alerts are silenced.",
    )
    return back(request, f"/alerts/{alert_id}")


def _history(alert: Any) -> list[dict[str, Any]]:
    """Return its decisions, newest first; the first entry's values stand on the page already."""
    entries = sorted(reading.history(alert.id), key=lambda each: each.version, reverse=True)[:HISTORY_MAX]
    names = records.titles("incident", [alert.incident], "number") | records.titles(
        "ci", [alert.ci, alert.service], "name"
    )
    return [
        {
            "occurred_at": each.occurred_at,
            "why": each.why,
            "shown": []
            if each.version == 1
            else [
                (name, *(values.shown("alert", name, value, names) for value in pair))
                for name, pair in each.changes.items()
            ],
        }
        for each in entries
    ]


def _minutes(text: str) -> int:
    try:
        minutes = int(text)
    except ValueError:
        minutes = 0
    if not 1 <= minutes <= SILENCE_MINUTES_MAX:
        raise Rejected("A silence lasts 1 minute to 7 days.", remedy="Give the minutes as a number.")
    return minutes


def _grouped(alerts: list[Any]) -> list[tuple[Any, list[Any]]]:
    """Return (incident or None, alerts) in the order in which each group first appears."""
    incidents = records.by_ids("incident", [each.incident for each in alerts])
    groups: dict[str, list[Any]] = {}
    for each in alerts:
        groups.setdefault(each.incident, []).append(each)
    return [(incidents.get(key), members) for key, members in groups.items()]
