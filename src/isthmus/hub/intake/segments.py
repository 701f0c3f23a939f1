"""The intake log in segment files: one directory per connection, files named by their first position.

    <log>/<connection>/lock                          who appends right now (flock)
    <log>/<connection>/mark                          how far the log is durable (see `mark.py`)
    <log>/<connection>/00000000000000000001.seg …    sealed frames (see `frames.py`)

Several processes may append (webhooks in `front`, poll pages in `lanes`): each append holds the lock, takes
over whatever another process wrote, writes, syncs and only then publishes the mark. A writer killed at any
instant leaves a tail that the next one cuts back to whole frames; every acknowledged frame is whole.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

from isthmus.hub.intake.mark import Mark
from isthmus.hub.intake.message import Draft, Message
from isthmus.hub.intake.sealing import LogKeys
from isthmus.hub.intake.segment_reader import SegmentReader
from isthmus.hub.intake.segment_writer import SegmentWriter
from isthmus.kernel.errors import Rejected
from isthmus.kernel.instant import Instant

NAME = re.compile(r"[a-z0-9][a-z0-9_.-]{0,62}")
SEGMENT_BYTES_MAX = 64_000_000
T = TypeVar("T")


class SegmentLog:
    """`IntakeLog` over a directory. Thread-safe; one instance per process."""

    def __init__(self, directory: Path, keys: LogKeys, *, segment_bytes_max: int = SEGMENT_BYTES_MAX) -> None:
        self._directory = directory
        self._keys = keys
        self._segment_bytes_max = segment_bytes_max
        self._guard = threading.Lock()
        self._writers: dict[str, SegmentWriter] = {}
        self._readers: dict[str, SegmentReader] = {}
        self._marks: dict[str, Mark] = {}
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)

    def append(self, connection: str, drafts: Sequence[Draft]) -> int:
        """Append and return the position of the first; durable on return. Raises `LogUnavailable`."""
        return self._writer(connection).append(drafts)

    def read(
        self, connection: str, after: int, *, messages_max: int, bytes_max: int = 4_000_000
    ) -> list[Message]:
        """Return durable messages with positions above `after`, oldest first."""
        if self.durable(connection) <= after:
            return []
        return self._reader(connection).read(after, messages_max=messages_max, bytes_max=bytes_max)

    def durable(self, connection: str) -> int:
        """Return the position of the last durable message, 0 if there is none."""
        mark = self._marks.get(connection)
        if mark is None:
            if not (self._path(connection) / "mark").exists():
                return 0
            mark = self._mark(connection)
        return mark.get()

    def connections(self) -> list[str]:
        """Return the names of all connections that ever had a message."""
        return sorted(each.name for each in self._directory.iterdir() if NAME.fullmatch(each.name))

    def recover(self) -> None:
        """Cut torn tails and publish what is whole, for every connection."""
        for connection in self.connections():
            self._writer(connection).recover()

    def forget(self, connection: str, before: Instant, up_to: int) -> int:
        """Unlink segments that end before `before` and at or below `up_to`; return how many."""
        return self._writer(connection).forget(before, up_to) if connection in self.connections() else 0

    def close(self) -> None:
        """Close all files."""
        with self._guard:
            held: list[SegmentWriter | SegmentReader | Mark] = [
                *self._writers.values(), *self._readers.values(), *self._marks.values(),
            ]  # fmt: skip
            for each in held:
                each.close()
            self._writers.clear()
            self._readers.clear()
            self._marks.clear()

    def _path(self, connection: str) -> Path:
        if not NAME.fullmatch(connection):
            raise Rejected(
                f"{connection!r} cannot name a connection.",
                remedy="Use lower-case letters, digits, '.', '_' and '-', at most 63, starting with a letter or digit.",
            )
        return self._directory / connection

    def _once(self, held: dict[str, T], connection: str, make: Callable[[], T]) -> T:
        found = held.get(connection)
        if found is None:
            with self._guard:
                found = held.get(connection)
                if found is None:
                    found = held[connection] = make()
        return found

    def _mark(self, connection: str) -> Mark:
        return self._once(self._marks, connection, lambda: Mark(self._path(connection) / "mark"))

    def _writer(self, connection: str) -> SegmentWriter:
        path = self._path(connection)
        if connection not in self._writers:
            path.mkdir(exist_ok=True, mode=0o700)
        mark = self._mark(connection)
        return self._once(
            self._writers,
            connection,
            lambda: SegmentWriter(
                connection, path, self._keys, mark, segment_bytes_max=self._segment_bytes_max
            ),
        )

    def _reader(self, connection: str) -> SegmentReader:
        mark = self._mark(connection)
        return self._once(
            self._readers,
            connection,
            lambda: SegmentReader(connection, self._path(connection), self._keys, mark),
        )
