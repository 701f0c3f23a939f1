"""Priority = impact (how much is hit) × urgency (how soon it matters), read from an editable table.

Impact comes from the criticality of the service (or CI) and the number of its users; urgency from the worst
severity of its alerts. Worked example: a critical alert on a gold service is impact 1, urgency 1, priority 1;
the same alert on a test service is impact 4, urgency 1, priority 3.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from isthmus.kernel.kinds.incident import LEVELS
from isthmus.kernel.record import Reason

UNKNOWN_IMPACT: Final = "3"


@dataclass(frozen=True, kw_only=True)
class UsersThreshold:
    """From `at_least` users on, impact is at least as high as `impact` (1 is the highest)."""

    at_least: int
    impact: str


@dataclass(frozen=True, kw_only=True)
class Table:
    """`matrix[impact][urgency]` → priority; the other tables give impact and urgency."""

    matrix: Mapping[str, Mapping[str, str]]
    impact_by_criticality: Mapping[str, str]
    urgency_by_severity: Mapping[str, str]
    users: Sequence[UsersThreshold] = ()


@dataclass(frozen=True, kw_only=True)
class Priority:
    impact: str
    urgency: str
    priority: str
    why: tuple[Reason, ...]


def impact_of(table: Table, *, criticality: str, users: int | None) -> tuple[str, str]:
    """Return (impact, the words of its reason). Test services are never raised by their users."""
    impact = table.impact_by_criticality.get(criticality, UNKNOWN_IMPACT)
    text = f"criticality {criticality}" if criticality else "criticality unknown"
    if users is None or criticality == "test":
        return impact, text
    for threshold in sorted(table.users, key=lambda each: each.impact):
        if users >= threshold.at_least and threshold.impact < impact:
            return threshold.impact, f"{text}, raised because {users} users are at least {threshold.at_least}"
    return impact, text


def decide(table: Table, *, criticality: str, users: int | None, severity: str) -> Priority:
    """Return impact, urgency and priority with their reasons."""
    impact, words = impact_of(table, criticality=criticality, users=users)
    urgency = table.urgency_by_severity.get(severity, UNKNOWN_IMPACT)
    priority = table.matrix[impact][urgency]
    text = f"Priority {priority}: impact {impact} ({words}) × urgency {urgency} (severity {severity or 'unknown'})."
    facts = {
        "criticality": criticality,
        "users": users,
        "severity": severity,
        "impact": impact,
        "urgency": urgency,
    }
    return Priority(
        impact=impact,
        urgency=urgency,
        priority=priority,
        why=(Reason(rule="incident.priority", text=text, facts=facts),),
    )


def from_levels(table: Table, impact: str, urgency: str) -> str:
    """Return the priority of given levels."""
    return table.matrix[impact][urgency]


def complete(matrix: Mapping[str, Mapping[str, str]]) -> list[str]:
    """Return the cells (`/impact/urgency`) that are missing or hold no level: a matrix has no holes."""
    return [
        f"/{impact}/{urgency}"
        for impact in LEVELS
        for urgency in LEVELS
        if matrix.get(impact, {}).get(urgency) not in LEVELS
    ]
