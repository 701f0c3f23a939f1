"""Refused requests, counted: no body is kept, and a flood of them writes one entry a minute."""

from __future__ import annotations

import threading
from collections import Counter
from typing import NamedTuple

KEYS_MAX = 1_000
FLUSH_SECONDS = 60.0


class Refusal(NamedTuple):
    """Whom we turned away, where, and why. All three are bounded words."""

    connection: str
    source: str
    reason: str


class Refusals:
    """Counters since the last flush. Thread-safe; bounded: further sources are counted together."""

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._counts: Counter[Refusal] = Counter()
        self.total: Counter[tuple[str, str]] = Counter()

    def add(self, connection: str, source: str, reason: str) -> None:
        """Count one refusal."""
        key = Refusal(connection, source, reason)
        with self._guard:
            if key not in self._counts and len(self._counts) >= KEYS_MAX:
                key = (
                    Refusal(connection, "others", reason)
                    if len(self._counts) < 2 * KEYS_MAX
                    else Refusal("", "others", reason)
                )
            self._counts[key] += 1
            self.total[key.connection, reason] += 1

    def take(self) -> dict[Refusal, int]:
        """Return the counts since the last call, and start again."""
        with self._guard:
            found, self._counts = dict(self._counts), Counter()
            return found

    def put_back(self, counts: dict[Refusal, int]) -> None:
        """Return counts that could not be journalled."""
        with self._guard:
            self._counts.update(counts)
