"""200 open live streams and 200 pipelines that wait at the gate, and a page beside them."""

from __future__ import annotations

import asyncio
import datetime as dt
import json
import threading
from pathlib import Path
from typing import Any, Self

import aiohttp

from benchmarks import pages, payloads, serving, world
from benchmarks.figures import Figure, Scale
from isthmus.cli.demo.people import Person

STREAMS = WAITS = 200
P99_TARGET_MS = 200
ARTEFACT = "sha256:" + "ab" * 32


class Crowd:
    """Holds streams and waits open on a loop of its own."""

    def __init__(self, url: str, ticket: str, token: str, asked: dict[str, Any]) -> None:
        self._url, self._ticket, self._token, self._asked = url, ticket, token, asked
        self.streams = self.waits = self.events = 0
        self.refused: dict[int, int] = {}
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(
            target=self._loop.run_until_complete, args=(self._hold(),), daemon=True
        )
        self._stop = asyncio.Event()

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(timeout=10)

    async def _hold(self) -> None:
        connector = aiohttp.TCPConnector(limit=0)
        async with aiohttp.ClientSession(self._url, connector=connector) as session:
            tasks = [asyncio.create_task(self._stream(session)) for _ in range(STREAMS)]
            tasks += [asyncio.create_task(self._wait(session)) for _ in range(WAITS)]
            await self._stop.wait()
            for each in tasks:
                each.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _stream(self, session: aiohttp.ClientSession) -> None:
        async with session.get(f"/live/{self._ticket}", timeout=aiohttp.ClientTimeout(total=None)) as answer:
            if answer.status != 200:
                self.refused[answer.status] = self.refused.get(answer.status, 0) + 1
                return
            self.streams += 1
            async for line in answer.content:
                self.events += line.startswith(b"data:")

    async def _wait(self, session: aiohttp.ClientSession) -> None:
        headers = {"Authorization": f"Bearer {self._token}"}
        self.waits += 1
        while True:
            async with session.post("/gate/wait", json=self._asked, headers=headers) as answer:
                said = await answer.text()
                if answer.status != 200 or json.loads(said).get("decision") != "wait":
                    self.waits -= 1
                    self.refused[answer.status] = self.refused.get(answer.status, 0) + 1
                    raise RuntimeError(said)


def run(scale: Scale, directory: Path) -> list[Figure]:
    """Read pages while the crowd waits and some alerts come in, which every stream is told about."""
    made = world.make(directory / "hub")
    token = _gate_token(made.organisation)
    with serving.hub(made) as hub:
        person = Person(hub.url, "ada", world.PASSWORD)
        asked = _waiting_change(person)
        with person._opener.open(f"{hub.url}/live-ticket", timeout=10) as answer:  # noqa: SLF001
            ticket = json.loads(answer.read())["ticket"]
        with Crowd(hub.url, ticket, token, asked) as crowd:
            pages.latencies(person, hub.url, 3.0)
            serving.fill(0, 200, payloads.Shape())
            times = pages.latencies(person, hub.url, scale.seconds)
            notes = {
                "p50 ms": round(times[len(times) // 2]), "streams": crowd.streams, "waits": crowd.waits,
                "events told": crowd.events, "refused": crowd.refused,
            }  # fmt: skip
    p99 = times[min(len(times) - 1, int(len(times) * 0.99))]
    name = f"page p99 beside {STREAMS} streams and {WAITS} waiting gates"
    return [Figure(name=name, value=p99, unit="ms", target=P99_TARGET_MS, at_most=True, notes=notes)]


def _gate_token(organisation: str) -> str:
    from isthmus.identity import tokens
    from isthmus.kernel.actor import Origin, system
    from isthmus.ledger import scope
    from isthmus.ledger.door import perform

    with scope.everywhere("the benchmark sets itself up"):
        _, token = perform(
            lambda work: tokens.issue(
                work, organisation=organisation, name="pipeline", scopes=["gate:check"], days=1
            ),
            actor=system("bench"),
            origin=Origin(channel="cli"),
        )
    return str(token)


def _waiting_change(person: Person) -> dict[str, Any]:
    """Raise a change that waits for its approval; return what a pipeline asks about it."""
    now = dt.datetime.now(dt.UTC)
    change = person.post(
        "/changes",
        {
            "title": "A release that waits", "type": "normal", "cis": ["host-00001"], "environment": "production",
            "artefact_hash": ARTEFACT, "window_start": _text(now - dt.timedelta(minutes=5)),
            "window_end": _text(now + dt.timedelta(hours=2)), "implementation_plan": "Roll out.", "backout_plan": "Roll back.",
        },
    )  # fmt: skip
    for action in ("submit", "assess", "request-approval"):
        person.post(f"/changes/{change['id']}/{action}")
    return {
        "change": change["number"],
        "environment": "production",
        "artefact_hash": ARTEFACT,
        "cis": ["host-00001"],
    }


def _text(moment: dt.datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")
