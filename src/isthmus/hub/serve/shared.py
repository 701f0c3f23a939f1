"""What the processes of a hub share: heartbeats, bells, the parent's life line."""

from __future__ import annotations

import mmap
import os
import select
import struct
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal, get_args

EngineRole = Literal["pump", "lanes", "keeper"]
ENGINE: Final[tuple[EngineRole, ...]] = get_args(EngineRole)
"""The processes of the engine: what comes in is decided, what goes out is delivered, the book is kept. Each has an
interpreter of its own, so that none of them waits for another's."""
_BEAT = struct.Struct("<d")


class Heartbeats:
    """When each process of the engine last came round, in a page shared by forked processes (monotonic seconds)."""

    def __init__(self) -> None:
        self._page = mmap.mmap(-1, mmap.PAGESIZE)

    def beat(self, role: EngineRole) -> None:
        """Say that the process is alive."""
        _BEAT.pack_into(self._page, _BEAT.size * ENGINE.index(role), time.monotonic())

    def ages(self) -> dict[EngineRole, float | None]:
        """Return the age of each last beat in seconds, None before the first."""
        beats = [_BEAT.unpack_from(self._page, _BEAT.size * place)[0] for place in range(len(ENGINE))]
        now = time.monotonic()
        return {
            role: None if last == 0 else max(0.0, now - last)
            for role, last in zip(ENGINE, beats, strict=True)
        }


class Flag:
    """A yes or no that one process says and others read."""

    def __init__(self) -> None:
        self._page = mmap.mmap(-1, mmap.PAGESIZE)

    def say(self, *, yes: bool) -> None:
        """Say it."""
        self._page[0] = int(yes)

    def __bool__(self) -> bool:
        return bool(self._page[0])


class Bell:
    """Rung by whoever made something durable; whoever waits for that need not ask all the time."""

    def __init__(self) -> None:
        self._descriptor = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)

    def ring(self) -> None:
        """Wake the listener, now or when it next waits."""
        os.eventfd_write(self._descriptor, 1)

    def wait(self, seconds: float) -> bool:
        """Wait until the bell rings; False if it did not within `seconds`."""
        ready, _, _ = select.select([self._descriptor], [], [], seconds)
        return bool(ready) and self.quieten()

    def quieten(self) -> bool:
        """Take note of the rings so far; False if there were none."""
        try:
            os.eventfd_read(self._descriptor)
        except BlockingIOError:
            return False
        return True

    def fileno(self) -> int:
        """Return what becomes readable when the bell rings."""
        return self._descriptor


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
    """Made before the fork, used by all processes after it."""

    heartbeats: Heartbeats = field(default_factory=Heartbeats)
    messages: Bell = field(default_factory=Bell)
    """Rung when messages are durable: the pump listens."""
    errands: Bell = field(default_factory=Bell)
    """Rung when lanes were given something to do: they listen."""
    behind: Flag = field(default_factory=Flag)
    """Whether more than a batch waits for the pump: work that may wait should."""
    life_line: LifeLine = field(default_factory=LifeLine)


def figures_of(run_dir: Path, role: EngineRole) -> Path:
    """Return where a process leaves its figures for `front`, which answers scrapes."""
    return run_dir / f"{role}.prom"
