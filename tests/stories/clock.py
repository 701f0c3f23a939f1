"""A clock that a story moves ahead while the hub runs, and the command line whose processes read it.

The product knows no such clock. `python clock.py serve …` is `isthmus serve …` with this one put in: how far it is
ahead stands in a file that every process has mapped, so all of them see it move at once, and after a `kill -9` too.
"""

from __future__ import annotations

import mmap
import os
import struct
import time
from pathlib import Path

from isthmus.kernel.instant import HOUR, MINUTE, SECOND, Instant

PROGRAM = (str(Path(__file__)),)
PAGE = "STORY_CLOCK"
_AHEAD = struct.Struct("<q")
"""Microseconds by which the clock is ahead of the world's."""


class Clock:
    """The story's hand on the hub's clock. `page` is the file that the hub reads."""

    def __init__(self, page: Path) -> None:
        self._page = page
        page.write_bytes(_AHEAD.pack(0))

    def environment(self) -> dict[str, str]:
        """Return what tells the hub's processes where the clock is."""
        return {PAGE: str(self._page)}

    @property
    def ahead(self) -> int:
        """Return by how much the clock is ahead, in microseconds."""
        return int(_AHEAD.unpack(self._page.read_bytes())[0])

    def now(self) -> Instant:
        return Instant(time.time_ns() // 1000 + self.ahead)

    def forward(self, *, hours: float = 0, minutes: float = 0, seconds: float = 0) -> None:
        ahead = self.ahead + int(hours * HOUR + minutes * MINUTE + seconds * SECOND)
        # In place: the hub has mapped this very file.
        with self._page.open("r+b") as held:
            held.write(_AHEAD.pack(ahead))

    def reach(self, at: int) -> None:
        """Move on to an instant; one that has passed already is no error."""
        self.forward(seconds=max(0, at - self.now()) / SECOND)


def main() -> None:
    """Run the command line on the story's clock."""
    from isthmus.cli.main import main as command_line
    from isthmus.ledger import ids

    with Path(os.environ[PAGE]).open("rb") as held:
        page = mmap.mmap(held.fileno(), _AHEAD.size, access=mmap.ACCESS_READ)

    def now() -> Instant:
        return Instant(time.time_ns() // 1000 + int(_AHEAD.unpack_from(page)[0]))

    ids.source.now = now  # type: ignore[method-assign]
    command_line()


if __name__ == "__main__":
    main()
