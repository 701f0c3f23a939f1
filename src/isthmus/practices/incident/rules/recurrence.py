"""Recurring incidents: before anybody diagnoses, the changes around the CI are looked at and that is recorded.

The classic mistake with a recurring incident is to diagnose it afresh while a change two hops upstream is
the cause. So the step into `in_progress` is refused until the collision check is on record.
"""

from __future__ import annotations

from isthmus.kernel.errors import Problem, Rejected


def recurring(same_signature: int, threshold: int) -> bool:
    """Return whether the incident is the `threshold`-th (or later) of its signature in the look-back time."""
    return threshold > 0 and same_signature >= threshold


def require_check(*, is_recurring: bool, checked: bool, entering: str) -> None:
    """Refuse to start the diagnosis of a recurring incident whose surroundings nobody looked at."""
    if entering == "in_progress" and is_recurring and not checked:
        raise Rejected(
            "This incident recurs, and nobody has checked it for colliding changes yet.",
            remedy="Run the collision check (it lists pending and recent changes on the path), then start.",
            problems=(
                Problem(path="/state", message="collision check missing", remedy="POST …/collision-check"),
            ),
        )
