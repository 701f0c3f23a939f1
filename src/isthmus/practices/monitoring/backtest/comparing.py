"""Two replays of the same events, compared: which incidents are the same, which are not. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from isthmus.practices.monitoring.backtest.shapes import (
    ALERTS_SHOWN_MAX,
    INCIDENTS_SHOWN_MAX,
    Made,
    Shown,
    Side,
)

NAMES = ("same", "only_in_force", "only_candidate", "regrouped")


def compare(in_force: Side, candidate: Side) -> dict[str, Any]:
    """Return the difference: incidents with equal alerts are the same; those that share some of them are regrouped."""
    after: dict[frozenset[str], list[Made]] = defaultdict(list)
    for each in candidate.incidents:
        after[frozenset(each.alerts)].append(each)
    same: list[Made] = []
    before: list[Made] = []
    for each in in_force.incidents:
        twins = after[frozenset(each.alerts)]
        if twins:
            same.append(twins.pop(0))
        else:
            before.append(each)
    groups = _connected(before, [each for left in after.values() for each in left])
    found: dict[str, list[Any]] = {
        "same": [incident_out(each, candidate.alerts) for each in same],
        "only_in_force": [
            incident_out(each, in_force.alerts) for old, new in groups if not new for each in old
        ],
        "only_candidate": [
            incident_out(each, candidate.alerts) for old, new in groups if not old for each in new
        ],
        "regrouped": [
            {
                "before": [incident_out(each, in_force.alerts) for each in old[:INCIDENTS_SHOWN_MAX]],
                "after": [incident_out(each, candidate.alerts) for each in new[:INCIDENTS_SHOWN_MAX]],
            }
            for old, new in groups
            if old and new
        ],
    }
    return {
        "counts": {
            "in_force": len(in_force.incidents),
            "candidate": len(candidate.incidents),
            **{name: len(found[name]) for name in NAMES},
        },
        "decisions": {"in_force": in_force.decisions, "candidate": candidate.decisions},
        "alerts": {"in_force": len(in_force.alerts), "candidate": len(candidate.alerts)},
        "events": in_force.events,
        "left_out": sum(max(0, len(each) - INCIDENTS_SHOWN_MAX) for each in found.values()),
        "faults": sorted({*in_force.faults, *candidate.faults}),
        **{name: found[name][:INCIDENTS_SHOWN_MAX] for name in NAMES},
    }


def _connected(before: Sequence[Made], after: Sequence[Made]) -> list[tuple[list[Made], list[Made]]]:
    """Return groups of incidents, of both sides, that are linked by shared alerts; in the order of opening."""
    everything = [(0, each) for each in before] + [(1, each) for each in after]
    holders: dict[str, list[int]] = defaultdict(list)
    for place, (_, each) in enumerate(everything):
        for alert in each.alerts:
            holders[alert].append(place)
    seen: set[int] = set()
    found: list[tuple[list[Made], list[Made]]] = []
    for start in range(len(everything)):
        if start in seen:
            continue
        seen.add(start)
        waiting, members = [start], []
        while waiting:
            place = waiting.pop()
            members.append(place)
            near = {other for alert in everything[place][1].alerts for other in holders[alert]} - seen
            seen |= near
            waiting += sorted(near)
        sides: tuple[list[Made], list[Made]] = ([], [])
        for place in sorted(members):
            sides[everything[place][0]].append(everything[place][1])
        found.append(sides)
    return sorted(found, key=lambda pair: min(each.opened_at for each in [*pair[0], *pair[1]]))


def incident_out(found: Made, alerts: Mapping[str, Shown]) -> dict[str, Any]:
    """Return an incident with its alerts, bounded."""
    shown = [alerts[each] for each in found.alerts if each in alerts]
    return {
        "title": found.title,
        "state": found.state,
        "correlation_key": found.correlation_key,
        "reason": found.reason,
        "opened_at": found.opened_at,
        "resolved_at": found.resolved_at,
        "alert_count": len(found.alerts),
        "alerts": [
            {
                "identity": each.identity,
                "summary": each.summary,
                "connection": each.connection,
                "decision": each.decision,
                "reason": each.reason,
                "starts_at": each.starts_at,
            }
            for each in shown[:ALERTS_SHOWN_MAX]
        ],
    }
