"""Which incident takes the further alerts of a group: at most one per correlation key, known to the store."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from isthmus import blueprint
from isthmus.kernel.duration import microseconds
from isthmus.kernel.instant import Instant
from isthmus.kernel.record import Reason
from isthmus.ledger import rows
from isthmus.ledger.work import Work
from isthmus.practices.incident import loading
from isthmus.practices.incident.models import Incident
from isthmus.practices.incident.rules import states

MERGED_MAX = 10
"""Longest chain of merges that is followed."""


def takes_alerts(incident: Incident, now: Instant) -> bool:
    """Return whether alerts may still go into an incident: open, or resolved a short time ago; never closed."""
    if incident.state in states.OPEN:
        return True
    within = microseconds(blueprint.current().section("incident").reopen_within)
    return incident.state == "resolved" and (incident.resolved_at or 0) >= now - within


def by_keys(work: Work, organisation: str, keys: Iterable[str]) -> dict[str, Incident]:
    """Return, per correlation key, the incident that takes further alerts, if there is one."""
    held = _gathering(work, organisation, keys)
    found = {key: _survivor(work, incident) for key, incident in held.items()}
    return {key: each for key, each in found.items() if takes_alerts(each, work.now)}


def _survivor(work: Work, incident: Incident) -> Incident:
    """Return the incident that a duplicate gathers for: the one at the end of its merges."""
    for _ in range(MERGED_MAX):
        if not incident.merged_into:
            break
        incident = loading.one(work, Incident, incident.merged_into)
    return incident


def make_way(work: Work, organisation: str, keys: Sequence[str]) -> None:
    """Have incidents that gather for these keys take nothing further: new ones are about to do that."""
    for incident in _gathering(work, organisation, keys).values():
        text = "A newer incident of its group takes the further alerts."
        work.change(incident, {"gathering": False}, why=[Reason(rule="incident.gathering", text=text)])


def _gathering(work: Work, organisation: str, keys: Iterable[str]) -> dict[str, Incident]:
    wanted = set(keys) - {""}
    found: dict[str, Incident] = {}
    stored = rows.instances(
        Incident, "correlation_key", list(wanted), organisation=organisation, gathering=True
    )
    found |= {each.correlation_key: each for each in stored if each.id not in work.pending}
    for pending in work.pending.values():
        record = pending.record
        if (
            isinstance(record, Incident)
            and record.gathering
            and record.organisation == organisation
            and record.correlation_key in wanted
        ):
            found[record.correlation_key] = record
    return found
