"""Pages while the pump is saturated: every request of a signed-in person, one after the other."""

from __future__ import annotations

import itertools
import time
import urllib.request
from pathlib import Path

from benchmarks import payloads, serving, world
from benchmarks.figures import Figure, Scale
from isthmus.cli.demo.people import Person

P99_TARGET_MS = 200
PAGES = ("/", "/alerts", "/incidents", "/systems", "/conflicts", "/changes")


def run(scale: Scale, directory: Path) -> list[Figure]:
    """Fill the log with far more than the pump can take meanwhile, then read pages."""
    made = world.make(directory / "hub")
    serving.fill(0, 5_000, payloads.Shape())
    figures = []
    with serving.hub(made) as hub:
        serving.await_position(serving.Book(made.directory), 250)
        person = Person(hub.url, "ada", world.PASSWORD)
        figures.append(_figure("page, idle hub", person, hub.url, scale.seconds, target=0))
    serving.fill(1_000_000, int(6_000 * (3 * scale.seconds + 10)), payloads.Shape())
    with serving.hub(made) as hub:
        person = Person(hub.url, "ada", world.PASSWORD)
        book = serving.Book(made.directory)
        position, since = book.position(), time.perf_counter()
        found = _figure("page p99, saturated pump", person, hub.url, 2 * scale.seconds, target=P99_TARGET_MS)
        rate = (book.position() - position) * 20 / (time.perf_counter() - since)
        found.notes["alerts/s meanwhile"] = round(rate)
        figures.append(found)
        book.close()
    return figures


def _figure(name: str, person: Person, url: str, seconds: float, *, target: float) -> Figure:
    times = latencies(person, url, seconds)
    notes = {"p50 ms": round(times[len(times) // 2]), "pages": len(times), "worst ms": round(times[-1])}
    p99 = times[min(len(times) - 1, int(len(times) * 0.99))]
    return Figure(name=name, value=p99, unit="ms", target=target, at_most=True, notes=notes)


def latencies(person: Person, url: str, seconds: float) -> list[float]:
    """Return the sorted latencies (ms) of pages read for `seconds`, after one round to warm up."""
    for page in PAGES:
        _read(person, url + page)
    times: list[float] = []
    until = time.perf_counter() + seconds
    for page in itertools.cycle(PAGES):
        if time.perf_counter() >= until:
            return sorted(times)
        since = time.perf_counter()
        _read(person, url + page)
        times.append(1000 * (time.perf_counter() - since))
    return []


def _read(person: Person, target: str) -> None:
    with person._opener.open(urllib.request.Request(target), timeout=30) as answer:  # noqa: SLF001
        if answer.status != 200 or "/accounts/login" in answer.url:
            raise RuntimeError(f"{target} answered {answer.status} at {answer.url}")
        answer.read()
