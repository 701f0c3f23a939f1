"""Forms that people post while 10,000 alerts are open: the state of incidents and alerts changes, and the page that follows."""

from __future__ import annotations

import time
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path
from typing import Any

from benchmarks import payloads, serving, world
from benchmarks.figures import Figure, Scale
from isthmus.cli.demo.people import Person

OPEN_ALERTS = 10_000
ACTIONS, WARM = 100, 5
P99_TARGET_MS = 200


class _Stay(urllib.request.HTTPRedirectHandler):
    """Leaves the redirect after a form to the caller, who times it apart."""

    def redirect_request(self, *_: Any) -> None:
        return None


def run(scale: Scale, directory: Path) -> list[Figure]:
    """Post forms one after the other, each about another incident or alert, after a few to warm up."""
    del scale
    made = world.make(directory / "hub")
    book = serving.Book(made.directory)
    last = book.position() + serving.fill(0, OPEN_ALERTS, payloads.Shape(), per_webhook=100)
    with serving.hub(made) as hub:
        serving.await_position(book, last)
        while book.unsealed_seconds():
            time.sleep(0.2)
        person = Person(hub.url, "ada", world.PASSWORD)
        incidents = sorted(book.column("SELECT id FROM incident_incident"))[: ACTIONS + WARM]
        alerts = sorted(book.column("SELECT id FROM monitoring_alert"))[: ACTIONS + WARM]
        opened = book.one("SELECT COUNT(*) FROM monitoring_alert WHERE open")
        moves = [
            _timed(person, hub.url, f"/incidents/{each}", "change", {"state": "in_progress"})
            for each in incidents
        ]
        silences = [
            _timed(
                person,
                hub.url,
                f"/alerts/{each}",
                "silence",
                {"label": "volume", "minutes": "30", "comment": "Looking."},
            )
            for each in alerts
        ]
        moved = book.one("SELECT COUNT(*) FROM incident_incident WHERE state = 'in_progress'")
        silenced = book.one("SELECT COUNT(*) FROM monitoring_silence")
    book.close()
    if (moved, silenced) != (len(incidents), len(alerts)):
        raise RuntimeError(f"{moved} incidents moved, {silenced} silences were set.")
    return [
        _figure("incident's state changed on its page", [post for post, _ in moves[WARM:]], opened),
        _figure("alert silenced on its page", [post for post, _ in silences[WARM:]], opened),
        _figure("page after that form", [page for _, page in moves[WARM:] + silences[WARM:]], opened),
    ]


def _timed(person: Person, url: str, page: str, action: str, fields: dict[str, str]) -> tuple[float, float]:
    """Return how long (ms) the form and the page after it took."""
    form = urllib.parse.urlencode({**fields, "csrfmiddlewaretoken": person._csrf()}).encode()  # noqa: SLF001
    request = urllib.request.Request(f"{url}{page}/{action}", data=form, headers={"Referer": url + page})
    opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(person._cookies), _Stay())  # noqa: SLF001
    since = time.perf_counter()
    try:
        opener.open(request, timeout=30)
    except urllib.error.HTTPError as answer:
        if answer.code not in {302, 303}:
            raise RuntimeError(f"{page}/{action} answered {answer.code}: {answer.read()[:300]!r}") from None
    posted = time.perf_counter()
    with opener.open(url + page, timeout=30) as shown:
        shown.read()
    return 1000 * (posted - since), 1000 * (time.perf_counter() - posted)


def _figure(name: str, times: list[float], opened: int) -> Figure:
    ordered = sorted(times)
    notes = {"p50 ms": round(ordered[len(ordered) // 2]), "open alerts": opened, "forms": len(ordered)}
    p99 = ordered[min(len(ordered) - 1, int(len(ordered) * 0.99))]
    return Figure(name=f"p99, {name}", value=p99, unit="ms", target=P99_TARGET_MS, at_most=True, notes=notes)
