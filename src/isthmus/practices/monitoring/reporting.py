"""Work notes on an incident about its alerts: which joined (once per interval), what still fires (repeated).

The notes are the hub's own comments, so that they reach every linked system and count as nobody's work.
"""

from __future__ import annotations

from typing import Any, Final

from isthmus.hub import due
from isthmus.hub.models import Due
from isthmus.kernel.instant import Instant
from isthmus.kernel.kinds.incident import INCIDENT_STATES
from isthmus.kernel.record import Reason
from isthmus.ledger.work import Work
from isthmus.practices.incident import service as incidents
from isthmus.practices.monitoring import plan as plans
from isthmus.practices.monitoring.models import Alert

JOINED: Final = "monitoring.joined"
STILL: Final = "monitoring.still"
NAMED_MAX: Final = 10
COUNTED_MAX: Final = 1_000
_OPEN: Final = INCIDENT_STATES[:3]


def joined(work: Work, plan: plans.Plan, incident: Any) -> None:
    """Have the incident told about further alerts when the interval is over; more of them share that note."""
    interval, _ = plan.reports
    if interval:
        at = Instant(-(-(work.now + 1) // interval) * interval)
        due.schedule(work, JOINED, incident.id, at, organisation=incident.organisation, key=str(at))


def opened(work: Work, plan: plans.Plan, incident: Any) -> None:
    """Have the incident reminded of what still fires."""
    _, repeat = plan.reports
    if repeat:
        due.schedule(work, STILL, incident.id, Instant(work.now + repeat), organisation=incident.organisation)


def tell_joined(work: Work, row: Due, _now: Instant) -> None:
    """Write which alerts joined in the interval that is over."""
    incident = incidents.load(work, [row.subject]).get(row.subject)
    interval, _ = plans.current().reports
    if incident is None or incident.state not in _OPEN or not interval:
        return
    since = int(row.key) - interval
    rows = Alert.objects.filter(
        organisation=incident.organisation,
        incident=incident.id,
        created_at__gte=since,
        created_at__lt=int(row.key),
    ).exclude(decision="opened")
    names = list(rows.order_by("id").values_list("summary", flat=True)[:COUNTED_MAX])
    if names:
        _note(work, incident, f"{len(names)} further alert(s) joined: {_listed(names)}", "joined")


def tell_still(work: Work, row: Due, now: Instant) -> None:
    """Write what still fires, and come again."""
    incident = incidents.load(work, [row.subject]).get(row.subject)
    _, repeat = plans.current().reports
    if incident is None or incident.state not in _OPEN or not repeat:
        return
    rows = Alert.objects.filter(
        organisation=incident.organisation, incident=incident.id, open=True, state="firing"
    )
    names = list(rows.order_by("id").values_list("summary", flat=True)[:COUNTED_MAX])
    if names:
        _note(work, incident, f"{len(names)} alert(s) still fire: {_listed(names)}", "still")
        due.schedule(work, STILL, incident.id, Instant(now + repeat), organisation=incident.organisation)


def _listed(names: list[str]) -> str:
    shown = "; ".join(names[:NAMED_MAX])
    more = len(names) - NAMED_MAX
    return f"{shown}; and {more} more" if more > 0 else shown


def _note(work: Work, incident: Any, text: str, rule: str) -> None:
    why = [Reason(rule=f"monitoring.report.{rule}", text="The blueprint has it reported.")]
    incidents.comment(work, incident, text, author_label="Isthmus", why=why)


def register() -> None:
    """Make the handlers known; called when the app is ready."""
    due.register(JOINED, tell_joined)
    due.register(STILL, tell_still)
