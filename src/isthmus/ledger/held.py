"""What a process holds of the book in memory, as of a counter: read again when the counter has moved.

The counter is read first. A row that is newer than it costs one more reading, an older one cannot be missed.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

from django.db import connection

T = TypeVar("T")

HOLDERS_MAX = 64
"""How many organisations' state one process holds of one thing; the one unused for longest is dropped."""


class Held(Generic[T]):
    """One thing, of several holders."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._held: OrderedDict[Hashable, tuple[Hashable, T]] = OrderedDict()

    def as_of(self, mark: Hashable, holder: Hashable, read: Callable[[], T]) -> T:
        """Return what is held of `holder` as of `mark`, or what `read` returns."""
        # The name of the store belongs to the key: a restored or swapped book starts from nothing.
        key = (str(connection.settings_dict["NAME"]), holder)
        with self._lock:
            known = self._held.get(key)
            if known is not None and known[0] == mark:
                self._held.move_to_end(key)
                return known[1]
        found = read()
        with self._lock:
            self._held[key] = (mark, found)
            if len(self._held) > HOLDERS_MAX:
                self._held.popitem(last=False)
        return found

    def forget(self) -> None:
        """Drop what is held: between tests, and after a restore."""
        with self._lock:
            self._held.clear()
