"""Durable intake against the same door without storing, and against Alertmanager, which answers from memory."""

from __future__ import annotations

import contextlib
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks import load, payloads, serving, world
from benchmarks.figures import Figure, Scale

CONNECTIONS = (8, 32, 128)
BATCHES = (1, 20)
LABEL_SETS = 20_000
PATH = f"/ingest/alertmanager/{world.CONNECTION}"
FLOOR_TARGET = 0.35
ALERTMANAGER_TARGET = 1.5
BEHIND_SECONDS_TARGET = 1.0
_CONFIG = "route: {receiver: nobody}\nreceivers: [{name: nobody}]\n"


def run(scale: Scale, directory: Path) -> list[Figure]:
    """Alternate the candidates per setting, so that a busy moment of the machine meets all of them."""
    made = world.make(directory / "hub")
    shape = payloads.Shape()
    webhooks, posts = {}, {}
    for batch in BATCHES:
        webhooks[batch] = load.write_bodies(
            directory / f"webhooks-{batch}", payloads.bodies(0, LABEL_SETS, batch, shape)
        )
        groups = range(0, LABEL_SETS, batch)
        alerts = ([payloads.alert(n, shape) for n in range(start, start + batch)] for start in groups)
        posts[batch] = load.write_bodies(
            directory / f"posts-{batch}", (payloads.alertmanager_post(each) for each in alerts)
        )
    figures: list[Figure] = []
    seconds = min(scale.seconds, 5.0)
    floor_port = serving.free_port()
    floor = [sys.executable, "-m", "benchmarks.floor", str(floor_port)]
    with _alertmanager(directory) as alertmanager_port:
        for batch in BATCHES:
            for connections in CONNECTIONS:
                common: dict[str, Any] = {"connections": connections, "seconds": seconds}
                ours = {**common, "path": PATH, "headers": made.headers, "bodies": str(webhooks[batch])}
                with serving.process(floor, floor_port):
                    bare = load.generate(port=floor_port, **ours)
                with serving.hub(made, role="front") as hub:
                    durable = load.generate(port=hub.port, **ours)
                name = f"intake, {batch} per webhook, {connections} connections"
                notes = {"p99 ms": round(durable["p99_ms"], 1), "statuses": durable["statuses"]}
                figures.append(
                    Figure(
                        name=name, value=durable["per_second"] * batch, unit="alerts/s", against="no storing",
                        other=bare["per_second"] * batch, judged="ratio", notes=notes,
                        target=FLOOR_TARGET if batch == BATCHES[-1] else 0,
                    )
                )  # fmt: skip
                if not alertmanager_port:
                    continue
                theirs = load.generate(
                    **common, port=alertmanager_port, path="/api/v2/alerts", bodies=str(posts[batch]),
                    headers={"Content-Type": "application/json"},
                )  # fmt: skip
                figures.append(
                    Figure(
                        name=name, value=durable["per_second"] * batch, unit="alerts/s", against="Alertmanager",
                        other=theirs["per_second"] * batch, judged="ratio",
                        target=ALERTMANAGER_TARGET if batch == BATCHES[-1] else 0,
                        notes={"its p99 ms": round(theirs["p99_ms"], 1), "statuses": theirs["statuses"]},
                    )
                )  # fmt: skip
    if not alertmanager_port:
        figures.append(Figure(name="intake against Alertmanager", value=0, unit="skipped: not installed"))
    figures.append(_with_pump(made, webhooks[BATCHES[-1]], seconds, bare["per_second"] * BATCHES[-1]))
    return figures


def _with_pump(made: world.World, bodies: Path, seconds: float, floor: float) -> Figure:
    """The same load on the whole hub; how long the pump needs afterwards is how far it was behind."""
    with serving.hub(made) as hub:
        book = serving.Book(made.directory)
        before = _last_position(book, made)
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
    return Figure(
        name="intake while the pump runs, 20 per webhook, 32 connections", value=done["per_second"] * 20,
        unit="alerts/s", against="no storing", other=floor, judged="ratio", target=FLOOR_TARGET,
        notes={"pump behind s": round(behind, 1), "promised s": BEHIND_SECONDS_TARGET, "p99 ms": round(done["p99_ms"], 1)},
    )  # fmt: skip


def _last_position(book: serving.Book, made: world.World) -> int:
    """Wait until the pump has caught up with the earlier, front-only runs."""
    del made
    import time

    position = -1
    while position != (position := book.position()):
        time.sleep(1.5)
    return position


@contextlib.contextmanager
def _alertmanager(directory: Path) -> Iterator[int]:
    program = shutil.which("prometheus-alertmanager") or shutil.which("alertmanager")
    if program is None:
        yield 0
        return
    config = directory / "alertmanager.yml"
    config.write_text(_CONFIG)
    port = serving.free_port()
    command = [
        program, f"--config.file={config}", f"--storage.path={directory / 'alertmanager'}",
        f"--web.listen-address=127.0.0.1:{port}", "--cluster.listen-address=", "--log.level=error",
    ]  # fmt: skip
    with serving.process(command, port):
        yield port
