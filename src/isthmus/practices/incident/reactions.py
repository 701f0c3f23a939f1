"""What incident management does by itself, and what it makes of tickets that partners hold."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from isthmus.hub import due
from isthmus.hub.models import Due
from isthmus.hub.sync import synced
from isthmus.kernel.instant import DAY, Instant
from isthmus.kernel.kinds.incident import INCIDENT
from isthmus.kernel.record import Reason
from isthmus.ledger.work import Work
from isthmus.practices.incident import forwarding, guards, lifecycle, loading, opening, reviewing, waits
from isthmus.practices.incident.models import Incident
from isthmus.practices.incident.rules import states


def close_in_time(work: Work, row: Due, now: Instant) -> None:
    """Close an incident that has been resolved long enough; one that was reopened stays open."""
    found = loading.many(work, Incident, [row.subject]).get(row.subject)
    if found is not None and found.state == "resolved":
        if guards.held_against(found, "closed"):
            # Nobody is told daily: the incident stays resolved until what holds it is finished.
            later = Instant(now + DAY)
            due.schedule(work, lifecycle.CLOSE, found.id, later, organisation=found.organisation)
            return
        text = "Resolved long enough without anybody reopening it."
        lifecycle.close(
            work,
            found,
            why=[
                Reason(rule="incident.close", text=text, facts={"resolved_at": found.resolved_at, "now": now})
            ],
        )


def apply_merged(
    work: Work,
    record: Incident,
    values: Mapping[str, Any],
    why: Sequence[Reason],
    occurred_at: Instant | None,
) -> None:
    """Write what a merge took from a partner, with what follows from a new state."""
    lifecycle.update(work, record, values, why=why, occurred_at=occurred_at, partner=True)
    connection = next((str(each.facts["connection"]) for each in why if each.facts.get("connection")), "")
    if connection:
        forwarding.partner_said(work, record, connection, values)
        said = ", ".join(name.replace("_", " ") for name in values)
        waits.partner_moved(work, record, connection, f"{connection} changed {said}.")


def adopt(
    work: Work, _model: type[Incident], organisation: str, values: Mapping[str, Any], why: Sequence[Reason],
    occurred_at: Instant | None, cause: str, trace: str,
) -> Incident:  # fmt: skip
    """Make an incident of a ticket that was opened at a partner."""
    return opening.adopt(
        work, organisation, values, why=why, occurred_at=occurred_at, cause=cause, trace=trace
    )


def legal(part: str, before: Any, after: Any) -> bool:
    """Return whether the state table lets a merged state follow; other parts are free."""
    if part not in {"state", INCIDENT.by_name["state"].group}:
        return True
    old, new = _state(before), _state(after)
    return not old or not new or states.path(old, new) is not None


def _state(value: Any) -> str:
    """Return the state inside a merged part: the part itself, or a member of its group."""
    held = value.get("state", "") if isinstance(value, Mapping) else value
    return held if isinstance(held, str) and held in states.TRANSITIONS else ""


def register() -> None:
    """Make the reactions known; called when the app is ready."""
    synced.register("incident", apply=apply_merged, create=adopt, legal=legal)
    due.register(lifecycle.CLOSE, close_in_time)
    forwarding.register()
    reviewing.register()
    waits.register()
