"""Durable intake against the same door without storing, and against Alertmanager, which answers from memory."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Any

from benchmarks import alertmanager, load, payloads, serving, world
from benchmarks.alertmanager import Peer
from benchmarks.figures import Figure, Scale

CONNECTIONS = (8, 32, 128)
BATCHES = (1, 20, 100)
LABEL_SETS = 20_000
PATH = f"/ingest/alertmanager/{world.CONNECTION}"
FLOOR_TARGET, FLOOR_JUDGED_AT = 0.35, 20
PEER_TARGETS = {
    (1, 8): 0.4, (1, 32): 0.9, (20, 8): 1.5, (20, 32): 1.5, (20, 128): 1.5, (100, 8): 3.0, (100, 32): 3.0, (100, 128): 3.0,
}  # fmt: skip
"""By alerts per webhook and connections: what durable intake must reach, as a multiple of Alertmanager's rate."""
P99_TARGET, P99_JUDGED_FROM = 0.5, 20
BEHIND_SECONDS_TARGET = 1.0
SECONDS_MAX = 4.0


def run(scale: Scale, directory: Path) -> list[Figure]:
    """Alternate the candidates per setting, so that a busy moment of the machine meets all of them."""
    made = world.make(directory / "hub")
    shape = payloads.Shape()
    webhooks, posts = {}, {}
    for batch in BATCHES:
        target = directory / f"webhooks-{batch}"
        webhooks[batch] = load.write_bodies(target, payloads.bodies(0, LABEL_SETS, batch, shape))
        posts[batch] = alertmanager.bodies(directory / f"posts-{batch}", 0, LABEL_SETS, batch, shape)
    figures: list[Figure] = []
    seconds = min(scale.seconds, SECONDS_MAX)
    with alertmanager.running(directory) as peer:
        for batch in BATCHES:
            for connections in CONNECTIONS:
                figures += _setting(
                    made, peer, batch, connections, seconds, webhooks=webhooks[batch], posts=posts[batch]
                )
    if peer is None:
        figures.append(Figure(name="intake against Alertmanager", value=0, unit="skipped: not installed"))
    floor = next(each.other for each in figures if each.name.startswith("intake, 20 per webhook, 32"))
    return figures + _with_pump(made, webhooks[20], seconds, floor)


def _setting(
    made: world.World, peer: Peer | None, batch: int, connections: int, seconds: float, *, webhooks: Path, posts: Path
) -> list[Figure]:  # fmt: skip
    common: dict[str, Any] = {"connections": connections, "seconds": seconds}
    ours = {**common, "path": PATH, "headers": made.headers, "bodies": str(webhooks)}
    floor_port = serving.free_port()
    with serving.process([sys.executable, "-m", "benchmarks.floor", str(floor_port)], floor_port):
        bare = load.generate(port=floor_port, **ours)
    with serving.hub(made, role="front") as hub:
        durable = load.generate(port=hub.port, **ours)
    name = f"intake, {batch} per webhook, {connections} connections"
    rate = durable["per_second"] * batch
    notes = {"p99 ms": round(durable["p99_ms"], 1), "statuses": durable["statuses"]}
    found = [
        Figure(
            name=name, value=rate, unit="alerts/s", against="no storing", other=bare["per_second"] * batch, judged="ratio",
            target=FLOOR_TARGET if batch == FLOOR_JUDGED_AT else 0, notes=notes,
        )
    ]  # fmt: skip
    if peer is None:
        return found
    theirs = peer.send(posts, **common)
    found.append(
        Figure(
            name=name, value=rate, unit="alerts/s", against="Alertmanager", other=theirs["per_second"] * batch, judged="ratio",
            target=PEER_TARGETS.get((batch, connections), 0), notes={"statuses": theirs["statuses"]},
        )
    )  # fmt: skip
    if batch >= P99_JUDGED_FROM:
        found.append(
            Figure(
                name=f"p99 of {name}", value=durable["p99_ms"], unit="ms", against="Alertmanager", other=theirs["p99_ms"],
                judged="ratio", target=P99_TARGET, at_most=True,
            )
        )  # fmt: skip
    return found


def _with_pump(made: world.World, bodies: Path, seconds: float, floor: float) -> list[Figure]:
    """The same load on the whole hub; how long the pump needs afterwards is how far it was behind."""
    with serving.hub(made) as hub:
        book = serving.Book(made.directory)
        before = _last_position(book)
        done = load.generate(
            port=hub.port,
            path=PATH,
            headers=made.headers,
            bodies=str(bodies),
            connections=32,
            seconds=seconds,
        )
        behind = serving.await_position(book, before + done["requests"])
        book.close()
    rate = done["per_second"] * 20
    return [
        Figure(
            name="intake while the pump runs, 20 per webhook, 32 connections", value=rate, unit="alerts/s",
            against="no storing", other=floor, judged="ratio", target=FLOOR_TARGET, notes={"p99 ms": round(done["p99_ms"], 1)},
        ),
        Figure(
            name="pump behind at the end of that", value=behind, unit="s", target=BEHIND_SECONDS_TARGET, at_most=True,
            notes={"accepted alerts/s": round(rate), "for s": round(seconds, 1)},
        ),
    ]  # fmt: skip


def _last_position(book: serving.Book) -> int:
    """Wait until the pump has caught up with the earlier, front-only runs."""
    position = -1
    while position != (position := book.position()):
        time.sleep(1.5)
    return position
