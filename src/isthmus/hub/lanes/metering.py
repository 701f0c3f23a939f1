"""A client that keeps the lane's terms: every request takes its turn in the bucket and waits out a `Retry-After`,
every verb is bounded."""

from __future__ import annotations

import asyncio
from typing import Any

from isthmus.connectors.kit import pacing
from isthmus.connectors.kit.ports import TicketSystem
from isthmus.hub.lanes.terms import Terms
from isthmus.kernel.errors import IsthmusError, Retryable, UnknownOutcome
from isthmus.kernel.instant import SECOND
from isthmus.ledger.ids import source

_READS = frozenset({"read", "find", "comments", "attachments", "fetch"})
_PURE = frozenset({"mappings", "path", "close"})


class Metered:
    """Stands before a client. Waiting for a turn does not count as the partner's time: a request that never
    left has no unknown outcome."""

    def __init__(self, client: TicketSystem, terms: Terms, seconds_max: float) -> None:
        self._client, self._terms, self._seconds_max = client, terms, seconds_max

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._client, name)
        if name in _PURE:
            return found

        async def call(*args: Any, **more: Any) -> Any:
            try:
                async with asyncio.timeout(self._seconds_max) as limit:
                    pacing.pace(_Turns(self._terms, limit))
                    return await found(*args, **more)
            except IsthmusError as fault:
                # At once, not when the result is recorded: other calls of this lane are about to go out.
                self._terms.hold(getattr(fault, "after_seconds", None))
                raise
            except TimeoutError:
                kind = Retryable if name in _READS else UnknownOutcome
                raise kind(
                    f"No answer within {self._seconds_max:g} s.",
                    remedy="A write is looked up before it is repeated; if it stays, ask the partner's operator.",
                ) from None

        return call


class _Turns:
    """Hands out the turns of one verb, and gives the time spent waiting back to its limit."""

    def __init__(self, terms: Terms, limit: asyncio.Timeout) -> None:
        self._terms, self._limit = terms, limit

    async def __call__(self) -> None:
        now = source.now()
        await self._wait((self._terms.bucket.reserve(now) - now) / SECOND)
        while (left := (self._terms.hold_until - source.now()) / SECOND) > 0:
            await self._wait(left)

    async def _wait(self, seconds: float) -> None:
        if seconds <= 0:
            return
        until = self._limit.when()
        if until is not None:
            self._limit.reschedule(until + seconds)
        await asyncio.sleep(seconds)
