"""Streams: connections that a partner keeps telling us through, held open and opened again when they break.

What a stream yields enters the intake log exactly as the pages of a poll do. Nothing is stored beside it: what
happened while no stream was open is read anew by the connector when it opens the next one, and the poll of the same
kind stands behind both. A stream that only rings (IMAP's IDLE) has that poll run at once. One stream of a
(connection, kind) is open at a time, fenced by a lease; a stream that breaks is opened again later each time, and at
once only if it had lived for a while.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import TypeVar, cast

import structlog
from asgiref.sync import sync_to_async

from isthmus.connectors.kit import pacing
from isthmus.connectors.kit.ports import Streamer
from isthmus.hub import connections, health, leases, metrics, pages, polling
from isthmus.hub.connections import Connection
from isthmus.hub.intake.log import IntakeLog
from isthmus.hub.lanes.limits import backoff
from isthmus.kernel.actor import Origin, system
from isthmus.kernel.errors import NeedsOperator, Retryable
from isthmus.kernel.instant import SECOND, Instant
from isthmus.ledger import scope
from isthmus.ledger.door import perform
from isthmus.ledger.ids import source
from isthmus.ledger.work import Work

_log = structlog.get_logger(__name__)
T = TypeVar("T")
Key = tuple[str, str]

ACTOR = system("streams")
ORIGIN = Origin(channel="stream")
LEASE_FOR = 20 * SECOND
SETTLED = 60 * SECOND
"""A stream that lived for so long was healthy: when it breaks, it is opened again without waiting long."""
REST_MAX = 120 * SECOND
TEND_SECONDS = 1.0


@dataclass
class _Held:
    """A stream that is open, or was opened and broke. `since`: 0 until its first page."""

    generation: int
    lease: leases.Held
    breaks: int = 0
    since: int = 0
    rest_until: int = 0
    error: Exception | None = None
    noted: bool = False
    task: asyncio.Task[None] = field(init=False)


def kinds_of(connection: Connection) -> list[str]:
    """Return the record kinds that a connection streams; none of one that only receives."""
    if connection.connector.open is None or not connection.entry.streaming:
        return []
    if not connection.config.called:
        return []
    return [each.kind for each in connection.manifest.able() if each.verb == "stream"]


class Streams:
    """The streams of this process. `bell` is rung when something was appended."""

    def __init__(
        self, log: IntakeLog, *, holder: str = "", bell: Callable[[], object] = lambda: None
    ) -> None:
        self._log, self._holder, self._bell = log, holder, bell
        self._held: dict[Key, _Held] = {}

    async def run(self, stop: asyncio.Event) -> None:
        """Tend the streams until `stop`, then close them."""
        try:
            while not stop.is_set():
                try:
                    await self.tend()
                except Exception:  # noqa: BLE001 - streams live as long as the process
                    _log.exception("streams_failed")
                try:
                    await asyncio.wait_for(stop.wait(), TEND_SECONDS)
                except TimeoutError:
                    continue
        finally:
            await self.close()

    async def tend(self) -> None:
        """Open what should be open and is not, close what should not be, note what broke."""
        wanted = await _in_thread(_wanted)
        for key in list(self._held):
            await self._look_at(key, wanted.get(key))
        for key, connection in wanted.items():
            if key not in self._held:
                await self._open(key, connection, breaks=0)

    async def close(self) -> None:
        """Close every stream and give its lease back."""
        for held in self._held.values():
            held.task.cancel()
        await asyncio.gather(*(each.task for each in self._held.values()), return_exceptions=True)
        for key, held in self._held.items():
            metrics.STREAMS_OPEN.labels(key[0]).set(0)
            await _in_thread(partial(leases.drop, held.lease))
        self._held.clear()

    async def _look_at(self, key: Key, connection: Connection | None) -> None:
        held = self._held[key]
        if connection is None or connection.generation != held.generation:
            await self._end(key)
            return
        if held.task.done():
            await self._broken(key, connection)
            return
        if await _in_thread(partial(self._lease, key)) is None:
            _log.warning("stream_lease_lost", connection=key[0], kind=key[1])
            await self._end(key)

    async def _open(self, key: Key, connection: Connection, *, breaks: int) -> None:
        lease = await _in_thread(partial(self._lease, key))
        if lease is None:
            return  # Another process holds this stream.
        held = self._held[key] = _Held(generation=connection.generation, lease=lease, breaks=breaks)
        held.task = asyncio.create_task(self._follow(key, connection, held))

    async def _broken(self, key: Key, connection: Connection) -> None:
        """Note once why a stream broke, wait, and open it again."""
        held, now = self._held[key], source.now()
        if not held.noted:
            held.noted = True
            fault = held.error or Retryable("The stream ended.", remedy="It is opened again by itself.")
            lived = held.since and now - held.since >= SETTLED
            held.breaks = 1 if lived else held.breaks + 1
            held.rest_until = now + _rest(fault, held.breaks)
            metrics.STREAM_BREAKS.labels(key[0]).inc()
            metrics.STREAMS_OPEN.labels(key[0]).set(0)
            _log.info("stream_broke", connection=key[0], kind=key[1], breaks=held.breaks, error=str(fault))
            await _in_thread(partial(_note, connection, fault))
        if now >= held.rest_until:
            await self._open(key, connection, breaks=held.breaks)

    async def _end(self, key: Key) -> None:
        held = self._held.pop(key)
        held.task.cancel()
        await asyncio.gather(held.task, return_exceptions=True)
        metrics.STREAMS_OPEN.labels(key[0]).set(0)
        await _in_thread(partial(leases.drop, held.lease))

    async def _follow(self, key: Key, connection: Connection, held: _Held) -> None:
        """Take what one stream tells until it breaks; the reason is kept for whoever tends."""
        try:
            await self._take(key, connection, held)
        except Exception as fault:  # noqa: BLE001 - told to health, and to the next attempt
            held.error = fault

    async def _take(self, key: Key, connection: Connection, held: _Held) -> None:
        shared = await polling.terms_of(connection)
        pacing.pace(shared.turn)
        wait = (shared.poll_at(source.now()) - source.now()) / SECOND
        if wait > 0:
            raise Retryable("The partner asked to be left alone.", after_seconds=wait)
        client = (await _in_thread(lambda: connections.open(connection.name))).client
        try:
            # The contract suite holds every connector to its manifest: what declares a stream has one.
            async for page in cast("Streamer", client).stream(key[1]):
                if page.observations or page.messages or page.refused:
                    await _in_thread(partial(pages.append, self._log, connection, key[1], page))
                    metrics.STREAMED.labels(key[0]).inc(len(page.observations) + len(page.messages))
                    self._bell()
                if page.news:
                    await polling.hurry(connection, key[1])
                if not held.since:
                    held.since = source.now()
                    metrics.STREAMS_OPEN.labels(key[0]).set(1)
                    await _in_thread(partial(_note, connection, None))
        except Exception as fault:
            shared.hold(getattr(fault, "after_seconds", None))
            raise
        finally:
            await client.close()

    def _lease(self, key: Key) -> leases.Held | None:
        name = f"stream:{key[0]}:{key[1]}"
        return leases.take(name, now=source.now(), holder=self._holder, held_for=LEASE_FOR)


def _wanted() -> dict[Key, Connection]:
    """Return the streams that should be open: not those of a connection that somebody has paused."""
    found = {(name, kind): each for name, each in connections.in_force().items() for kind in kinds_of(each)}
    paused = {
        name
        for name, each in {key[0]: each for key, each in found.items()}.items()
        if health.state_of(each.organisation, name).paused
    }
    return {key: each for key, each in found.items() if key[0] not in paused}


def _rest(fault: Exception, breaks: int) -> int:
    """Return how long to wait before a stream is opened again."""
    if isinstance(fault, NeedsOperator):
        return polling.OPERATOR_SECONDS * SECOND
    asked = int((getattr(fault, "after_seconds", None) or 0) * SECOND)
    jitter = random.random()  # noqa: S311 - streams that broke together must not come back together
    return max(asked, min(backoff(breaks, jitter), REST_MAX))


def _note(connection: Connection, fault: Exception | None) -> None:
    now = source.now()

    def act(work: Work) -> None:
        if fault is None:
            health.succeeded(work, connection.organisation, connection.name, now)
        else:
            health.failed(work, connection.organisation, connection.name, fault, now)

    perform(act, actor=ACTOR, origin=ORIGIN, now=Instant(now))


async def _in_thread(call: Callable[[], T]) -> T:
    def scoped() -> T:
        with scope.everywhere("streams"):
            return call()

    return await sync_to_async(scoped, thread_sensitive=False)()
