"""The process `pump`: what comes in is decided, and what waited for its time."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from isthmus.hub import leases, metrics
from isthmus.hub.intake import shared as shared_log
from isthmus.hub.pump.pump import Pump
from isthmus.hub.serve.loops import Loop
from isthmus.hub.serve.process import Process, announce_errands, holder
from isthmus.hub.sweeper import sweep
from isthmus.kernel.instant import SECOND
from isthmus.ledger.ids import source

if TYPE_CHECKING:
    from isthmus.hub.serve.shared import Shared

LEASE = "pump"
LEASE_FOR = 15 * SECOND
REST_SECONDS = 0.25
GATHER_BELOW, GATHER_SECONDS = 200, 0.03
"""After a round of fewer messages than this, with no batch waiting, the pump lets others gather for a moment that nobody
feels."""


class Pumping:
    """The loops of the process."""

    def __init__(self, process: Process) -> None:
        self._process = process
        self._shared = process.shared
        self._pump = Pump(shared_log.log())
        self._holder = holder()

    def loops(self) -> list[Loop]:
        """Return the loops that run in threads."""
        return [
            Loop(name="pump", step=self._round, rest=lambda: self._shared.messages.wait(REST_SECONDS)),
            Loop(
                name="sweeper", step=lambda: sweep(source.now()) > 0, rest=self._process.resting(REST_SECONDS)
            ),
        ]

    def _round(self) -> bool:
        now = source.now()
        self._pump.lease = leases.take(LEASE, now=now, holder=self._holder, held_for=LEASE_FOR)
        taken = self._pump.round() if self._pump.lease is not None else 0
        self._shared.behind.say(yes=self._pump.busy)
        if 0 < taken < GATHER_BELOW and not self._pump.busy:
            # A batch has a price whatever it holds: the next one is worth it when more has come together.
            self._process.wait(GATHER_SECONDS)
        return taken > 0


def main(shared: Shared, run_dir: Path) -> None:
    """Run until SIGTERM."""
    announce_errands(shared.errands)
    process = Process("pump", shared, run_dir, metrics.PUMP)
    process.run(Pumping(process).loops())
