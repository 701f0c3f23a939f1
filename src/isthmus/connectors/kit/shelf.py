"""The objects of a simulated vendor, with their past: what a lagging replica or search index would show."""

from __future__ import annotations

import copy
import time
from collections.abc import Iterator
from typing import Any

_PAST_MAX = 20


class Shelf:
    """Objects by key, in order of creation. Every `put` keeps a few earlier versions with their times."""

    def __init__(self) -> None:
        self._past: dict[str, list[tuple[float, dict[str, Any] | None]]] = {}
        self._counter = 0

    def next_number(self) -> int:
        """Return 1, 2, 3 … for keys and labels."""
        self._counter += 1
        return self._counter

    def put(self, key: str, item: dict[str, Any]) -> None:
        """Store an object; later changes to `item` itself do not reach the shelf."""
        self._past.setdefault(key, []).append((time.monotonic(), copy.deepcopy(item)))
        del self._past[key][:-_PAST_MAX]

    def remove(self, key: str) -> None:
        """Delete an object; replicas show it for a while."""
        self._past[key].append((time.monotonic(), None))

    def get(self, key: str, *, lag_seconds: float = 0.0) -> dict[str, Any] | None:
        """Return a copy of the object as it was `lag_seconds` ago, or None."""
        moment = time.monotonic() - lag_seconds
        for at, item in reversed(self._past.get(key, [])):
            if at <= moment:
                found: dict[str, Any] | None = copy.deepcopy(item)
                return found
        return None

    def all(self, *, lag_seconds: float = 0.0) -> Iterator[tuple[str, dict[str, Any]]]:
        """Yield (key, copy) of every object as it was `lag_seconds` ago."""
        for key in list(self._past):
            if (item := self.get(key, lag_seconds=lag_seconds)) is not None:
                yield key, item

    def __len__(self) -> int:
        return sum(1 for past in self._past.values() if past[-1][1] is not None)
