"""From the request to the alert that everybody sees: hub and Alertmanager take the same repeats of the same alerts.

The hub accepts durably, then decides and commits: an alert counts when the pump has passed its message. Alertmanager
keeps alerts in memory, so its alerts count when it has answered.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from benchmarks import alertmanager, load, payloads, serving, world
from benchmarks.alertmanager import Peer
from benchmarks.figures import Figure, Scale
from benchmarks.intake import PATH

TARGETS = {1: 5_000, 20: 20_000, 100: 0}
"""Alerts per second, processed and visible, by alerts per webhook."""
CPU_TARGET = 2.0
CONNECTIONS = 8
SHAPE = payloads.Shape()


def run(scale: Scale, directory: Path) -> list[Figure]:
    """Both know the alerts already; then each takes the same number of repeats as fast as it can."""
    made = world.make(directory / "hub")
    sets = scale.alerts // 6
    sets -= sets % 100
    book = serving.Book(made.directory)
    known = book.position() + serving.fill(0, sets, SHAPE, per_webhook=100)
    figures: list[Figure] = []
    with alertmanager.running(directory) as peer, serving.hub(made) as hub:
        serving.await_position(book, known)
        while book.unsealed_seconds():
            time.sleep(0.2)
        for batch, target in TARGETS.items():
            figures += _repeats(scale, directory, made, hub, book, peer, sets, batch, target)
        alerts = book.one("SELECT COUNT(*) FROM monitoring_alert")
    book.close()
    if alerts != sets:
        raise RuntimeError(f"{alerts} alerts were made of {sets}.")
    return figures


def _repeats(
    scale: Scale, directory: Path, made: world.World, hub: Any, book: serving.Book, peer: Peer | None, sets: int, batch: int,
    target: int,
) -> list[Figure]:  # fmt: skip
    webhooks = load.write_bodies(directory / f"webhooks-{batch}", payloads.bodies(0, sets, batch, SHAPE))
    requests = max(200, (scale.alerts if batch > 1 else scale.alerts // 4) // batch)
    before = book.position()
    used, since = serving.cpu_seconds(hub), time.perf_counter()
    sent = load.generate(
        port=hub.port, path=PATH, headers=made.headers, bodies=str(webhooks), connections=CONNECTIONS, seconds=60, requests=requests
    )  # fmt: skip
    accepted = time.perf_counter() - since
    serving.await_position(book, before + sent["requests"])
    took = time.perf_counter() - since
    alerts = sent["requests"] * batch
    each = 1e6 * (serving.cpu_seconds(hub) - used) / alerts
    name = f"processed and visible, repeats, {batch} per webhook"
    notes = {
        "alerts": alerts,
        "accepted in s": round(accepted, 1),
        "visible in s": round(took, 1),
        "CPU us each": round(each),
    }
    theirs: dict[str, Any] = {}
    if peer is not None:
        posts = alertmanager.bodies(directory / f"posts-{batch}", 0, sets, batch, SHAPE)
        theirs = peer.send(posts, connections=CONNECTIONS, seconds=60, requests=requests)
    found = [
        Figure(
            name=name, value=alerts / took, unit="alerts/s", target=target, notes=notes,
            against="Alertmanager" if theirs else "", other=theirs.get("per_second", 0) * batch,
        )
    ]  # fmt: skip
    if theirs:
        found.append(
            Figure(
                name=f"CPU of a processed repeat, {batch} per webhook", value=each, unit="us", against="Alertmanager",
                other=1e6 * theirs["server_cpu_seconds"] / (theirs["requests"] * batch), judged="ratio", target=CPU_TARGET, at_most=True,
            )
        )  # fmt: skip
    return found
