"""The SLA fields of Jira Service Management, as clocks that can be compared with ours.

Such a field is a custom field whose value has a `name`, the `completedCycles` and the `ongoingCycle`: start,
goal, elapsed and remaining time. What is elapsed holds at the read. The times that were counted in between are
not told.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from isthmus.kernel.instant import Instant
from isthmus.kernel.observation import ObservedSlaClock


def clocks(
    fields: Mapping[str, Any], names: Iterable[str], read_at: Instant
) -> tuple[ObservedSlaClock, ...] | None:
    """Return the clocks among these fields; None if none was asked for. What is no SLA field is passed over."""
    asked = list(names)
    if not asked:
        return None
    found = (_clock(name, fields.get(name), read_at) for name in asked)
    return tuple(each for each in found if each is not None)


def _clock(name: str, value: Any, read_at: Instant) -> ObservedSlaClock | None:
    if not isinstance(value, dict):
        return None
    cycle, ended = value.get("ongoingCycle"), False
    if not isinstance(cycle, dict):
        completed = value.get("completedCycles")
        cycle, ended = (completed[-1] if isinstance(completed, list) and completed else None), True
    if not isinstance(cycle, dict):
        return None
    stopped_at = _instant(cycle.get("stopTime"))
    return ObservedSlaClock(
        name=str(value.get("name") or name),
        state="stopped" if ended else "paused" if cycle.get("paused") is True else "running",
        amount=_span(cycle.get("goalDuration")),
        elapsed=_span(cycle.get("elapsedTime")),
        breached=cycle.get("breached") is True,
        started_at=_instant(cycle.get("startTime")),
        stopped_at=stopped_at,
        due_at=_instant(cycle.get("breachTime")),
        at=stopped_at if ended and stopped_at is not None else read_at,
    )


def _span(value: Any) -> int | None:
    milliseconds = value.get("millis") if isinstance(value, dict) else None
    return milliseconds * 1000 if isinstance(milliseconds, int) else None


def _instant(value: Any) -> Instant | None:
    milliseconds = value.get("epochMillis") if isinstance(value, dict) else None
    return Instant(milliseconds * 1000) if isinstance(milliseconds, int) else None
