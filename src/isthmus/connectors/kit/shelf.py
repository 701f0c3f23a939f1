"""The objects of a simulated vendor, with their past: what a lagging replica or search index would show."""

from __future__ import annotations

import copy
import time
from collections.abc import Iterator, Mapping
from typing import Any

_PAST_MAX = 20
_IMMUTABLE = frozenset({str, int, float, bool, bytes, type(None)})


class Shelf:
    """Objects by key, in order of creation. Every `put` keeps a few earlier versions with their times.

    What is stored is never changed afterwards: readers that only look (`rows`, `having`) are shown the stored
    objects, others (`get`, `all`) get copies. A vendor with thousands of tickets must not be what a test waits for.
    """

    def __init__(self) -> None:
        self._past: dict[str, list[tuple[float, dict[str, Any] | None]]] = {}
        self._counter = 0
        self._indexes: dict[str, dict[Any, dict[str, None]]] = {}

    def next_number(self) -> int:
        """Return 1, 2, 3 … for keys and labels."""
        self._counter += 1
        return self._counter

    def put(self, key: str, item: dict[str, Any]) -> None:
        """Store an object; later changes to `item` itself do not reach the shelf."""
        self._index(key, item)
        past = self._past.setdefault(key, [])
        past.append((time.monotonic(), _copied(item)))
        del past[:-_PAST_MAX]

    def remove(self, key: str) -> None:
        """Delete an object; replicas show it for a while."""
        self._index(key, None)
        self._past[key].append((time.monotonic(), None))

    def get(self, key: str, *, lag_seconds: float = 0.0) -> dict[str, Any] | None:
        """Return a copy of the object as it was `lag_seconds` ago, or None."""
        found = self._seen(key, lag_seconds)
        return None if found is None else dict(_copied(found))

    def all(self, *, lag_seconds: float = 0.0) -> Iterator[tuple[str, dict[str, Any]]]:
        """Yield (key, copy) of every object as it was `lag_seconds` ago."""
        for key in list(self._past):
            if (item := self.get(key, lag_seconds=lag_seconds)) is not None:
                yield key, item

    def age(self, seconds: float) -> None:
        """Let everything have happened that much earlier: time passes, and nobody waits for it."""
        for past in self._past.values():
            past[:] = [(at - seconds, item) for at, item in past]

    def rows(self) -> Iterator[Mapping[str, Any]]:
        """Yield every object as it is now, for reading only."""
        for past in list(self._past.values()):
            if (item := past[-1][1]) is not None:
                yield item

    def having(self, name: str, value: Any) -> list[Mapping[str, Any]]:
        """Return the objects whose member `name` is `value` now, in order of creation, for reading only."""
        held = self._indexes.get(name)
        if held is None:
            held = self._indexes[name] = {}
            for key, past in self._past.items():
                if past[-1][1] is not None:
                    held.setdefault(past[-1][1].get(name), {})[key] = None
        found = held.get(value, {})
        keys = found if len(found) < 2 else [key for key in self._past if key in found]
        return [item for key in keys if (item := self._past[key][-1][1]) is not None]

    def _seen(self, key: str, lag_seconds: float) -> dict[str, Any] | None:
        moment = time.monotonic() - lag_seconds
        for at, item in reversed(self._past.get(key, [])):
            if at <= moment:
                shown: dict[str, Any] | None = item
                return shown
        return None

    def _index(self, key: str, item: Mapping[str, Any] | None) -> None:
        """Move an object in the indexes that exist, before it is stored."""
        past = self._past.get(key)
        held = past[-1][1] if past else None
        for name, index in self._indexes.items():
            before, after = (each.get(name) if each is not None else None for each in (held, item))
            if held is not None and (item is None or before != after):
                index.get(before, {}).pop(key, None)
            if item is not None:
                index.setdefault(after, {})[key] = None

    def __len__(self) -> int:
        return sum(1 for past in self._past.values() if past[-1][1] is not None)


def _copied(value: Any) -> Any:
    """Return a copy that shares nothing that can change: much faster than `copy.deepcopy` for plain values."""
    kind = type(value)
    if kind in _IMMUTABLE:
        return value
    if kind is dict:
        return {name: each if type(each) in _IMMUTABLE else _copied(each) for name, each in value.items()}
    if kind is list:
        return [each if type(each) in _IMMUTABLE else _copied(each) for each in value]
    return copy.deepcopy(value)
