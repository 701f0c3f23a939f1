"""The states of a problem and of a known error: two tables that a problem manager can review."""

from __future__ import annotations

from typing import Final

from isthmus.kernel.errors import Conflict

INITIAL: Final = "new"
MOVES: Final[dict[str, dict[str, str]]] = {
    "assess": {"new": "assessed"},
    "find_cause": {
        "new": "root_cause_known",
        "assessed": "root_cause_known",
        "root_cause_known": "root_cause_known",
    },
    "resolve": {"assessed": "resolved", "root_cause_known": "resolved"},
    "close": {"resolved": "closed"},
    "reopen": {"resolved": "assessed"},
    "cancel": {"new": "cancelled", "assessed": "cancelled", "root_cause_known": "cancelled"},
}
"""move → {state before: state after}. `find_cause` may be said again: what is known of a cause grows."""
FINAL: Final = frozenset({"closed", "cancelled"})
OPEN: Final = ("new", "assessed", "root_cause_known")

KNOWN_ERROR_MOVES: Final[dict[str, dict[str, str]]] = {
    "publish": {"draft": "published", "retired": "published"},
    "retire": {"draft": "retired", "published": "retired"},
}
"""move → {state before: state after}, of a known error. One that returns is published again."""


def after(move: str, state: str) -> str:
    """Return the state of a problem after `move`; `Conflict` names what is possible from the present one."""
    return _after(MOVES, move, state, "A problem")


def known_error_after(move: str, state: str) -> str:
    """Return the state of a known error after `move`."""
    return _after(KNOWN_ERROR_MOVES, move, state, "A known error")


def possible(state: str) -> tuple[str, ...]:
    """Return the moves that a problem in `state` may make, for buttons and messages."""
    return tuple(move for move, moves in MOVES.items() if state in moves)


def known_error_possible(state: str) -> tuple[str, ...]:
    """Return the moves that a known error in `state` may make."""
    return tuple(move for move, moves in KNOWN_ERROR_MOVES.items() if state in moves)


def _after(table: dict[str, dict[str, str]], move: str, state: str, what: str) -> str:
    found = table[move].get(state)
    if found is None:
        others = sorted(each for each, moves in table.items() if state in moves)
        raise Conflict(
            f"{what} in state {state!r} cannot {move.replace('_', ' ')}.",
            remedy=f"Possible now: {', '.join(others)}." if others else "It is finished.",
        )
    return found
