"""All lanes of a process: one task per connected ticket system, one thread for the store."""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import structlog
from django.db import connections as databases

from isthmus import django_settings
from isthmus.hub import connections
from isthmus.hub.lanes import levels
from isthmus.hub.lanes.lane import Lane
from isthmus.hub.sync import comparing
from isthmus.ledger import door, lease, scope
from isthmus.ledger.ids import source
from isthmus.ledger.work import Work

T = TypeVar("T")

LOOK_SECONDS = 1.0
OUTWARD = ("write", "tell", "acknowledge", "silence", "annotate", "resolve", "notify")
"""The verbs for which a connection needs a lane."""

_log = structlog.get_logger(__name__)


class Lanes:
    """Starts and stops lanes as the blueprint's connections come and go. `holder`: see `Lane`."""

    def __init__(self, holder: str = "") -> None:
        self._holder = holder
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="lanes")
        self._compared = -1
        self._running: dict[str, tuple[Lane, asyncio.Event, asyncio.Task[None]]] = {}

    def store(self, call: Callable[[], T]) -> Awaitable[T]:
        """Run `call` in the lanes' thread, which may see every organisation."""

        def inside() -> T:
            with scope.everywhere("lanes"):
                return call()

        context = contextvars.copy_context()
        return asyncio.get_running_loop().run_in_executor(self._thread, context.run, inside)

    async def run(self, stop: asyncio.Event) -> None:
        """Keep one lane per usable ticket system until `stop`."""
        loop = asyncio.get_running_loop()

        def committed(work: Work) -> None:
            for name in levels.lanes_asked(work):
                if name in self._running:
                    loop.call_soon_threadsafe(self._running[name][0].wake.set)

        door.register_committed(committed)
        while not stop.is_set():
            try:
                await self._match()
            except Exception:  # noqa: BLE001 - lanes live as long as the process
                _log.exception("lanes_failed")
            try:
                await asyncio.wait_for(stop.wait(), LOOK_SECONDS)
            except TimeoutError:
                continue
        for name in list(self._running):
            await self._end(name)
        await self.close()

    async def look(self) -> None:
        """Wake the lanes that have something due."""
        asleep = [lane for lane, _, _ in self._running.values() if not lane.wake.is_set()]
        for lane in await self.store(lambda: [each for each in asleep if each.anything_due()]):
            lane.wake.set()

    async def close(self) -> None:
        """Release the store's connection and the thread."""
        await asyncio.get_running_loop().run_in_executor(self._thread, databases.close_all)
        self._thread.shutdown(wait=True)

    async def lanes(self) -> dict[str, Lane]:
        """Return a lane per usable ticket system, without running them."""
        found = await self.store(lambda: dict(connections.in_force()))
        return {
            name: Lane(each, self.store, holder=self._holder) for name, each in found.items() if writes(each)
        }

    async def _match(self) -> None:
        found: dict[str, Any] = await self.store(lambda: dict(connections.in_force()))
        wanted = {name: each for name, each in found.items() if writes(each)}
        generation = max((each.generation for each in found.values()), default=0)
        if generation != self._compared:
            await self.store(lambda: comparing.ensure_scheduled(source.now()))
            self._compared = generation
        for name, (lane, _, task) in list(self._running.items()):
            changed = name not in wanted or wanted[name].generation != lane.generation
            if changed or task.done():
                await self._end(name)
        for name, connection in wanted.items():
            if name not in self._running:
                lane = Lane(connection, self.store, holder=self._holder)
                stop = asyncio.Event()
                self._running[name] = (lane, stop, asyncio.create_task(lane.run(stop)))

    async def _end(self, name: str) -> None:
        lane, stop, task = self._running.pop(name)
        stop.set()
        lane.wake.set()
        await asyncio.wait([task], timeout=10)


def writes(connection: connections.Connection) -> bool:
    """Return whether anything goes out to a connection: a ticket system, a receiver that is told things, a
    monitoring system whose alerts are acknowledged or silenced, a messenger."""
    return any(connection.manifest.can(verb) for verb in OUTWARD)


def lanes() -> Lanes:
    """Return the lanes of this process. On PostgreSQL other processes may run the same lanes: each is driven by one of
    them at a time. On SQLite the lock of the data directory says that there is no other."""
    return Lanes(lease.me() if django_settings.ISTHMUS.database_url else "")
