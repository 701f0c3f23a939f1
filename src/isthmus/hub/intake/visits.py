"""What the door fetches for sources that name it: public keys of signatures, links that confirm a subscription.

Everything is bounded, because an unauthenticated request can ask for a key: one flight per URL, few at once, so
many a minute, and a URL that failed rests. The address guard and the client's limits apply; redirects are off.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Mapping
from typing import Final
from urllib.parse import urlsplit

import structlog

from isthmus.connectors.kit.fetching import Fetching
from isthmus.connectors.kit.http import HttpClient
from isthmus.connectors.kit.manifest import Limits
from isthmus.connectors.kit.ports import Context
from isthmus.hub.intake.entrance import Entrance
from isthmus.kernel.errors import IsthmusError

_log = structlog.get_logger(__name__)

KEYS_MAX: Final = 64
FLIGHTS_MAX: Final = 4
A_MINUTE_MAX: Final = 20
FAILED_REST_SECONDS: Final = 30.0
FAILED_MAX: Final = 256
LIMITS: Final = Limits(request_seconds_max=5.0, response_bytes_max=65_536)


class Visits:
    """One per front process, used on its event loop. `keys` are those fetched so far, by URL."""

    def __init__(self) -> None:
        self.keys: dict[str, bytes] = {}
        self._flights: dict[str, asyncio.Task[bytes | None]] = {}
        self._started: deque[float] = deque()
        self._failed: dict[str, float] = {}

    async def fetch_key(self, entrance: Entrance, headers: Mapping[str, str], body: bytes) -> bool:
        """Fetch the key that a request needs; False if the source believes no address, or it does not answer."""
        source = entrance.source
        url = source.key_url(headers, body, entrance.context) if isinstance(source, Fetching) else ""
        if not url:
            return False
        if url in self.keys:
            return True
        found = await self._get(url, entrance.context)
        if found is None:
            return False
        self.keys[url] = found
        while len(self.keys) > KEYS_MAX:
            self.keys.pop(next(iter(self.keys)))
        return True

    async def visit(self, entrance: Entrance, headers: Mapping[str, str], body: bytes) -> bool:
        """Visit the link that an authentic, durable message asks for; True if there is none or it answered."""
        source = entrance.source
        url = source.visit_url(headers, body, entrance.context) if isinstance(source, Fetching) else ""
        return not url or await self._get(url, entrance.context) is not None

    async def _get(self, url: str, context: Context) -> bytes | None:
        """Return what a URL answers, None if it fails; those who want the same wait for the same call."""
        flight = self._flights.get(url)
        if flight is None:
            if not self._may(url):
                return None
            flight = self._flights[url] = asyncio.ensure_future(_fetched(url, context))
            flight.add_done_callback(lambda _: self._flights.pop(url, None))
        # Shielded: a sender who hangs up does not take the answer from the others.
        found = await asyncio.shield(flight)
        if found is None:
            if len(self._failed) >= FAILED_MAX:
                self._failed.clear()
            self._failed[url] = time.monotonic()
        return found

    def _may(self, url: str) -> bool:
        now = time.monotonic()
        if now - self._failed.get(url, -FAILED_REST_SECONDS) < FAILED_REST_SECONDS:
            return False
        while self._started and now - self._started[0] > 60.0:
            self._started.popleft()
        if len(self._started) >= A_MINUTE_MAX or len(self._flights) >= FLIGHTS_MAX:
            return False
        self._started.append(now)
        return True


async def _fetched(url: str, context: Context) -> bytes | None:
    split = urlsplit(url)
    path = f"{split.path or '/'}{'?' if split.query else ''}{split.query}"
    try:
        client = HttpClient(
            f"{split.scheme}://{split.netloc}",
            limits=LIMITS,
            allow_private_addresses=context.allow_private_addresses,
        )
        async with client:
            return (await client.get(path)).body
    except IsthmusError as fault:
        _log.warning("visit_failed", connection=context.connection, host=split.netloc, fault=fault.text)
        return None
