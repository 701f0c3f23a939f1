"""Simple service level targets: by when to respond and to resolve, around the clock, per priority."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from isthmus.kernel.duration import in_words
from isthmus.kernel.instant import Instant
from isthmus.kernel.record import Reason


@dataclass(frozen=True, kw_only=True)
class Target:
    """Microseconds from the opening."""

    respond: int
    resolve: int


def due(
    targets: Mapping[str, Target], priority: str, opened_at: Instant
) -> tuple[Instant | None, Instant | None, Reason | None]:
    """Return (respond_by, resolve_by, reason); None where the priority has no target."""
    target = targets.get(priority)
    if target is None:
        return None, None, None
    text = f"Targets of priority {priority}: respond in {in_words(target.respond)}, resolve in {in_words(target.resolve)}."
    return (
        Instant(opened_at + target.respond),
        Instant(opened_at + target.resolve),
        Reason(rule="incident.targets", text=text),
    )
