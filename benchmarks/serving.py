"""The hub and its neighbours as processes: started, watched, stopped by their own id."""

from __future__ import annotations

import contextlib
import os
import re
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from benchmarks import payloads, world
from isthmus.cli.demo.hub_process import HubProcess

APPEND_AT_ONCE = 500


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


@contextlib.contextmanager
def hub(made: world.World, *, role: str = "both") -> Iterator[HubProcess]:
    """Run `isthmus serve` on a world."""
    running = HubProcess(made.directory, free_port())
    if role == "both":
        running.start()
        try:
            yield running
        finally:
            running.stop()
        return
    command = [sys.executable, "-m", "isthmus.cli.main", "serve", "--port", str(running.port), "--role", role]
    with process(command, running.port):
        yield running


@contextlib.contextmanager
def process(command: Sequence[str], port: int) -> Iterator[subprocess.Popen[bytes]]:
    """Run a neighbour that listens on `port`; it is ended by its own id."""
    with subprocess.Popen(list(command), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as running:
        try:
            _await_port(running, port)
            yield running
        finally:
            running.terminate()
            try:
                running.wait(timeout=20)
            except subprocess.TimeoutExpired:
                running.kill()


def _await_port(running: subprocess.Popen[bytes], port: int) -> None:
    until = time.monotonic() + 40
    while time.monotonic() < until and running.poll() is None:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return
        time.sleep(0.1)
    raise RuntimeError(f"{running.args!r} did not start to listen on {port}")


def fill(first: int, count: int, shape: payloads.Shape, *, per_webhook: int = 20) -> int:
    """Put webhooks into the intake log, as the door does after its checks; return how many messages."""
    from isthmus.hub.intake import shared
    from isthmus.hub.intake.message import WEBHOOK, Draft
    from isthmus.ledger import scope
    from isthmus.ledger.ids import source

    kept = [("content-type", "application/json")]
    total = 0
    with scope.everywhere("the benchmark fills the log"):
        log, drafts = shared.log(), []
        for body in payloads.bodies(first, count, per_webhook, shape):
            drafts.append(
                Draft(
                    id=source.new_id(), trace=source.new_trace(), received_at=source.now(), door=WEBHOOK,
                    connector="alertmanager@1", headers=kept, body=body,
                )
            )  # fmt: skip
            if len(drafts) == APPEND_AT_ONCE:
                log.append(world.CONNECTION, drafts)
                total, drafts = total + len(drafts), []
        if drafts:
            log.append(world.CONNECTION, drafts)
    return total + len(drafts)


class Book:
    """A reader of the book beside the hub."""

    def __init__(self, directory: Path) -> None:
        self._path = directory / "book.sqlite"
        self._book = sqlite3.connect(f"file:{self._path}?mode=ro", uri=True, timeout=20)

    def one(self, query: str, *values: Any) -> Any:
        row = self._book.execute(query, values).fetchone()
        return row[0] if row else None

    def column(self, query: str) -> frozenset[str]:
        """Return the first column of every row."""
        return frozenset(str(row[0]) for row in self._book.execute(query))

    def position(self, connection: str = world.CONNECTION) -> int:
        """Return up to which message the pump has got."""
        found = self.one("SELECT position FROM hub_intake_offset WHERE connection = ?", connection)
        return int(found or 0)

    def unsealed_seconds(self) -> float:
        """Return the age of the oldest entry without a seal."""
        oldest = self.one("SELECT MIN(recorded_at) FROM ledger_unsealed")
        return max(0.0, time.time() - oldest / 1e6) if oldest else 0.0

    @property
    def bytes(self) -> int:
        return self._path.stat().st_size

    def close(self) -> None:
        self._book.close()


def await_position(book: Book, wanted: int, *, seconds: float = 600) -> float:
    """Wait until the pump has taken message `wanted`; return how many seconds that took."""
    began = time.perf_counter()
    while book.position() < wanted:
        if time.perf_counter() - began > seconds:
            raise RuntimeError(f"The pump stands at {book.position()} of {wanted}.")
        time.sleep(0.02)
    return time.perf_counter() - began


def pss_megabytes(pid: int) -> float:
    """Return the proportional set size of a process and all its descendants."""
    total = 0.0
    for each in [pid, *_descendants(pid)]:
        with contextlib.suppress(OSError):
            rolled = Path(f"/proc/{each}/smaps_rollup").read_text()
            found = re.search(r"^Pss:\s+(\d+) kB", rolled, re.MULTILINE)
            total += int(found[1]) / 1024 if found else 0
    return total


def _descendants(pid: int) -> list[int]:
    found: list[int] = []
    with contextlib.suppress(OSError):
        for task in Path(f"/proc/{pid}/task").iterdir():
            for child in (task / "children").read_text().split():
                found += [int(child), *_descendants(int(child))]
    return found


def cpu_seconds(hub: HubProcess) -> float:
    """Return the CPU seconds that all processes of a hub have used: steadier than time on a shared machine."""
    assert hub._process is not None  # noqa: SLF001 - the demonstration's own process
    return cpu_seconds_of(hub._process.pid)  # noqa: SLF001


def cpu_seconds_of(pid: int) -> float:
    """Return the CPU seconds that a process and its descendants have used."""
    ticks = 0
    for each in [pid, *_descendants(pid)]:
        with contextlib.suppress(OSError):
            fields = Path(f"/proc/{each}/stat").read_text().rpartition(") ")[2].split()
            ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


def cpu_count() -> int:
    return len(os.sched_getaffinity(0))
