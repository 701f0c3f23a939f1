"""The process `keeper`: the book is sealed, signed, searchable and tidy."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import structlog

from isthmus.hub import connections, health, housekeeping, metrics, pruning
from isthmus.hub.connections import Connection
from isthmus.hub.http import idempotency
from isthmus.hub.intake import shared as shared_log
from isthmus.hub.pump.lag import lag
from isthmus.hub.serve.loops import Loop
from isthmus.hub.serve.process import Process, announce_errands, holder
from isthmus.kernel.actor import Origin, system
from isthmus.kernel.errors import IsthmusError
from isthmus.kernel.instant import SECOND
from isthmus.ledger import sealer, search, upkeep
from isthmus.ledger.door import perform
from isthmus.ledger.ids import source
from isthmus.ledger.sqlite import log_upkeep
from isthmus.ledger.work import Work

if TYPE_CHECKING:
    from isthmus.hub.serve.shared import Shared

_log = structlog.get_logger(__name__)

KEEP_SECONDS = 0.25
"""Between two rounds of the sealer: an entry has its place in the chain well within a second."""
NOTE_SECONDS = 5.0
HOUSEKEEPING_SECONDS = 60.0


class Keeping:
    """The loops of the process."""

    def __init__(self, process: Process) -> None:
        self._process = process
        self._behind = process.shared.behind
        self._log = shared_log.log()
        self._kept = 0
        self._holder = holder()
        self._pruner = pruning.Pruner(self._holder)

    def loops(self) -> list[Loop]:
        """Return the loops that run in threads."""
        resting = self._process.resting
        return [
            Loop(name="sealer", step=self._keep, rest=resting(KEEP_SECONDS)),
            Loop(name="book-log", step=_copy_back, rest=resting(0.5)),
            Loop(name="notes", step=self._note, rest=resting(NOTE_SECONDS)),
            Loop(name="housekeeping", step=self._tidy, rest=resting(HOUSEKEEPING_SECONDS)),
        ]

    def _keep(self) -> bool:
        """Seal, sign and index; say so loudly while entries wait too long for their seal."""
        self._kept += 1
        # A storm is recorded before it is indexed for search; every tenth round keeps the index moving even so.
        index = not self._behind or self._kept % 10 == 0
        kept = upkeep.tick(source.now(), holder=self._holder, index=index)
        metrics.UNSEALED.set(kept.unsealed_age / SECOND)
        if kept.alarming:
            _log.error("unsealed_tail", seconds=kept.unsealed_age / SECOND)
        # A round has a price whatever it finds, and takes the turnstile: only one that was full is followed at once.
        return kept.sealed >= sealer.ENTRIES_MAX or kept.indexed >= search.INDEXED_MAX

    def _note(self) -> bool:
        """Say how far behind each connection is, for the console."""
        now = source.now()
        lags = [found for each in connections.in_force().values() if (found := self._lag(each)) is not None]

        def act(work: Work) -> None:
            for connection, messages, age in lags:
                held = health.state_of(connection.organisation, connection.name)
                if (held.lag_messages, held.lag_microseconds) != (messages, age):
                    health.observed(
                        work,
                        connection.organisation,
                        connection.name,
                        lag_messages=messages,
                        lag_microseconds=age,
                    )

        for connection, _, age in lags:
            metrics.LAG.labels(connection.name).set(age / SECOND)
        perform(act, actor=system("notes"), origin=Origin(channel="timer"), now=now)
        return False

    def _lag(self, connection: Connection) -> tuple[Connection, int, int] | None:
        """Return how far behind a connection is; a log that cannot be read takes no other's number away."""
        try:
            return connection, *lag(self._log, connection)
        except (IsthmusError, OSError):
            _log.exception("lag_unknown", connection=connection.name)
            return None

    def _tidy(self) -> bool:
        now = source.now()
        housekeeping.forget_messages(self._log, now)
        housekeeping.forget_sessions(now)
        idempotency.forget_expired(now)
        more = self._pruner.step(now)
        return more or housekeeping.forget_expired(now) >= housekeeping.EXPIRED_MAX


def _copy_back() -> bool:
    log_upkeep.copy_back()
    return False


def main(shared: Shared, run_dir: Path) -> None:
    """Run until SIGTERM."""
    announce_errands(shared.errands)
    process = Process("keeper", shared, run_dir, metrics.KEEPER)
    process.run(Keeping(process).loops())
