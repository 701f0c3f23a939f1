"""What supervisor, front and work share: a heartbeat, a bell, the parent's life line."""

from __future__ import annotations

import mmap
import os
import select
import struct
import threading
import time
from dataclasses import dataclass, field

_BEAT = struct.Struct("<d")


class Heartbeat:
    """When `work` last came round, in a page shared by forked processes (monotonic seconds)."""

    def __init__(self) -> None:
        self._page = mmap.mmap(-1, mmap.PAGESIZE)

    def beat(self) -> None:
        """Say that the process is alive."""
        _BEAT.pack_into(self._page, 0, time.monotonic())

    def age_seconds(self) -> float | None:
        """Return the age of the last beat, None before the first."""
        (last,) = _BEAT.unpack_from(self._page)
        return None if last == 0 else max(0.0, time.monotonic() - last)


class Bell:
    """Rung by whoever made messages durable; the pump waits on it instead of asking all the time."""

    def __init__(self) -> None:
        self._descriptor = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)

    def ring(self) -> None:
        """Wake the listener, now or when it next waits."""
        os.eventfd_write(self._descriptor, 1)

    def wait(self, seconds: float) -> bool:
        """Wait until the bell rings; False if it did not within `seconds`."""
        ready, _, _ = select.select([self._descriptor], [], [], seconds)
        if not ready:
            return False
        try:
            os.eventfd_read(self._descriptor)
        except BlockingIOError:
            return False
        return True


@dataclass
class LifeLine:
    """A pipe that closes when the supervisor dies, however it dies: its children then end at once."""

    ends: tuple[int, int] = field(default_factory=os.pipe)

    def hold_on(self) -> None:
        """In a child: leave the moment the supervisor is gone."""
        os.close(self.ends[1])
        threading.Thread(target=self._watch, name="life-line", daemon=True).start()

    def _watch(self) -> None:
        os.read(self.ends[0], 1)
        os._exit(70)


@dataclass(frozen=True, kw_only=True)
class Shared:
    """Made before the fork, used on both sides of it."""

    heartbeat: Heartbeat = field(default_factory=Heartbeat)
    bell: Bell = field(default_factory=Bell)
    life_line: LifeLine = field(default_factory=LifeLine)
