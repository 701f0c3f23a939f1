"""Drafts and accuracy: what waits for a person's word, and how far the hub's own decisions are trusted."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, cast

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_POST

from isthmus.hub.http import paging
from isthmus.kernel.errors import IsthmusError, Rejected
from isthmus.ledger.work import Work
from isthmus.practices.monitoring import accuracy, acts, drafts
from isthmus.practices.monitoring.models import AccuracySample, Alert, AutomationMode
from isthmus.practices.monitoring.plan import current as current_plan
from isthmus.practices.monitoring.rules import accuracy as rules
from isthmus.web import records
from isthmus.web.console import listing
from isthmus.web.console.screen import act, back, found, me, page, screen
from isthmus.web.lists.tables import DRAFTS

VERDICTS: Final = ("open", "right", "wrong")
MODES_MAX: Final = 200


@screen("alert:read")
def index(request: HttpRequest) -> HttpResponse:
    """Alerts that would have become incidents, the oldest wait first seen last."""
    return listing.show(request, DRAFTS, "console/drafts.html", lambda *_: {"title": "Drafts"})


@require_POST
@screen("incident:write")
def word(request: HttpRequest) -> HttpResponse:
    """Confirm or reject the drafts that were chosen; each says for itself what became of it."""
    ids = request.POST.getlist("id")
    action, reason = request.POST.get("action", ""), request.POST.get("reason", "")

    def do(work: Work) -> list[acts.Result]:
        if action not in {"confirm", "reject"}:
            raise Rejected("Say what is to happen.", remedy="Confirm or reject.")
        return drafts.bulk(work, ids, cast("drafts.Word", action), reason)

    organisation = _home(ids) or next(iter(me(request).organisations), "")
    results = act(request, do, permission="incident:write", organisation=organisation, done=_done)
    for alert_id, each in results or ():
        if isinstance(each, IsthmusError):
            messages.error(request, f"{alert_id}: {each}")
    return back(request, "/drafts")


def _home(ids: list[str]) -> str:
    """Return the organisation of the first draft; each one's right is checked by itself."""
    alert = records.of("alert").filter(id__in=ids[:1]).first()
    return alert.organisation if alert is not None else ""


def _done(results: list[acts.Result]) -> str:
    alerts = [each for _, each in results if isinstance(each, Alert)]
    opened = sum(bool(each.incident) for each in alerts)
    return f"{opened} incident(s) opened, {len(alerts) - opened} draft(s) rejected."


@screen("alert:read")
def judged(request: HttpRequest) -> HttpResponse:
    """Samples that wait for a verdict, and what every class has earned."""
    verdict = request.GET.get("verdict", "open")
    rows = AccuracySample.objects.all()
    if verdict in VERDICTS:
        rows = rows.filter(verdict=verdict)
    if name := request.GET.get("alert_class", "").strip():
        rows = rows.filter(alert_class=name)
    cut = paging.cut(rows, cursor=request.GET.get("cursor", ""), limit=request.GET.get("limit") or 25)
    modes = list(AutomationMode.objects.order_by("full_permitted", "alert_class", "id")[:MODES_MAX])
    policy = current_plan().accuracy
    context = {
        "title": "Accuracy",
        "samples": [(each, alert) for each, alert in _with_alerts(cut.items)],
        "next": cut.next,
        "verdict": verdict,
        "verdicts": VERDICTS,
        "modes": [
            (each, rules.measured(policy, verdicts=each.verdicts or 0, wrong=each.wrong or 0))
            for each in modes
        ],
        "cis": records.titles("ci", [each.service for each in (*cut.items, *modes)], "name"),
        "policy": policy,
    }
    return page(request, "console/accuracy.html", context)


def _with_alerts(samples: Sequence[Any]) -> list[tuple[Any, Any]]:
    alerts = records.by_ids("alert", [each.alert for each in samples])
    return [(each, alerts[each.alert]) for each in samples if each.alert in alerts]


@require_POST
@screen("alert:write")
def judge(request: HttpRequest, sample_id: str) -> HttpResponse:
    """Record a verdict about one decision."""
    held = found(AccuracySample.objects.filter(id=sample_id).first())
    verdict, note = request.POST.get("verdict", ""), request.POST.get("note", "")
    act(
        request,
        lambda work: accuracy.judge(work, sample_id, cast("accuracy.Verdict", verdict), note),
        permission="alert:write",
        organisation=held.organisation,
        done="Thank you: what this class of alerts has earned is counted anew.",
    )
    return back(request, "/accuracy")
