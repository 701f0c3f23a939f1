"""The edge where identifiers, randomness and the clock enter. Tests replace `source` to be repeatable."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass, field

from isthmus.kernel.instant import Instant

_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_PAIRS = [a + b for a in _ALPHABET for b in _ALPHABET]


def encode_ulid(milliseconds: int, randomness: int) -> str:
    """Return the 26 characters of a ULID (48 bits of time, 80 bits of randomness; Crockford base 32)."""
    value = (milliseconds << 80) | randomness
    return "".join([_PAIRS[(value >> shift) & 1023] for shift in range(120, -1, -10)])


@dataclass
class Source:
    """Clock and identifiers of one process. `offset` forwards the clock in stories and tests."""

    offset: int = 0
    _last: int = field(default=0, repr=False)
    _counter: int = field(default=0, repr=False)

    def now(self) -> Instant:
        return Instant(time.time_ns() // 1000 + self.offset)

    def new_id(self) -> str:
        """Return a ULID; ids of one process sort in the order in which they were made."""
        milliseconds = self.now() // 1000
        if milliseconds <= self._last:
            self._counter += 1
        else:
            self._last = milliseconds
            self._counter = int.from_bytes(os.urandom(9), "big")
        return encode_ulid(self._last, self._counter & ((1 << 80) - 1))

    def new_trace(self) -> str:
        """Return a W3C trace id: 32 lower-case hex digits, the first 12 of them the time in milliseconds.

        Traces that grow with time keep the book's trace index at its end, where writing is cheap.
        """
        return f"{self.now() // 1000:012x}{os.urandom(10).hex()}"


source = Source()
