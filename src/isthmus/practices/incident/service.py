"""What incident management can be asked to do. Other parts call this and nothing beside it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from isthmus.kernel.record import Reason
from isthmus.ledger.work import Work
from isthmus.practices.incident import loading
from isthmus.practices.incident.comments import comment
from isthmus.practices.incident.comments import of as comments_of
from isthmus.practices.incident.custody import custody_intervals
from isthmus.practices.incident.escalating import escalate
from isthmus.practices.incident.exposure import open_on, promised
from isthmus.practices.incident.gathering import by_keys, takes_alerts
from isthmus.practices.incident.guards import register_guard
from isthmus.practices.incident.hooks import (
    Escalated,
    KnownError,
    Stalled,
    register_escalated,
    register_known_errors,
    register_stalled,
)
from isthmus.practices.incident.lifecycle import (
    absorb,
    close,
    human_work,
    raise_severity,
    reopen,
    resolve,
    set_priority,
    settle,
    update,
)
from isthmus.practices.incident.major import declare_major, hand_over, stand_down
from isthmus.practices.incident.major import require as require_own_trigger
from isthmus.practices.incident.models import Incident
from isthmus.practices.incident.opening import Opening, create, open_from_alerts
from isthmus.practices.incident.rules import states
from isthmus.practices.incident.suspects import check_collisions, judge_suspect, suspects
from isthmus.practices.incident.timeline import TimelineItem, timeline

__all__ = [
    "Escalated",
    "Incident",
    "KnownError",
    "Opening",
    "Stalled",
    "TimelineItem",
    "absorb",
    "blame",
    "by_keys",
    "caused_by",
    "check_collisions",
    "close",
    "comment",
    "comments_of",
    "create",
    "custody_intervals",
    "declare_major",
    "escalate",
    "get",
    "hand_over",
    "human_work",
    "is_open",
    "judge_suspect",
    "load",
    "next_states",
    "open_from_alerts",
    "open_on",
    "promised",
    "raise_severity",
    "register_escalated",
    "register_guard",
    "register_known_errors",
    "register_stalled",
    "reopen",
    "require_own_trigger",
    "resolve",
    "set_priority",
    "settle",
    "stand_down",
    "suspects",
    "takes_alerts",
    "timeline",
    "update",
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


def is_open(incident: Incident) -> bool:
    """Return whether somebody still has to work on it."""
    return incident.state in states.OPEN


def blame(work: Work, incident: Incident, problem: str, why: Sequence[Reason]) -> Incident:
    """Have an incident name the problem that causes it ("" for none). Also a closed one: causes are found late."""
    return work.change(incident, {"problem": problem}, why=why)


def caused_by(organisation: str, problem: str, *, most: int) -> list[Incident]:
    """Return the incidents that name a problem, the newest first."""
    rows = Incident.objects.filter(organisation=organisation, problem=problem).order_by("-id")
    return list(rows[:most])


def next_states(state: str) -> tuple[str, ...]:
    """Return the states that an incident may go to from `state`."""
    return states.TRANSITIONS.get(state, ())
