"""The port of the intake log: append durably, read in order, forget by age.

Two stores keep it: segment files (`segments.py`, beside SQLite) and a table (`table.py`, on PostgreSQL).
A log partition is a connection; the order of positions is the order in which appends became durable.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

from isthmus.hub.intake.message import Draft, Message
from isthmus.kernel.errors import Retryable
from isthmus.kernel.instant import Instant
from isthmus.settings import Settings

if TYPE_CHECKING:
    from isthmus.hub.intake.sealing import LogKeys


class LogUnavailable(Retryable):
    """The log cannot take messages now (disk full, store away): the sender should come again."""


class IntakeLog(Protocol):
    """The durable, ordered record of everything that came through any door."""

    def append(self, connection: str, drafts: Sequence[Draft]) -> int:
        """Append and return the position of the first; durable on return. Raises `LogUnavailable`."""
        ...

    def read(
        self, connection: str, after: int, *, messages_max: int, bytes_max: int = 4_000_000
    ) -> list[Message]:
        """Return durable messages with positions above `after`, oldest first; at least one if there is any."""
        ...

    def durable(self, connection: str) -> int:
        """Return the position of the last durable message of a connection, 0 if there is none."""
        ...

    def connections(self) -> list[str]:
        """Return the names of all connections that ever had a message."""
        ...

    def recover(self) -> None:
        """Mend what a killed writer left: cut torn tails, publish what is whole. Safe beside live writers."""
        ...

    def forget(self, connection: str, before: Instant, up_to: int) -> int:
        """Remove messages older than `before` that lie at or below `up_to`, with their keys; return units freed."""
        ...

    def close(self) -> None:
        """Release files and connections."""
        ...


def open_log(settings: Settings, keys: LogKeys) -> IntakeLog:
    """Return the log that `settings` ask for, recovered and ready."""
    log: IntakeLog
    if settings.database_url:
        from isthmus.hub.intake.table import TableLog

        log = TableLog(settings.database_url, keys)
    else:
        from isthmus.hub.intake.segments import SegmentLog

        log = SegmentLog(settings.log_dir, keys)
    log.recover()
    return log
