"""New alerts and repeats through the real pump, sealer and timers of a served hub; and 120 seconds of it."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

from benchmarks import payloads, serving, world
from benchmarks.figures import Figure, Scale

REPEATS_TARGET, NEW_TARGET, ALONE_TARGET = 20_000, 5_000, 2_000
PER_WEBHOOK = 20
TOLD = 5
"""How often each alert is repeated: a source tells it again for as long as it fires."""
FIVE, ONE = payloads.Shape(per_incident=5), payloads.Shape(per_incident=1)
_APART = 100_000_000
"""Workloads begin this many numbers apart, so that they never meet."""


def run(scale: Scale, directory: Path) -> list[Figure]:
    """Each workload lies in the log before the hub starts; the rate counts from the first tenth to the last message."""
    made = world.make(directory / "hub")
    # One per incident first: where hundreds of thousands are open already, new alerts would join them.
    figures = [
        _measured(made, "new alerts, 1 per incident", 2 * _APART, scale.alerts // 2, ONE, ALONE_TARGET),
        _measured(made, "new alerts, 5 per incident", _APART, scale.alerts, FIVE, NEW_TARGET),
        _measured(made, "repeats", _APART, scale.alerts // TOLD, FIVE, REPEATS_TARGET, times=TOLD),
    ]
    if scale.sustained_seconds:
        figures += _sustained(made, scale)
    return figures


def _measured(
    made: world.World,
    name: str,
    first: int,
    count: int,
    shape: payloads.Shape,
    target: float,
    *,
    times: int = 1,
) -> Figure:
    book = serving.Book(made.directory)
    began, incidents = book.position(), _incidents(book)
    last = began + sum(serving.fill(first, count, shape, per_webhook=PER_WEBHOOK) for _ in range(times))
    with serving.hub(made) as hub:
        tenth = began + (last - began) // 10
        serving.await_position(book, tenth)
        position, since, used = book.position(), time.perf_counter(), serving.cpu_seconds(hub)
        serving.await_position(book, last)
        rate = (last - position) * PER_WEBHOOK / (time.perf_counter() - since)
        per_cpu = (last - position) * PER_WEBHOOK / (serving.cpu_seconds(hub) - used)
        unsealed = book.unsealed_seconds()
    notes = {
        "per CPU s": round(per_cpu),
        "book MB": book.bytes // 1_000_000,
        "unsealed s": round(unsealed, 1),
        "incidents": _incidents(book) - incidents,
        "parked": _parked(book),
    }
    book.close()
    return Figure(name=name, value=rate, unit="alerts/s", target=target, notes=notes)


def _parked(book: serving.Book) -> int:
    return int(book.one("SELECT COUNT(*) FROM hub_parked_message") or 0)


def _incidents(book: serving.Book) -> int:
    return int(book.one("SELECT COUNT(*) FROM incident_incident") or 0)


def _sustained(made: world.World, scale: Scale) -> list[Figure]:
    """Grow the book with new alerts for the time asked, or longer until it has its size; then verify the chain."""
    book = serving.Book(made.directory)
    began, first, incidents = book.position(), 10 * _APART, _incidents(book)
    chunk = 50_000
    last = began + serving.fill(first, chunk, FIVE, per_webhook=PER_WEBHOOK)
    first += chunk
    slowest = float("inf")
    with serving.hub(made):
        serving.await_position(book, began + 50)
        since, start = time.perf_counter(), book.position()
        mark, mark_at, unsealed = start, since, 0.0
        while time.perf_counter() - since < scale.sustained_seconds or book.bytes < scale.book_bytes:
            if last - book.position() < chunk // PER_WEBHOOK // 2:
                last += serving.fill(first, chunk, FIVE, per_webhook=PER_WEBHOOK)
                first += chunk
            time.sleep(0.5)
            now, position = time.perf_counter(), book.position()
            if now - mark_at >= 10:
                slowest = min(slowest, (position - mark) * PER_WEBHOOK / (now - mark_at))
                mark, mark_at = position, now
                unsealed = max(unsealed, book.unsealed_seconds())
        took = time.perf_counter() - since
        rate = (book.position() - start) * PER_WEBHOOK / took
        serving.await_position(book, last)
        while book.unsealed_seconds():
            time.sleep(0.5)
    size, incidents = book.bytes, _incidents(book) - incidents
    book.close()
    since = time.perf_counter()
    command = [sys.executable, "-m", "isthmus.ledger.verify", "--json", str(made.directory / "book.sqlite")]
    done = subprocess.run(command, capture_output=True, check=False)
    report = json.loads(done.stdout)
    notes = {
        "seconds": round(took), "book MB": size // 1_000_000, "slowest 10 s": round(slowest), "oldest unsealed s": round(unsealed, 1), "incidents": incidents,
        "chain": "untouched" if report["ok"] else "TOUCHED", "verified in s": round(time.perf_counter() - since),
    }  # fmt: skip
    return [
        Figure(
            name="sustained new alerts, 5 per incident",
            value=rate,
            unit="alerts/s",
            target=NEW_TARGET,
            notes=notes,
        )
    ]
