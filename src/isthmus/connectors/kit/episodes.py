"""Which alerts of a polled source are open, and since when: what one poll leaves for the next. Pure.

A source that can only be asked how things stand does not tell when an alert began or that it ended. The watermark
of its polls therefore keeps every open alert: one that is found again goes on in the same episode, one that is not
has ended, one whose absence proves nothing is kept.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Self

import msgspec

from isthmus.kernel.instant import Instant

OPEN_MAX = 5_000
"""Alerts beyond are passed on at every poll, but their end is not noticed."""


class Open(msgspec.Struct, frozen=True, array_like=True):
    """One open alert: its start, and what it takes to say that it has ended."""

    since: int
    labels: dict[str, str]
    summary: str


class _Remembered(msgspec.Struct, frozen=True):
    open: dict[str, Open] = {}


class Episodes:
    """The open alerts of one poll, compared with those of the poll before."""

    def __init__(self, before: dict[str, Open]) -> None:
        self._before = before
        self.now: dict[str, Open] = {}

    @classmethod
    def after(cls, watermark: str) -> Self:
        """Begin where the poll that left `watermark` ended."""
        try:
            return cls(msgspec.json.decode(watermark, type=_Remembered).open if watermark else {})
        except (msgspec.ValidationError, msgspec.DecodeError):
            return cls(
                {}
            )  # Written by another version: what is open is told once more, which changes nothing.

    def watermark(self) -> str:
        """Return what the next poll needs to know."""
        return msgspec.json.encode(_Remembered(self.now)).decode()

    def fires(self, key: str, at: Instant, labels: Mapping[str, str], summary: str) -> Instant:
        """Take an alert that fires at `at` and return the start of its episode."""
        held = self.now.get(key) or self._before.get(key)
        since = at if held is None else Instant(held.since)
        if key in self.now or len(self.now) < OPEN_MAX:
            self.now[key] = Open(since, dict(labels), summary)
        return since

    def keeps(self, key: str) -> None:
        """Go on with an alert that is open, if it is: nothing says that it ended."""
        if key in self._before:
            self.now.setdefault(key, self._before[key])

    def keeps_all(self, prefix: str = "", *, but: Collection[str] = ()) -> None:
        """Go on with every open alert whose key begins with `prefix`, `but` those that were judged: what is absent
        proves nothing there."""
        for key in self._before:
            if key.startswith(prefix) and key not in but:
                self.keeps(key)

    def ended(self) -> dict[str, Open]:
        """Return what was open before and is not now."""
        return {key: held for key, held in self._before.items() if key not in self.now}
