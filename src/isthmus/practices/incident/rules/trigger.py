"""Who owns the workflow triggers of a major incident, so that two desks do not fire the same one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

TRIGGERS: Final[Mapping[str, str]] = {
    "assign": "give it to another group or person",
    "prioritise": "change impact, urgency or priority",
    "escalate": "escalate it",
    "forward": "forward it to another desk",
    "merge": "merge or split it",
    "communicate": "tell those concerned",
    "emergency_change": "raise an emergency change for it",
    "resolve": "declare the service restored",
    "reopen": "take it up again",
    "close": "close or cancel it",
    "stand_down": "end the major incident",
}
"""Every workflow trigger, with what it does."""


def matrix(declared: Mapping[str, str], owner: str) -> dict[str, str]:
    """Return trigger → desk: what the blueprint declares, the owner of the major incident for the rest."""
    return {name: declared.get(name) or owner for name in TRIGGERS}


def fired_by(before: Mapping[str, Any], values: Mapping[str, Any]) -> list[str]:
    """Return the triggers that a change of fields fires, in their order."""
    changed = {name for name, value in values.items() if before.get(name) != value}
    fired = set()
    if changed & {"assignment_group", "assignee"}:
        fired.add("assign")
    if changed & {"impact", "urgency", "priority"}:
        fired.add("prioritise")
    if "state" in changed:
        new = values["state"]
        if new == "resolved":
            fired.add("resolve")
        elif new in {"closed", "cancelled"}:
            fired.add("close")
        elif before.get("state") == "resolved":
            fired.add("reopen")
    return [name for name in TRIGGERS if name in fired]
