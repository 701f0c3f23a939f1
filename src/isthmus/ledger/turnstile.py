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

_held = threading.local()


@contextmanager
def entered() -> Iterator[None]:
    """Hold the right to write. Re-entrant in a thread; inside an open transaction it is already held."""
    if connection.vendor != "sqlite" or connection.in_atomic_block or getattr(_held, "here", False):
        yield
        return
    book = Path(str(connection.settings_dict["NAME"]))
    write = os.open(book.with_name("turnstile.write"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        queue = os.open(book.with_name("turnstile.queue"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(queue, fcntl.LOCK_EX)
            fcntl.flock(write, fcntl.LOCK_EX)
        finally:
            os.close(queue)
        _held.here = True
        try:
            yield
        finally:
            _held.here = False
    finally:
        os.close(write)
