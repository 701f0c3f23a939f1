"""The wait for a cause: alerts are kept back a few seconds, and decided together when the wait is over.

All alerts of an organisation whose wait ends within one second share one wait, so that a storm of new alerts
costs one row per second and not one per alert. What waits is in the alerts themselves (`decision`,
`waits_until`): a process that dies loses nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from isthmus.hub import due
from isthmus.hub.models import Due
from isthmus.kernel.instant import SECOND, Instant
from isthmus.kernel.record import Reason
from isthmus.ledger.work import Work
from isthmus.practices.incident.loading import chunks
from isthmus.practices.monitoring import index
from isthmus.practices.monitoring.models import Alert
from isthmus.practices.monitoring.rules.groups import WAITING
from isthmus.practices.monitoring.surroundings import Surroundings

WAIT: Final = "monitoring.wait"
AT_ONCE: Final = 500
"""Most alerts that are decided in one Work; the rest follows at once."""


@dataclass(frozen=True, kw_only=True)
class _Cleared:
    values: dict[str, Any]
    reason: Reason


_TEXT: Final = "It cleared before its wait for a cause was over: no incident."
CLEARED: Final = _Cleared(
    values={"decision": "cleared_while_waiting", "decision_reason": _TEXT, "waits_until": None},
    reason=Reason(rule="monitoring.correlation.wait", text=_TEXT),
)
"""What becomes of an alert that clears while it waits, as with the group wait of Alertmanager."""


def until(now: Instant, wait: int) -> Instant:
    """Return when a wait that begins now is over: the next full second."""
    return Instant(-(-(now + wait) // SECOND) * SECOND)


def begin(work: Work, organisation: str, at: Instant) -> None:
    """Have what waits decided at `at`."""
    due.schedule(work, WAIT, organisation, at, organisation=organisation, key=str(at // SECOND))


def ended(work: Work, row: Due, now: Instant, around: Surroundings) -> list[Alert]:
    """Return the alerts whose wait is over, and the waiting ones that may be their causes.

    The wait of an outage begins with its first alert: a cause that waits itself is decided with what waits for it.
    """
    waiting = Alert.objects.filter(organisation=row.organisation, decision=WAITING, open=True)
    over = waiting.filter(waits_until__lte=now).order_by("waits_until", "id")
    identities = list(over.values_list("identity", flat=True)[: AT_ONCE + 1])
    if len(identities) > AT_ONCE:
        due.schedule(work, WAIT, row.subject, now, organisation=row.organisation, key=row.key)
    found = index.load(work, row.organisation, identities[:AT_ONCE])
    front = {each.ci for each in found.values() if each.ci}
    looked: set[str] = set()
    while front:
        looked |= front
        above = {ci for each in front for ci in around.upstream(each)} - looked
        causes: list[str] = []
        for chunk in chunks(above):
            causes += waiting.filter(ci__in=chunk).values_list("identity", flat=True)
        more = index.load(work, row.organisation, set(causes) - found.keys())
        found |= more
        front = {each.ci for each in more.values() if each.ci}
    return [each for each in found.values() if each.decision == WAITING]
