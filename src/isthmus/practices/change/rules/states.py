"""The states of a change and what leads from one to the next: a table that a change manager can review."""

from __future__ import annotations

from isthmus.kernel.errors import Conflict

TRANSITIONS: dict[str, dict[str, str]] = {
    "submit": {"new": "assessment"},
    "preauthorise": {"new": "scheduled"},
    "request_approval": {"assessment": "authorisation"},
    "approve": {"authorisation": "scheduled"},
    "refuse": {"authorisation": "assessment"},
    "void": {"authorisation": "assessment", "scheduled": "assessment", "implementation": "implementation"},
    "withdraw": {"scheduled": "new", "implementation": "implementation"},
    "recognise": {
        "new": "scheduled",
        "assessment": "scheduled",
        "authorisation": "scheduled",
        "scheduled": "scheduled",
        "implementation": "implementation",
    },
    "cancelled_there": {
        "new": "cancelled",
        "assessment": "cancelled",
        "authorisation": "cancelled",
        "scheduled": "cancelled",
        "implementation": "review",
    },
    "closed_there": {
        "new": "closed",
        "assessment": "closed",
        "authorisation": "closed",
        "scheduled": "closed",
        "implementation": "closed",
        "review": "closed",
    },
    "start": {"scheduled": "implementation"},
    "implement": {"implementation": "review"},
    "abandon": {"scheduled": "review"},
    "review": {"review": "review"},
    "close": {"review": "closed"},
    "cancel": {
        "new": "cancelled",
        "assessment": "cancelled",
        "authorisation": "cancelled",
        "scheduled": "cancelled",
    },
}
"""action → {state before: state after}. `withdraw`: a standard change edited after its model covered it. `abandon`: authorised, then not done; an emergency is reviewed even so. `recognise`, `cancelled_there`,
`closed_there`: a change raised at a partner, as its authority there has it."""

TERMINAL = frozenset({"closed", "cancelled"})
EDITABLE = frozenset({"new", "assessment", "authorisation", "scheduled"})
"""States in which the content may be edited here; every such edit voids what was approved."""


def after(action: str, state: str) -> str:
    """Return the state after `action`; `Conflict` names what is possible from the present one."""
    found = TRANSITIONS[action].get(state)
    if found is None:
        possible = sorted(each for each, moves in TRANSITIONS.items() if state in moves)
        raise Conflict(
            f"A change in state {state!r} cannot {action.replace('_', ' ')}.",
            remedy=f"Possible now: {', '.join(possible)}."
            if possible
            else "It is finished; raise a new one.",
        )
    return found
