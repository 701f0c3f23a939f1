"""Simple service level targets: by when to respond and to resolve, around the clock, per priority."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from isthmus.kernel.instant import MINUTE, Instant
from isthmus.kernel.record import Reason


@dataclass(frozen=True, kw_only=True)
class Target:
    respond_minutes: int
    resolve_minutes: int


def due(
    targets: Mapping[str, Target], priority: str, opened_at: Instant
) -> tuple[Instant | None, Instant | None, Reason | None]:
    """Return (respond_by, resolve_by, reason); None where the priority has no target."""
    target = targets.get(priority)
    if target is None:
        return None, None, None
    text = f"Targets of priority {priority}: respond in {target.respond_minutes} min, resolve in {target.resolve_minutes} min."
    return (
        Instant(opened_at + target.respond_minutes * MINUTE),
        Instant(opened_at + target.resolve_minutes * MINUTE),
        Reason(rule="incident.targets", text=text),
    )
