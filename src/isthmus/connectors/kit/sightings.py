"""What polls have read already, for partners whose lists name objects that must then be read one by one.

A poll reaches back, because an index lags and two edits may share a version; so the partner names the same object at
many polls, and reading it each time would cost many times the calls of its edits. An object is left alone once it was
read twice, a while apart, under the version that the list shows: whatever shares that version was made before the
second of them. Kept in memory only; after a restart some objects are read once more.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Hashable, Iterable
from typing import Final

APART_SECONDS: Final = 2.0
"""Longer than the coarsest resolution of a version: a second."""
OBJECTS_MAX: Final = 10_000


class Sightings:
    """Which versions of objects were read, and when first and last (monotonic seconds at the reads' beginning)."""

    def __init__(self) -> None:
        self._read: OrderedDict[str, tuple[str, float, float]] = OrderedDict()

    def wanted(self, rows: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
        """Return those of the (key, version) rows that must be read (again)."""
        return [row for row in rows if not self._settled(*row)]

    def note(self, rows: Iterable[tuple[str, str]], began: float) -> None:
        """Remember that rows were read, beginning at `began`, and that what they showed is durable."""
        for key, version in rows:
            known, first, _ = self._read.pop(key, ("", began, began))
            self._read[key] = (version, first if known == version else began, began)
        while len(self._read) > OBJECTS_MAX:
            self._read.popitem(last=False)

    def _settled(self, key: str, version: str) -> bool:
        known, first, last = self._read.get(key, ("", 0.0, 0.0))
        return known == version and last - first >= APART_SECONDS


_held: dict[Hashable, Sightings] = {}


def of(*partner: Hashable) -> Sightings:
    """Return what this process remembers of a partner, named by its connection and address: clients come and go."""
    return _held.setdefault(partner, Sightings())


def now() -> float:
    """Return the moment at which a read begins."""
    return time.monotonic()
