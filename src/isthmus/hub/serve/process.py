"""What the processes of the engine have in common: loops in threads, tasks on an event loop, a heartbeat, figures."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import threading
from collections.abc import Callable, Coroutine, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import structlog
import uvloop
from prometheus_client import CollectorRegistry, generate_latest

from isthmus import django_settings
from isthmus.hub.lanes import levels
from isthmus.hub.serve.loops import Loop, start
from isthmus.hub.serve.shared import figures_of
from isthmus.kernel.errors import Bug
from isthmus.ledger import door

if TYPE_CHECKING:
    from isthmus.hub.serve.shared import Bell, EngineRole, Shared
    from isthmus.ledger.work import Work

_log = structlog.get_logger(__name__)

STOP_SECONDS_MAX = 10.0
BEAT_SECONDS = 1.0
FIGURES_SECONDS = 5.0

Tasks = Callable[[asyncio.Event], Iterable[Coroutine[Any, Any, None]]]


class Process:
    """One process of the engine. It lives until SIGTERM, and beats only while all its threads do: a hub without its
    pump is not healthy."""

    def __init__(self, role: EngineRole, shared: Shared, run_dir: Path, registry: CollectorRegistry) -> None:
        self.role: EngineRole = role
        self.shared = shared
        self._figures = figures_of(run_dir, role)
        self._registry = registry
        self._stopped = threading.Event()

    def wait(self, seconds: float) -> bool:
        """Wait, at most until the process is to end; return whether it is."""
        return self._stopped.wait(seconds)

    def resting(self, seconds: float) -> Callable[[], object]:
        """Return what a loop does when there is nothing to do for so long."""
        return lambda: self.wait(seconds)

    def run(self, loops: Iterable[Loop], tasks: Tasks | None = None) -> None:
        """Run until SIGTERM. A task that ends before takes the process with it: the supervisor starts a new one."""
        # The pump makes thousands of short-lived objects a batch: collecting at the default 700 costs a third of it.
        gc.set_threshold(100_000, 20, 50)
        _log.info("engine_started", role=self.role, pid=os.getpid())
        writing = Loop(name="figures", step=self._write_figures, rest=self.resting(FIGURES_SECONDS))
        uvloop.run(self._run([*loops, writing], tasks))

    async def _run(self, loops: list[Loop], tasks: Tasks | None) -> None:
        loop = asyncio.get_running_loop()
        stop = asyncio.Event()
        loop.add_signal_handler(signal.SIGTERM, stop.set)
        threads = start(loops, self._stopped)
        wanted = [self._beat(stop, threads), *(tasks(stop) if tasks is not None else ())]
        running = [asyncio.create_task(each) for each in wanted]
        asked = asyncio.create_task(stop.wait())
        ended, _ = await asyncio.wait([asked, *running], return_when=asyncio.FIRST_COMPLETED)
        if asked not in ended:
            await ended.pop()
            raise Bug("A task of the engine ended by itself.")
        self._stopped.set()
        self.shared.messages.ring()
        _, late = await asyncio.wait(running, timeout=STOP_SECONDS_MAX)
        for each in late:
            each.cancel()
        for thread in threads:
            await loop.run_in_executor(None, thread.join, STOP_SECONDS_MAX)

    async def _beat(self, stop: asyncio.Event, threads: list[threading.Thread]) -> None:
        while not stop.is_set():
            if all(each.is_alive() for each in threads):
                self.shared.heartbeats.beat(self.role)
            try:
                await asyncio.wait_for(stop.wait(), BEAT_SECONDS)
            except TimeoutError:
                continue

    def _write_figures(self) -> bool:
        half = self._figures.with_suffix(".new")
        half.write_bytes(generate_latest(self._registry))
        half.replace(self._figures)
        return False


def holder() -> str:
    """Return under which name leases are held. The data directory's lock proves that the last holder on SQLite is dead:
    no need to wait for its lease to run out. On PostgreSQL another machine may hold it: holders have names of their
    own."""
    return "" if django_settings.ISTHMUS.database_url else "serve"


def announce_errands(bell: Bell) -> None:
    """Have `bell` rung after every Work of this process that gave a lane something to do."""

    def committed(work: Work) -> None:
        if levels.lanes_asked(work):
            bell.ring()

    door.register_committed(committed)
