"""One tail of the journal per process, fanned out to everybody who watches.

Watchers are told *that* a record changed (kind, id, organisation), never what: they ask again through the
doors that check permissions. The tail reads the book only while somebody watches.
"""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial

import msgspec
import structlog
from django.db import close_old_connections

from isthmus.ledger.models import Entry

_log = structlog.get_logger(__name__)

POLL_SECONDS = 0.3
READ_MAX = 500
BEHIND_MAX = 200
"""Changes kept for a watcher that does not read; beyond it is told to look at everything again."""
OVERLAP = 256
"""On PostgreSQL an entry may become visible after one with a higher number: that many are read again."""


class Change(msgspec.Struct, frozen=True):
    """One record changed."""

    seq: int
    kind: str
    record: str
    organisation: str
    version: int


@dataclass(eq=False)
class Watcher:
    """Somebody who watches some organisations (None: all, for the hub itself). `lost` is set if changes had to be dropped."""

    organisations: frozenset[str] | None
    changes: deque[Change]
    wake: asyncio.Event
    lost: bool = False

    def drain(self) -> list[Change]:
        """Return what came since the last call."""
        self.wake.clear()
        found = list(self.changes)
        self.changes.clear()
        return found


class Tail:
    """Reads new entries in a thread and hands them to the watchers on the event loop."""

    def __init__(self) -> None:
        self._watchers: set[Watcher] = set()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._watched = threading.Event()
        self._stopped = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self, loop: asyncio.AbstractEventLoop) -> None:
        """Start the reading thread."""
        self._loop = loop
        self._thread = threading.Thread(target=self._run, name="journal-tail", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End the thread."""
        self._stopped.set()
        self._watched.set()
        if self._thread is not None:
            self._thread.join(timeout=5)

    @contextmanager
    def watch(self, organisations: frozenset[str] | None) -> Iterator[Watcher]:
        """Watch from now on; only on the event loop."""
        watcher = Watcher(organisations, deque(maxlen=BEHIND_MAX), asyncio.Event())
        self._watchers.add(watcher)
        self._watched.set()
        try:
            yield watcher
        finally:
            self._watchers.discard(watcher)
            if not self._watchers:
                self._watched.clear()

    def _run(self) -> None:
        read = _Reader()
        while not self._stopped.is_set():
            if not self._watched.is_set():
                read.forget()
                self._watched.wait()
                continue
            try:
                changes = read()
            except Exception:  # noqa: BLE001 - a store that is away for a moment ends no stream
                _log.exception("tail_failed")
                close_old_connections()
                changes = []
            if changes and self._loop is not None:
                self._hand_over(partial(self._fan_out, changes))
            self._stopped.wait(POLL_SECONDS)

    def _hand_over(self, call: Callable[[], None]) -> None:
        try:
            if self._loop is not None:
                self._loop.call_soon_threadsafe(call)
        except RuntimeError:  # the loop is closed: nobody watches any more
            self._stopped.set()

    def _fan_out(self, changes: list[Change]) -> None:
        for watcher in self._watchers:
            seen = watcher.organisations
            mine = changes if seen is None else [each for each in changes if each.organisation in seen]
            if mine:
                watcher.lost = watcher.lost or len(watcher.changes) + len(mine) > BEHIND_MAX
                watcher.changes.extend(mine)
                watcher.wake.set()


class _Reader:
    """Returns each new entry once, starting from the newest at the first call."""

    def __init__(self) -> None:
        self._last: int | None = None
        self._seen: deque[int] = deque(maxlen=4 * OVERLAP)

    def forget(self) -> None:
        self._last = None
        self._seen.clear()

    def __call__(self) -> list[Change]:
        if self._last is None:
            self._last = Entry.objects.order_by("-seq").values_list("seq", flat=True).first() or 0
            self._seen.extend(
                Entry.objects.filter(seq__gt=self._last - OVERLAP)
                .order_by("seq")
                .values_list("seq", flat=True)
            )
            return []
        seen = set(self._seen)
        rows = Entry.objects.filter(seq__gt=self._last - OVERLAP).order_by("seq")
        found = [
            Change(*row)
            for row in rows.values_list("seq", "kind", "record", "organisation", "version")[
                : READ_MAX + OVERLAP
            ]
            if row[0] not in seen
        ]
        if found:
            self._last = max(self._last, found[-1].seq)
            self._seen.extend(each.seq for each in found)
        return found
