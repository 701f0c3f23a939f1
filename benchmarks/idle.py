"""Memory of a hub that has nothing to do: proportional set size of all its processes together."""

from __future__ import annotations

import time
from pathlib import Path

from benchmarks import serving, world
from benchmarks.figures import Figure, Scale

MEGABYTES_TARGET = 240


def run(scale: Scale, directory: Path) -> list[Figure]:
    made = world.make(directory / "hub")
    with serving.hub(made) as hub:
        time.sleep(max(5.0, scale.seconds))
        assert hub._process is not None  # noqa: SLF001
        used = serving.pss_megabytes(hub._process.pid)  # noqa: SLF001
    return [
        Figure(
            name="idle hub, PSS of all processes",
            value=used,
            unit="MB",
            target=MEGABYTES_TARGET,
            at_most=True,
        )
    ]
