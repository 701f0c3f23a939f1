"""The process `lanes`: what goes out to partners, and what they are asked."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from pathlib import Path
from typing import TYPE_CHECKING, Any

import structlog
from django.db import connections

from isthmus.hub import due, metrics, pages, polling
from isthmus.hub.intake import shared as shared_log
from isthmus.hub.intake.refusals import FLUSH_SECONDS
from isthmus.hub.lanes import runner
from isthmus.hub.serve.loops import Loop
from isthmus.hub.serve.process import Process, holder
from isthmus.hub.serve.refusal_journal import flush
from isthmus.hub.streaming import Streams
from isthmus.ledger import scope
from isthmus.ledger.ids import source

if TYPE_CHECKING:
    from isthmus.hub.serve.shared import Shared

_log = structlog.get_logger(__name__)


class Delivering:
    """The lanes, polls and streams of the process, on one event loop."""

    def __init__(self, process: Process) -> None:
        self._process = process
        self._shared = process.shared
        self._log = shared_log.log()
        self._holder = holder()

    def loops(self) -> list[Loop]:
        """Return the loops that run in threads."""
        return [Loop(name="refusals", step=_journal_refusals, rest=self._process.resting(FLUSH_SECONDS))]

    def tasks(self, stop: asyncio.Event) -> list[Coroutine[Any, Any, None]]:
        """Return what runs on the event loop."""
        ring, lanes = self._shared.messages.ring, runner.lanes()
        return [
            polling.Polls(self._log, bell=ring).run(stop),
            Streams(self._log, holder=self._holder, bell=ring).run(stop),
            lanes.run(stop),
            self._run_errands(lanes, stop),
        ]

    def release(self) -> None:
        """Give back what this process had claimed before it fell: its lock says that nobody else claims."""
        if self._holder:
            with scope.everywhere("lanes"):
                due.release(source.now())
            connections.close_all()

    async def _run_errands(self, lanes: runner.Lanes, stop: asyncio.Event) -> None:
        """Wake the lanes that other processes gave something to do."""
        loop, rung = asyncio.get_running_loop(), asyncio.Event()

        def heard() -> None:
            self._shared.errands.quieten()
            rung.set()

        loop.add_reader(self._shared.errands.fileno(), heard)
        ended = asyncio.create_task(stop.wait())
        try:
            while not stop.is_set():
                ringing = asyncio.create_task(rung.wait())
                await asyncio.wait({ringing, ended}, return_when=asyncio.FIRST_COMPLETED)
                ringing.cancel()
                rung.clear()
                try:
                    await lanes.look()
                except Exception:  # noqa: BLE001 - a lane that is not woken looks by itself, a little later
                    _log.exception("lanes_not_woken")
        finally:
            ended.cancel()
            loop.remove_reader(self._shared.errands.fileno())


def _journal_refusals() -> bool:
    flush(pages.refusals, source.now())
    return False


def main(shared: Shared, run_dir: Path) -> None:
    """Run until SIGTERM."""
    process = Process("lanes", shared, run_dir, metrics.LANES)
    delivering = Delivering(process)
    delivering.release()
    process.run(delivering.loops(), delivering.tasks)
