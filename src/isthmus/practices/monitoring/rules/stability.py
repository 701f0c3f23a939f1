"""Is it really over? When to resolve, when a re-fire is the same incident, when an alert flaps or goes stale."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from isthmus.kernel.instant import DAY, HOUR, MINUTE, Instant

CHANGES_KEPT_MAX: Final = 20


@dataclass(frozen=True, kw_only=True)
class Times:
    """Microseconds: `stable` clear before a resolution, `reopen` after it for the same incident, `grace` after a
    maintenance window, `stale` without any sign of life; flapping is `flap_changes` changes in `flap`."""

    stable: int = 5 * MINUTE
    reopen: int = HOUR
    grace: int = 5 * MINUTE
    stale: int = DAY
    flap: int = 30 * MINUTE
    flap_changes: int = 6


def remember(changes: Sequence[int], at: Instant) -> list[int]:
    """Return the last changes of state with one more."""
    return [*changes, int(at)][-CHANGES_KEPT_MAX:]


def flapping(changes: Sequence[int], now: Instant, times: Times) -> bool:
    """Return whether the alert changed its state too often lately to believe either state."""
    return times.flap_changes > 0 and sum(1 for at in changes if at > now - times.flap) >= times.flap_changes


def settles_at(cleared_at: Instant, changes: Sequence[int], now: Instant, times: Times) -> Instant:
    """Return when a cleared alert counts as over: stable since its last change; a flapping one waits longer."""
    wait = times.flap if flapping(changes, now, times) else times.stable
    return Instant(cleared_at + wait)


def retires_at(cleared_at: Instant, times: Times) -> Instant:
    """Return when the episode ends: from then on the same identity is a new alert."""
    return Instant(cleared_at + times.stable + times.reopen)


def stale(last_seen_at: Instant, now: Instant, times: Times) -> bool:
    """Return whether nothing was heard of a firing alert for so long that it cannot be believed any more.

    Senders lose resolved messages (restarts, network); who receives them has to time them out.
    """
    return times.stale > 0 and last_seen_at <= now - times.stale
