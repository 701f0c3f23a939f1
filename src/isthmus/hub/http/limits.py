"""How often one caller may call: a token bucket per actor and process, told in headers.

The numbers are generous for people and tools; they exist so that one runaway script cannot starve pages.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from threading import Lock
from typing import Final

from django.http import HttpResponse

from isthmus.hub.http.problems import TooManyRequests
from isthmus.kernel.instant import SECOND, Instant

BURST_MAX: Final = 600
PER_SECOND: Final = 50
_CALLERS_MAX: Final = 10_000


@dataclass
class _Bucket:
    tokens: float
    at: Instant


@dataclass(frozen=True, kw_only=True)
class Remaining:
    tokens: int
    full_in_seconds: int

    def stamp(self, response: HttpResponse) -> None:
        response["RateLimit-Limit"] = str(BURST_MAX)
        response["RateLimit-Remaining"] = str(self.tokens)
        response["RateLimit-Reset"] = str(self.full_in_seconds)


class Limiter:
    """Buckets of the callers seen lately; the one unused for longest is forgotten first."""

    def __init__(self, *, burst: int = BURST_MAX, per_second: float = PER_SECOND) -> None:
        self._burst = burst
        self._per_second = per_second
        self._buckets: OrderedDict[str, _Bucket] = OrderedDict()
        self._lock = Lock()

    def take(self, who: str, now: Instant) -> Remaining:
        """Use one token of `who`, or raise `TooManyRequests`."""
        with self._lock:
            bucket = self._buckets.pop(who, None) or _Bucket(float(self._burst), now)
            passed = max(0, now - bucket.at) / SECOND
            bucket.tokens = min(float(self._burst), bucket.tokens + passed * self._per_second)
            bucket.at = now
            self._buckets[who] = bucket
            if len(self._buckets) > _CALLERS_MAX:
                self._buckets.popitem(last=False)
            if bucket.tokens < 1:
                raise TooManyRequests(
                    f"More than {self._per_second:g} calls a second.",
                    remedy="Wait as long as Retry-After says.",
                    after_seconds=(1 - bucket.tokens) / self._per_second,
                )
            bucket.tokens -= 1
            full = round((self._burst - bucket.tokens) / self._per_second)
            return Remaining(tokens=int(bucket.tokens), full_in_seconds=full)


limiter = Limiter()
