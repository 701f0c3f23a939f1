"""What incident management can be asked to do. Other parts call this and nothing beside it."""

from __future__ import annotations

from collections.abc import Iterable

from isthmus import blueprint
from isthmus.kernel.duration import microseconds
from isthmus.kernel.instant import Instant
from isthmus.ledger.work import Work
from isthmus.practices.incident import loading
from isthmus.practices.incident.comments import comment
from isthmus.practices.incident.comments import of as comments_of
from isthmus.practices.incident.lifecycle import (
    absorb,
    by_keys,
    close,
    human_work,
    raise_severity,
    reopen,
    resolve,
    set_priority,
    settle,
    update,
)
from isthmus.practices.incident.major import declare_major, hand_over, require_trigger, stand_down
from isthmus.practices.incident.models import Incident
from isthmus.practices.incident.opening import Opening, create, open_from_alerts
from isthmus.practices.incident.rules import states
from isthmus.practices.incident.suspects import check_collisions, judge_suspect, suspects
from isthmus.practices.incident.timeline import TimelineItem, timeline

__all__ = [
    "Incident", "Opening", "TimelineItem", "absorb", "by_keys", "check_collisions", "close", "comment", "comments_of", "create",
    "declare_major", "get", "hand_over", "human_work", "judge_suspect", "load", "next_states", "open_from_alerts", "raise_severity", "reopen",
    "require_trigger", "resolve", "set_priority", "settle", "stand_down", "suspects", "takes_alerts", "timeline", "update",
]  # fmt: skip


def load(work: Work, ids: Iterable[str]) -> dict[str, Incident]:
    """Return incidents by id, as this Work holds them."""
    return loading.many(work, Incident, ids)


def get(work: Work, reference: str) -> Incident:
    """Return an incident by id or number; raise `NotFound`."""
    if reference.startswith("INC-"):
        found = Incident.objects.filter(number=reference).values_list("id", flat=True).first()
        reference = found or reference
    return loading.one(work, Incident, reference)


def takes_alerts(incident: Incident, now: Instant) -> bool:
    """Return whether alerts may still go into an incident: open, or resolved a short time ago; never closed."""
    if incident.state in states.OPEN:
        return True
    within = microseconds(blueprint.current().section("incident").reopen_within)
    return incident.state == "resolved" and (incident.resolved_at or 0) >= now - within


def next_states(state: str) -> tuple[str, ...]:
    """Return the states that an incident may go to from `state`."""
    return states.TRANSITIONS.get(state, ())
