"""What change enablement can be asked to do. Pages, API and other practices call this and nothing beside it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from isthmus.kernel.calendar import WorkingTime
from isthmus.kernel.instant import HOUR, Instant
from isthmus.ledger import scope
from isthmus.ledger.work import Work
from isthmus.practices.change import (
    calendars,
    drafting,
    freezes,
    lifecycle,
    planning,
    proof,
    schedule,
    submission,
)
from isthmus.practices.change.models import Change, Freeze
from isthmus.practices.change.rules import states
from isthmus.practices.change.schedule import OnPath, Window

HOURS_RECENT = 72
HOPS_MAX = 3

# Raising, editing, assessing ----------------------------------------------------------------------------------

load = drafting.load
"""`load(work, reference)`: a change by id or number, as the instance that this Work goes on with."""
find = drafting.find
create = drafting.create
update = drafting.update


def assess(work: Work, change: Change) -> Change:
    """Write the impact report and the risk, from the map as it is."""
    return drafting.assess(work, change, proof.section())


def report_outdated(change: Change) -> bool:
    """Return whether the impact report is missing, or the map has changed since."""
    return drafting.outdated(
        change.impact_report, list(change.cis or []), change.organisation, by=proof.section().outdated_by
    )


# The way of a change ------------------------------------------------------------------------------------------

submit = submission.submit
request_approval = lifecycle.request_approval
start = lifecycle.start
implement = lifecycle.implement
review = lifecycle.review
close = lifecycle.close
cancel = lifecycle.cancel


def approve(work: Work, change: Change, *, comment: str = "") -> Change:
    """Approve as the actor; `RefusedDecision` (403) for the requester and for whoever lacks the authority."""
    return lifecycle.decide(work, change, "approved", comment=comment)


def refuse(work: Work, change: Change, *, comment: str = "") -> Change:
    """Refuse as the actor."""
    return lifecycle.decide(work, change, "refused", comment=comment)


def next_actions(state: str) -> tuple[str, ...]:
    """Return what can be done with a change in this state, for buttons and messages."""
    return tuple(
        action for action, moves in states.TRANSITIONS.items() if state in moves and action not in _INNER
    )


_INNER = frozenset(
    {"preauthorise", "void", "withdraw", "abandon", "recognise", "cancelled_there", "closed_there"}
)

# Calendar -----------------------------------------------------------------------------------------------------

calendar = planning.calendar
next_slot = planning.next_slot


def create_freeze(work: Work, values: Mapping[str, Any], *, organisation: str, source: str = "") -> Freeze:
    """Set a freeze or a peak; see `freezes.create`."""
    return freezes.create(work, values, organisation=organisation, source=source)


def cancel_freeze(work: Work, freeze: Freeze, why: str = "") -> Freeze:
    """Lift a freeze before its time."""
    return freezes.cancel(work, freeze, why)


def windows_covering(ci: str, now: Instant, *, organisation: str = "") -> list[Window]:
    """Return the authorised windows that cover an item now: of changes on it, or on what it depends on.

    Only what entries call approved counts: an unauthorised change suppresses nothing.
    """
    return [
        window
        for each in _organisations(organisation)
        for window in schedule.current(each, now).covering(ci, now)
    ]


def recent_on_path(
    ci_ids: Iterable[str],
    now: Instant,
    *,
    organisation: str = "",
    hours: int = HOURS_RECENT,
    hops: int = HOPS_MAX,
    since: Instant | None = None,
) -> list[OnPath]:
    """Return pending and recent changes on the items or at most `hops` upstream, the nearest first.

    Recent: ended within `hours` (or after `since`). Each says how far, where and when.
    """
    after = Instant(now - hours * HOUR) if since is None else since
    wanted = list(ci_ids)
    found = [
        near
        for each in _organisations(organisation)
        for near in schedule.current(each, now).on_path(wanted, now, since=after, hops=hops)
    ]
    return sorted(found, key=lambda each: (each.hops, -each.at))


def working_time(name: str) -> WorkingTime:
    """Return a named calendar of the blueprint ("" and `24x7`: round the clock)."""
    return calendars.working_time(name)


working_times = calendars.working_times
"""`working_times(parsed)`: every calendar of a blueprint by name."""


def _organisations(organisation: str) -> list[str]:
    if organisation:
        return [organisation]
    visible = scope.current()
    if visible is not None:
        return sorted(visible)
    return sorted(set(Change.objects.values_list("organisation", flat=True).distinct()))
