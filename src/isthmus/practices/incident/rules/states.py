"""The state table of an incident: which moves are legal, for people, for the hub and for partners.

`new → in_progress → resolved → closed` is the ordinary way. `closed` and `cancelled` are final: what happens
again afterwards is a new incident. A partner may have fewer states than we have, so a move that it reports
is legal if a way of legal steps leads there.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from typing import Final

from isthmus.kernel.errors import Problem, Rejected

TRANSITIONS: Final[Mapping[str, tuple[str, ...]]] = {
    "new": ("in_progress", "on_hold", "resolved", "cancelled"),
    "in_progress": ("on_hold", "resolved", "cancelled"),
    "on_hold": ("in_progress", "resolved", "cancelled"),
    "resolved": ("in_progress", "closed"),
    "closed": (),
    "cancelled": (),
}
INITIAL: Final = "new"
OPEN: Final = ("new", "in_progress", "on_hold")
"""States in which an incident absorbs alerts and counts as work."""
FINAL: Final = tuple(state for state, following in TRANSITIONS.items() if not following)


def legal(old: str, new: str) -> bool:
    """Return whether one step leads from `old` to `new` (staying is legal)."""
    return old == new or new in TRANSITIONS.get(old, ())


def path(old: str, new: str) -> list[str] | None:
    """Return the shortest way of legal steps (without `old`), or None if there is none."""
    ways: dict[str, list[str]] = {old: []}
    waiting = deque([old])
    while waiting:
        state = waiting.popleft()
        if state == new:
            return ways[state]
        for following in TRANSITIONS.get(state, ()):
            if following not in ways:
                ways[following] = [*ways[state], following]
                waiting.append(following)
    return None


def check(old: str, new: str, *, partner: bool = False) -> list[str]:
    """Return the steps from `old` to `new`; raise `Rejected` naming the legal ones otherwise."""
    steps = path(old, new)
    if steps is None or (len(steps) > 1 and not partner):
        following = ", ".join(TRANSITIONS.get(old, ())) or "none: this state is final"
        raise Rejected(
            f"An incident cannot go from {old} to {new}.",
            remedy=f"Legal next states: {following}.",
            problems=(
                Problem(path="/state", message=f"{old} → {new} is not legal", remedy=f"Legal: {following}."),
            ),
        )
    return steps
