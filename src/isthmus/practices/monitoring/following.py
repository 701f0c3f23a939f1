"""Alerts that follow when incidents are merged or split."""

from __future__ import annotations

from collections.abc import Sequence

from isthmus.kernel.record import Reason
from isthmus.ledger.work import Work
from isthmus.practices.incident import hooks
from isthmus.practices.incident.models import Incident
from isthmus.practices.monitoring.models import Alert

FOLLOWING_MAX = 5_000
"""Most alerts that follow at once."""


def move(work: Work, ids: Sequence[str] | None, source: Incident, target: Incident, text: str) -> list[str]:
    """Bind alerts of one incident (those of `ids`, or all) to another and return their ids."""
    rows = Alert.objects.filter(incident=source.id, organisation=source.organisation)
    if ids is not None:
        rows = rows.filter(id__in=list(ids)[:FOLLOWING_MAX])
    why = [Reason(rule="monitoring.followed", text=text, facts={"from": source.id, "to": target.id})]
    found = list(rows.order_by("id")[:FOLLOWING_MAX])
    for each in found:
        work.change(each, {"incident": target.id}, why=why)
    return [each.id for each in found]


def register() -> None:
    """Make it known; called when the app is ready."""
    hooks.register_mover("alerts", move)
