"""200 open live streams and 200 pipelines that wait at the gate, and a page beside them."""

from __future__ import annotations

import datetime as dt
import json
from pathlib import Path
from typing import Any

from benchmarks import pages, payloads, serving, world
from benchmarks.crowd import Crowd
from benchmarks.figures import Figure, Scale
from isthmus.cli.demo.people import Person

STREAMS = WAITS = 200
P99_TARGET_MS = 200
ARRIVE_SECONDS = 4.0
ROUND_SECONDS = 28.0
"""Longer than a pipeline waits before it asks again, so that all of them do so once while pages are read."""
ARTEFACT = "sha256:" + "ab" * 32


def run(scale: Scale, directory: Path) -> list[Figure]:
    """Read pages while the crowd waits and some alerts come in, which every stream is told about."""
    made = world.make(directory / "hub")
    token = _gate_token(made.organisation)
    with serving.hub(made) as hub:
        person = Person(hub.url, "ada", world.PASSWORD)
        asked = _waiting_change(person)
        with person._opener.open(f"{hub.url}/live-ticket", timeout=10) as answer:  # noqa: SLF001
            ticket = json.loads(answer.read())["ticket"]
        crowd = Crowd(url=hub.url, ticket=ticket, token=token, asked=asked, streams=STREAMS, waits=WAITS)
        with crowd:
            pages.latencies(person, hub.url, ARRIVE_SECONDS)
            serving.fill(0, 200, payloads.Shape())
            times = pages.latencies(person, hub.url, max(scale.seconds, ROUND_SECONDS))
        notes = {
            "p50 ms": round(times[len(times) // 2]),
            "worst ms": round(times[-1]),
            "pages": len(times),
            **crowd.seen,
        }
    if crowd.seen["streams"] < STREAMS or crowd.seen["waits"] < WAITS:
        raise RuntimeError(f"The crowd was not complete: {crowd.seen}")
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
