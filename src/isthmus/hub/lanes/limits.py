"""What a lane allows itself: calls per minute, calls to a sick partner, waits between attempts. All pure."""

from __future__ import annotations

import bisect
from collections import Counter, deque
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Literal

from isthmus.kernel.instant import MINUTE, SECOND, Instant

WINDOW = MINUTE + 3 * SECOND
"""The window of the rate limit, three seconds longer than promised: a request may reach a busy partner late."""

CALLS_MAX = 20
"""Calls of a lane under way at once; the kit's client keeps as many connections."""

BACKOFF_FIRST = SECOND
BACKOFF_MAX = 15 * MINUTE
BREAKER_FAILURES = 5
BREAKER_COOL_FIRST = 5 * SECOND
BREAKER_COOL_MAX = 5 * MINUTE


@dataclass
class Bucket:
    """At most `per_minute` calls in *any* window of 60 seconds: remembers when each of them went out.

    A refilling bucket would let twice the number through around its refill; this one cannot.
    """

    per_minute: int
    calls: deque[int] = field(default_factory=deque)
    assumed_at: int = -WINDOW

    def next_at(self, now: Instant) -> Instant:
        """Return when the next call may go out: `now` or later."""
        self._forget(now)
        if len(self.calls) < self.per_minute:
            return now
        return Instant(max(int(now), self.calls[len(self.calls) - self.per_minute] + WINDOW))

    def room(self, now: Instant) -> int:
        """Return how many calls may go out at once."""
        self._forget(now)
        return max(0, self.per_minute - len(self.calls))

    def reserve(self, now: Instant) -> Instant:
        """Return when one more call may go out, and count it as made then."""
        at = self.next_at(now)
        if self.calls and at < self.calls[-1]:
            # Turns were given out for later under a smaller allowance.
            bisect.insort(self.calls, int(at))
        else:
            self.calls.append(int(at))
        return at

    def _forget(self, now: Instant) -> None:
        while self.calls and self.calls[0] <= now - WINDOW:
            self.calls.popleft()

    def remember(self, kept: Iterable[int], now: Instant, *, unaccounted: int) -> None:
        """Count in calls of before a restart, or of another process. Those made but not yet noted are assumed, once in
        a window: several ask after a restart."""
        recent = Counter(each for each in kept if each > now - WINDOW)
        if recent:
            spent = recent | Counter(self.calls)
            if now - self.assumed_at >= WINDOW:
                spent[int(now)] += unaccounted
                self.assumed_at = int(now)
            self.calls = deque(sorted(spent.elements()))

    def dump(self) -> list[int]:
        """Return the calls that still count, to be kept over a restart."""
        return list(self.calls)[-self.per_minute :]


BreakerState = Literal["closed", "open", "half_open"]


@dataclass(frozen=True, kw_only=True)
class Breaker:
    """Keeps calls from a partner that fails. Open: none. Half open: one probe at a time."""

    state: BreakerState = "closed"
    failures: int = 0
    until: int = 0
    opened: int = 0

    def permits(self, now: Instant) -> BreakerState:
        """Return what is allowed now; an open breaker becomes half open when its time is over."""
        return "half_open" if self.state == "open" and now >= self.until else self.state

    def succeeded(self) -> Breaker:
        """Return the breaker after an answer, whatever it said: the partner lives."""
        return Breaker()

    def failed(self, now: Instant) -> Breaker:
        """Return the breaker after a call that failed for the partner's sake.

        Only a failed probe lengthens the rest: calls that were already under way when the breaker opened say
        nothing new, and twenty of them at once would keep a healed partner waiting for minutes.
        """
        failures = self.failures + 1
        permitted = self.permits(now)
        if permitted == "open" or (permitted == "closed" and failures < BREAKER_FAILURES):
            return replace(self, failures=failures)
        cool = min(BREAKER_COOL_FIRST * 2 ** min(self.opened, 20), BREAKER_COOL_MAX)
        return Breaker(state="open", failures=failures, until=int(now) + cool, opened=self.opened + 1)


def backoff(attempt: int, jitter: float, *, after_seconds: float | None = None) -> int:
    """Return the microseconds to wait after the `attempt`-th failure in a row (1 is the first).

    Doubles from one second to a quarter of an hour; `jitter` in [0, 1) spreads each wait over its upper
    half, so waits grow and herds part. A `Retry-After` is a lower bound.
    """
    full = min(BACKOFF_FIRST * 2 ** min(attempt - 1, 30), BACKOFF_MAX)
    wait = int(full * (0.5 + jitter / 2))
    return max(wait, int((after_seconds or 0) * SECOND))
