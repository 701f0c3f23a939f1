"""The loops of the engine: each in its own thread, each surviving its own faults."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable
from dataclasses import dataclass

import structlog
from django.db import close_old_connections, connections

from isthmus.ledger import scope

_log = structlog.get_logger(__name__)

BACKOFF_SECONDS_MAX = 30.0


@dataclass(frozen=True, kw_only=True)
class Loop:
    """`step` does one round and returns whether there may be more at once; `rest` waits when there is not."""

    name: str
    step: Callable[[], bool]
    rest: Callable[[], object]


def run(loop: Loop, stopped: threading.Event) -> None:
    """Run a loop until `stopped`; a round that raises is logged and tried again, later each time."""
    fails = 0
    with scope.everywhere(loop.name):
        while not stopped.is_set():
            try:
                more = loop.step()
            except Exception:  # noqa: BLE001 - a loop lives as long as its process
                fails += 1
                _log.exception("loop_failed", loop=loop.name, fails=fails)
                close_old_connections()
                # Jitter: loops that failed together must not come back together.
                stopped.wait(min(0.5 * 2**fails, BACKOFF_SECONDS_MAX) * random.uniform(0.5, 1.0))  # noqa: S311
                continue
            fails = 0
            if not more:
                loop.rest()
    connections.close_all()


def start(loops: list[Loop], stopped: threading.Event) -> list[threading.Thread]:
    """Start every loop in a thread of its own."""
    threads = [
        threading.Thread(target=run, args=(each, stopped), name=each.name, daemon=True) for each in loops
    ]
    for each in threads:
        each.start()
    return threads
