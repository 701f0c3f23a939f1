"""The terms of one partner, shared by all that call it from this process: its lane and its polls.

A partner counts requests, not our reasons for them: what a poll spends, the lane may not spend again, and a
`Retry-After` or an open breaker keeps both away.
"""

from __future__ import annotations

import asyncio
from collections.abc import Hashable
from dataclasses import dataclass, field

from isthmus.hub.connections import Connection
from isthmus.hub.lanes.limits import CALLS_MAX, Breaker, Bucket
from isthmus.hub.models import ConnectionState
from isthmus.kernel.errors import Retryable
from isthmus.kernel.instant import SECOND, Instant
from isthmus.ledger.ids import source

HELD_SECONDS_MAX = 60.0


@dataclass
class Terms:
    """`hold_until`: nobody calls before it. `share`: what polls may use of the allowance; the rest is the lane's.
    `restored`: under which lease the spending of other processes, and of those before this one, was counted in."""

    bucket: Bucket
    breaker: Breaker = field(default_factory=Breaker)
    hold_until: int = 0
    restored: Hashable = None
    generation: int = 0
    share: Bucket = field(init=False)

    def __post_init__(self) -> None:
        self.share = Bucket(per_minute=max(1, self.bucket.per_minute // 2))

    def renew(self, per_minute: int, generation: int) -> None:
        """Change what is allowed. A partner does not forget calls, nor a `Retry-After`, because our blueprint changed."""
        self.generation = generation
        self.bucket.per_minute = per_minute
        self.share.per_minute = max(1, per_minute // 2)

    def hold(self, seconds: float | None) -> None:
        """Stay away for the time that the partner asked for."""
        self.hold_until = max(self.hold_until, int(source.now() + (seconds or 0) * SECOND))

    def poll_at(self, now: Instant) -> Instant:
        """Return when a poll may begin: not under a hold, and not while the breaker lets at most probes out."""
        if self.breaker.permits(now) != "closed":
            return Instant(max(int(now) + SECOND, self.breaker.until, self.hold_until))
        return Instant(max(int(now), self.hold_until))

    async def turn(self) -> None:
        """Wait for a turn: before each request of a poll. A poll that reads much must not starve deliveries. Under a long
        hold it ends (`Retryable`) and begins again after it, instead of waiting in the way of others."""
        for bucket in (self.share, self.bucket):
            now = source.now()
            seconds = (bucket.reserve(now) - now) / SECOND
            if seconds > 0:
                await asyncio.sleep(seconds)
        while (left := (self.hold_until - source.now()) / SECOND) > 0:
            if left > HELD_SECONDS_MAX:
                raise Retryable("The partner asked to be left alone.", after_seconds=left)
            await asyncio.sleep(left)


_known: dict[tuple[str, str], Terms] = {}
"""By organisation and connection, for as long as the process lives: between two lanes, before the first and after the
last there are polls, and what they spend counts."""


def of(connection: Connection) -> Terms:
    """Return the terms of a connection. A newer blueprint changes what they allow, an older one does not."""
    limit = connection.entry.limits.requests_per_minute or connection.manifest.limits.requests_per_minute
    found = _known.setdefault(
        (connection.organisation, connection.name), Terms(bucket=Bucket(per_minute=limit))
    )
    if connection.generation > found.generation:
        found.renew(limit, connection.generation)
    return found


def restore(found: Terms, state: ConnectionState, under: Hashable) -> None:
    """Count in what was spent before this process began or while another one drove the lane, and take over an open
    breaker. On the event loop, where calls are counted; `under` is the lease that this happens under."""
    found.bucket.remember([int(each) for each in state.tokens or ()], source.now(), unaccounted=CALLS_MAX)
    if state.breaker == "open":
        found.breaker = Breaker(state="open", failures=state.failures, until=state.breaker_until, opened=1)
    found.restored = under


def forget() -> None:
    """Drop all terms: between tests."""
    _known.clear()
