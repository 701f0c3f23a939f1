"""Changes that may have caused an incident: found on the path of the map, judged by people.

Also the collision check of recurring incidents: which changes are pending or recent around the item, with
the items that were searched, put on record before anybody diagnoses.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from isthmus.kernel.duration import microseconds
from isthmus.kernel.errors import Problem, Rejected
from isthmus.kernel.instant import DAY, Instant
from isthmus.kernel.record import Reason
from isthmus.ledger.work import Work
from isthmus.practices.configuration import service as configuration
from isthmus.practices.incident.models import Incident, Suspect
from isthmus.practices.incident.nearby import ChangesNear

if TYPE_CHECKING:
    from isthmus.practices.incident.blueprint import IncidentSection

VERDICTS = ("proposed", "confirmed", "cleared")
SUSPECTS_MAX = 20
"""Most suspects of one incident, the nearest first."""


def find(
    organisation: str, places: Iterable[tuple[str, str]], now: Instant, section: IncidentSection
) -> dict[str, list[Any]]:
    """Return recent and pending changes on the path of each place (item, or service without one), nearest first."""
    near = ChangesNear(organisation, now)
    span = microseconds(section.suspects_within)
    return {
        start: _on_path(organisation, start, now, span)[:SUSPECTS_MAX]
        for start in {ci or service for ci, service in places} - {""}
        if near.on_path(start)
    }


def propose(work: Work, incident: Incident, found: Sequence[Any]) -> None:
    """Put changes that were found near an incident on its list."""
    for each in found:
        work.create(
            Suspect,
            organisation=incident.organisation,
            values={
                "incident": incident.id,
                "change": each.change,
                "hops": each.hops,
                "reason": each.reason,
                "verdict": "proposed",
            },
            why=[
                Reason(
                    rule="incident.suspects",
                    text=each.reason,
                    facts={"change": each.number, "hops": each.hops},
                )
            ],
            trace=incident.trace,
        )


def _on_path(organisation: str, ci: str, now: Instant, span: int) -> list[Any]:
    # Change enablement looks at incidents too: the import must wait until both are there.
    from isthmus.practices.change import service as change

    found = change.recent_on_path([ci], now, organisation=organisation, since=Instant(now - span))
    return sorted(found, key=lambda each: (each.hops, each.number))


def suspects(incident: Incident) -> list[Suspect]:
    """Return the suspects of an incident, the nearest first."""
    return list(
        Suspect.objects.filter(organisation=incident.organisation, incident=incident.id).order_by(
            "hops", "id"
        )
    )


def judge_suspect(work: Work, suspect: Suspect, verdict: str, *, reason: str = "") -> Suspect:
    """Confirm a change as the cause, or clear it."""
    if verdict not in VERDICTS:
        raise Rejected(
            f"{verdict!r} is not a verdict.",
            problems=(Problem(path="/verdict", message="unknown", remedy=f"Use {', '.join(VERDICTS)}."),),
        )
    text = f"Judged {verdict} by {work.actor.label or work.actor.id}. {reason}".strip()
    return work.change(
        suspect, {"verdict": verdict}, why=[Reason(rule="incident.suspects.verdict", text=text)]
    )


def check_collisions(work: Work, incident: Incident, *, days: int = 30) -> Incident:
    """Search for changes around the incident's item and record what was searched and found.

    The record says `none found` with the items searched, or names each change with its distance.
    """
    start = incident.ci or incident.service
    graph = configuration.snapshot_of(incident.organisation).graph
    searched = sorted({start, *graph.upstream([start])}) if start else []
    found = _on_path(incident.organisation, start, work.now, days * DAY) if start else []
    held = {suspect.change for suspect in suspects(incident)}
    for each in found[:SUSPECTS_MAX]:
        if each.change not in held:
            work.create(
                Suspect,
                organisation=incident.organisation,
                values={
                    "incident": incident.id,
                    "change": each.change,
                    "hops": each.hops,
                    "reason": each.reason,
                    "verdict": "proposed",
                },
                why=[Reason(rule="incident.suspects", text=each.reason)],
            )
    numbers = [each.number for each in found]
    result = ", ".join(numbers) if numbers else "none found"
    before = incident.collision_checked or {}
    checked = {
        **before,
        "checked_at": work.now,
        "checked_by": work.actor.id,
        "cis_searched": searched,
        "graph_version": graph.version,
        "changes": numbers,
        "result": result,
    }
    text = f"Collision check over {len(searched)} item(s): {result}."
    return work.change(
        incident, {"collision_checked": checked}, why=[Reason(rule="incident.collision_check", text=text)]
    )
