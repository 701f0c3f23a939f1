"""Durations: ISO 8601 where people write them (PT15M), whole microseconds in rules, plain words in reasons."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from typing import Final

from isthmus.kernel.errors import Problem
from isthmus.kernel.instant import DAY, HOUR, MINUTE, SECOND

_UNITS: Final = ((DAY, "d"), (HOUR, "h"), (MINUTE, "min"), (SECOND, "s"))
LONGEST: Final = dt.timedelta(days=366)


def microseconds(duration: dt.timedelta) -> int:
    """Return a duration in microseconds, to be added to an instant."""
    return duration // dt.timedelta(microseconds=1)


def in_words(span: int) -> str:
    """Return microseconds as people say them: "1 h 30 min", "3 s", "0 s"."""
    parts = []
    for unit, name in _UNITS:
        count, span = divmod(span, unit)
        if count:
            parts.append(f"{count} {name}")
    return " ".join(parts) or "0 s"


def check(
    durations: Iterable[tuple[str, dt.timedelta]],
    *,
    least: dt.timedelta = dt.timedelta(),
    most: dt.timedelta = LONGEST,
) -> list[Problem]:
    """Return a problem for every (path, duration) that is not whole seconds between `least` and `most`."""
    return [
        Problem(
            path=path,
            message="not a duration that can be kept",
            remedy=f"Write ISO 8601 in whole seconds, such as PT5M: {in_words(microseconds(least))} to {in_words(microseconds(most))}.",
        )
        for path, duration in durations
        if not least <= duration <= most or duration % dt.timedelta(seconds=1)
    ]
