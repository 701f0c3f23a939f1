"""A fair turnstile before every write transaction on one SQLite file, across threads and processes.

SQLite's own busy handler sleeps and tries again, so a writer that comes back at once (the pump) starves one
that sleeps (a page). Here a writer passes two locks: whoever waits for the write lock holds the queue lock,
and nobody can pass it by. Both are `flock`s on files beside the book: the system frees them if a process
dies. PostgreSQL orders writers by itself, so there the turnstile is open.
"""

from __future__ import annotations

import fcntl
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from django.db import connection

_here = threading.local()


def acquire(book: Path) -> int:
    """Wait for the turn of this writer; return what `release` takes back."""
    turn = os.open(book.with_name("turnstile.write"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        queue = os.open(book.with_name("turnstile.queue"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(queue, fcntl.LOCK_EX)
            fcntl.flock(turn, fcntl.LOCK_EX)
        finally:
            os.close(queue)
    except BaseException:
        os.close(turn)
        raise
    return turn


def release(turn: int) -> None:
    """Let the next writer pass."""
    os.close(turn)


def held() -> bool:
    """True inside `entered` in this thread."""
    return getattr(_here, "held", False)


@contextmanager
def entered() -> Iterator[None]:
    """Hold the right to write. Inside an open transaction, or entered again, it is held already."""
    if connection.vendor != "sqlite" or connection.in_atomic_block or held():
        yield
        return
    turn = acquire(Path(str(connection.settings_dict["NAME"])))
    _here.held = True
    try:
        yield
    finally:
        _here.held = False
        release(turn)
