"""The terms of one partner, shared by all that call it from this process: its lane and its polls.

A partner counts requests, not our reasons for them: what a poll spends, the lane may not spend again, and a
`Retry-After` or an open breaker keeps both away.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from weakref import WeakValueDictionary

from isthmus.hub.lanes.limits import Breaker, Bucket
from isthmus.kernel.instant import SECOND, Instant
from isthmus.ledger.ids import source


@dataclass
class Terms:
    """`hold_until`: nobody calls before it. `share`: what polls may use of the allowance; the rest is the lane's.
    `restored`: what was spent before this process began, or in another one, is counted in."""

    bucket: Bucket
    breaker: Breaker = field(default_factory=Breaker)
    hold_until: int = 0
    restored: bool = False
    share: Bucket = field(init=False)

    def __post_init__(self) -> None:
        self.share = Bucket(per_minute=max(1, self.bucket.per_minute // 2))

    def renew(self, per_minute: int) -> None:
        """Change what is allowed. A partner does not forget calls, nor a `Retry-After`, because our blueprint changed."""
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
        """Wait for a turn: before each request of a poll. A poll that reads much must not starve deliveries."""
        for bucket in (self.share, self.bucket):
            now = source.now()
            seconds = (bucket.reserve(now) - now) / SECOND
            if seconds > 0:
                await asyncio.sleep(seconds)
        while (left := (self.hold_until - source.now()) / SECOND) > 0:  # noqa: ASYNC110 - it may be put off meanwhile
            await asyncio.sleep(left)


_held: WeakValueDictionary[str, Terms] = WeakValueDictionary()
"""The terms that lanes hold; they live as long as somebody holds them."""


def opened(connection: str, per_minute: int, continued: Terms | None = None) -> Terms:
    """Return the terms for the lane that now drives a connection; its polls find them from here on.

    A lane that takes over from another of this process goes on with its very terms: a poll that is under way, or
    begins between the two, counts into them too.
    """
    found = continued or Terms(bucket=Bucket(per_minute=per_minute))
    found.renew(per_minute)
    _held[connection] = found
    return found


def of(connection: str, per_minute: int) -> Terms:
    """Return the terms that a connection's lane holds, or such of its own where none drives it here."""
    return _held.get(connection) or Terms(bucket=Bucket(per_minute=per_minute))
