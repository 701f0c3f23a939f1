"""The work process: pump, sweeper, sealer and housekeeping in threads; lanes and polls on one event loop."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import structlog
import uvloop
from asgiref.sync import sync_to_async
from prometheus_client import generate_latest

from isthmus import django_settings
from isthmus.hub import connections, due, health, housekeeping, leases, metrics, pages, polling, pruning
from isthmus.hub.connections import Connection
from isthmus.hub.http import idempotency
from isthmus.hub.intake import shared as shared_log
from isthmus.hub.lanes import runner
from isthmus.hub.pump.pump import Pump
from isthmus.hub.serve.loops import Loop, start
from isthmus.hub.serve.refusal_journal import flush
from isthmus.hub.streaming import Streams
from isthmus.hub.sweeper import sweep
from isthmus.kernel.actor import Origin, system
from isthmus.kernel.errors import IsthmusError
from isthmus.kernel.instant import SECOND
from isthmus.ledger import scope, sealer, search, upkeep
from isthmus.ledger.door import perform
from isthmus.ledger.ids import source
from isthmus.ledger.sqlite import log_upkeep
from isthmus.ledger.work import Work

if TYPE_CHECKING:
    from isthmus.hub.serve.shared import Shared

_log = structlog.get_logger(__name__)

LEASE = "pump"
LEASE_FOR = 15 * SECOND
STOP_SECONDS_MAX = 10.0
GATHER_BELOW, GATHER_SECONDS = 200, 0.03
"""After a round of fewer messages than this the pump lets others gather for a moment that nobody feels."""
KEEP_SECONDS = 0.25
"""Between two rounds of the sealer: an entry has its place in the chain well within a second."""
NOTE_SECONDS = 5.0
HOUSEKEEPING_SECONDS = 60.0


class Engine:
    """The loops of one work process."""

    def __init__(self, shared: Shared, run_dir: Path) -> None:
        self._shared = shared
        self._run_dir = run_dir
        self._log = shared_log.log()
        self._pump = Pump(self._log)
        self._stopped = threading.Event()
        self._kept = 0
        # The data directory's lock proves that the last holder on SQLite is dead: no need to wait for its
        # lease to run out. On PostgreSQL another machine may hold it, so holders have names of their own.
        self._holder = "" if django_settings.ISTHMUS.database_url else "serve"
        self._pruner = pruning.Pruner(self._holder)

    def loops(self) -> list[Loop]:
        """Return the loops that run in threads."""
        rest = self._stopped.wait
        return [
            Loop(name="pump", step=self._pump_round, rest=lambda: self._shared.bell.wait(0.25)),
            Loop(name="sweeper", step=lambda: sweep(source.now()) > 0, rest=lambda: rest(0.25)),
            Loop(name="sealer", step=self._keep, rest=lambda: rest(KEEP_SECONDS)),
            Loop(name="book-log", step=_copy_back, rest=lambda: rest(0.5)),
            Loop(name="notes", step=self._note, rest=lambda: rest(NOTE_SECONDS)),
            Loop(name="housekeeping", step=self._tidy, rest=lambda: rest(HOUSEKEEPING_SECONDS)),
        ]

    async def run(self) -> None:
        """Run until SIGTERM."""
        loop = asyncio.get_running_loop()
        stop = asyncio.Event()
        loop.add_signal_handler(signal.SIGTERM, stop.set)
        if self._holder:
            await _scoped(lambda: due.release(source.now()))
        threads = start(self.loops(), self._stopped)
        tasks = [
            asyncio.create_task(self._polls(stop)),
            asyncio.create_task(self._streams(stop)),
            asyncio.create_task(self._beat(stop)),
            *self._lanes(stop),
        ]
        await stop.wait()
        self._stopped.set()
        self._shared.bell.ring()
        _, late = await asyncio.wait(tasks, timeout=STOP_SECONDS_MAX)
        for each in late:
            each.cancel()
        for thread in threads:
            await loop.run_in_executor(None, thread.join, STOP_SECONDS_MAX)

    def _pump_round(self) -> bool:
        now = source.now()
        self._pump.lease = leases.take(LEASE, now=now, holder=self._holder, held_for=LEASE_FOR)
        taken = self._pump.round() if self._pump.lease is not None else 0
        if 0 < taken < GATHER_BELOW:
            # A batch has a price whatever it holds: the next one is worth it when more has come together.
            self._stopped.wait(GATHER_SECONDS)
        return taken > 0

    def _keep(self) -> bool:
        """Seal, sign and index; say so loudly while entries wait too long for their seal."""
        self._kept += 1
        # A storm is recorded before it is indexed for search; every tenth round keeps the index moving even so.
        index = not self._pump.busy or self._kept % 10 == 0
        kept = upkeep.tick(source.now(), holder=self._holder, index=index)
        metrics.UNSEALED.set(kept.unsealed_age / SECOND)
        if kept.alarming:
            _log.error("unsealed_tail", seconds=kept.unsealed_age / SECOND)
        # A round has a price whatever it finds, and takes the turnstile: only one that was full is followed at once.
        return kept.sealed >= sealer.ENTRIES_MAX or kept.indexed >= search.INDEXED_MAX

    def _note(self) -> bool:
        """Leave metrics for the front, and how far behind each connection is for the console."""
        now = source.now()
        lags = [found for each in connections.in_force().values() if (found := self._lag(each)) is not None]

        def act(work: Work) -> None:
            for connection, messages, age in lags:
                held = health.state_of(connection.organisation, connection.name)
                if (held.lag_messages, held.lag_microseconds) != (messages, age):
                    health.observed(
                        work,
                        connection.organisation,
                        connection.name,
                        lag_messages=messages,
                        lag_microseconds=age,
                    )

        for connection, _, age in lags:
            metrics.LAG.labels(connection.name).set(age / SECOND)
        perform(act, actor=system("notes"), origin=Origin(channel="timer"), now=now)
        half = self._run_dir / "work.prom.new"
        half.write_bytes(generate_latest(metrics.WORK))
        half.replace(self._run_dir / "work.prom")
        return False

    def _lag(self, connection: Connection) -> tuple[Connection, int, int] | None:
        """Return how far behind a connection is; a log that cannot be read takes no other's number away."""
        try:
            return connection, *self._pump.lag(connection)
        except (IsthmusError, OSError):
            _log.exception("lag_unknown", connection=connection.name)
            return None

    def _tidy(self) -> bool:
        now = source.now()
        flush(pages.refusals, now)
        housekeeping.forget_messages(self._log, now)
        housekeeping.forget_sessions(now)
        idempotency.forget_expired(now)
        more = self._pruner.step(now)
        return more or housekeeping.forget_expired(now) >= housekeeping.EXPIRED_MAX

    async def _beat(self, stop: asyncio.Event) -> None:
        """Beat only while the threads live: a hub without its pump is not healthy."""
        while not stop.is_set():
            if {"pump", "sweeper", "sealer"} <= {each.name for each in threading.enumerate()}:
                self._shared.heartbeat.beat()
            await _sleep(stop, 1.0)

    async def _polls(self, stop: asyncio.Event) -> None:
        while not stop.is_set():
            ran = 0
            try:
                await _scoped(lambda: polling.ensure_scheduled(source.now()))
                ran = await polling.run_due(self._log, source.now())
                if ran:
                    self._shared.bell.ring()
            except Exception:  # noqa: BLE001 - polls live as long as the process
                _log.exception("polls_failed")
            if not ran:
                await _sleep(stop, 1.0)

    async def _streams(self, stop: asyncio.Event) -> None:
        await Streams(self._log, holder=self._holder, bell=self._shared.bell.ring).run(stop)

    def _lanes(self, stop: asyncio.Event) -> list[asyncio.Task[None]]:
        return [asyncio.create_task(runner.run(stop))]


def _copy_back() -> bool:
    log_upkeep.copy_back()
    return False


async def _scoped(call: Callable[[], object]) -> None:
    def inside() -> None:
        with scope.everywhere("polls"):
            call()

    await sync_to_async(inside, thread_sensitive=False)()


async def _sleep(stop: asyncio.Event, seconds: float) -> None:
    try:
        await asyncio.wait_for(stop.wait(), seconds)
    except TimeoutError:
        return


def preload() -> None:
    """Load what the loops need, before the fork."""
    from isthmus.hub import inventory

    for each in inventory.everything().values():
        _ = each.connector


def main(shared: Shared, run_dir: Path) -> None:
    """Run the engine until SIGTERM."""
    # The pump makes thousands of short-lived objects a batch: collecting at the default 700 costs a third of it.
    gc.set_threshold(100_000, 20, 50)
    _log.info("work_started", pid=os.getpid())
    uvloop.run(Engine(shared, run_dir).run())
