"""Prometheus Alertmanager as a peer, where it is installed: it answers from memory and commits nothing."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks import load, payloads, serving

_CONFIG = "route: {receiver: nobody}\nreceivers: [{name: nobody}]\n"


@dataclass(frozen=True, kw_only=True)
class Peer:
    """A running Alertmanager."""

    port: int
    pid: int

    def send(self, bodies: Path, **asked: Any) -> dict[str, Any]:
        """Send it alerts; return what the generator says and the CPU seconds that it used."""
        used = serving.cpu_seconds_of(self.pid)
        done = load.generate(
            port=self.port, path="/api/v2/alerts", bodies=str(bodies), headers={"Content-Type": "application/json"}, **asked
        )  # fmt: skip
        return {**done, "server_cpu_seconds": serving.cpu_seconds_of(self.pid) - used}


@contextlib.contextmanager
def running(directory: Path) -> Iterator[Peer | None]:
    """Run one on the loopback with nobody to notify; None where the program is not installed."""
    program = shutil.which("prometheus-alertmanager") or shutil.which("alertmanager")
    if program is None:
        yield None
        return
    config = directory / "alertmanager.yml"
    config.write_text(_CONFIG)
    port = serving.free_port()
    command = [
        program, f"--config.file={config}", f"--storage.path={directory / 'alertmanager'}",
        f"--web.listen-address=127.0.0.1:{port}", "--cluster.listen-address=", "--log.level=error",
    ]  # fmt: skip
    with serving.process(command, port) as started:
        yield Peer(port=port, pid=started.pid)


def bodies(target: Path, first: int, count: int, batch: int, shape: payloads.Shape) -> Path:
    """Write the same alerts that `payloads.bodies` makes as requests of Alertmanager's own API."""
    groups = range(first, first + count, batch)
    alerts = ([payloads.alert(n, shape) for n in range(start, start + batch)] for start in groups)
    return load.write_bodies(target, (payloads.alertmanager_post(each) for each in alerts))
