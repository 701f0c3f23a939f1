"""Escalation of an incident: functional to more expertise, hierarchical to more authority, along a declared path."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from isthmus.kernel.errors import Conflict
from isthmus.kernel.instant import Instant
from isthmus.kernel.record import Reason
from isthmus.practices.incident.rules.assignment import AssignmentRule, Place, fits


@dataclass(frozen=True, kw_only=True)
class Path:
    """`functional`: groups in the order of their expertise; `hierarchical`: who is told at each level."""

    name: str
    functional: tuple[str, ...] = ()
    hierarchical: tuple[str, ...] = ()


def choose(
    rules: Sequence[AssignmentRule], default: str, place: Place, priority: str, now: Instant
) -> tuple[str, Reason | None]:
    """Return the name of the path that the first fitting rule (its `group`) names, with the reason."""
    for rule in rules:
        if fits(rule, place, priority, now):
            text = f"Escalation path {rule.group}, by the rule “{rule.name}”."
            return rule.group, Reason(rule=f"incident.escalation.{rule.name}", text=text)
    if not default:
        return "", None
    text = f"Escalation path {default}: no rule fits."
    return default, Reason(rule="incident.escalation.default", text=text)


def functional(path: Path | None, group: str) -> str:
    """Return the group with more expertise than `group`."""
    if path is None or not path.functional:
        raise Conflict(
            "No escalation path is attached.", remedy="Declare one in `incident.paths` of the blueprint."
        )
    at = path.functional.index(group) + 1 if group in path.functional else 0
    if at >= len(path.functional):
        raise Conflict(
            f"{group} is the last step of the path {path.name}.", remedy="Escalate to more authority instead."
        )
    return path.functional[at]


def hierarchical(path: Path | None, level: int) -> tuple[int, str]:
    """Return the next level of authority and who that is."""
    if path is None or not path.hierarchical:
        raise Conflict(
            "No escalation path is attached.", remedy="Declare one in `incident.paths` of the blueprint."
        )
    if level >= len(path.hierarchical):
        raise Conflict(
            f"{path.hierarchical[-1]} is the highest level of the path {path.name}.",
            remedy="There is nobody above.",
        )
    return level + 1, path.hierarchical[level]
