"""Durations as people write and read them."""

from __future__ import annotations

import datetime as dt

import pytest

from isthmus.kernel import duration
from isthmus.kernel.instant import DAY, HOUR, MINUTE, SECOND


@pytest.mark.parametrize(
    ("span", "words"),
    [(0, "0 s"), (3 * SECOND, "3 s"), (90 * MINUTE, "1 h 30 min"), (7 * DAY + HOUR, "7 d 1 h")],
)
def test_a_span_in_words(span: int, words: str) -> None:
    assert duration.in_words(span) == words


@pytest.mark.parametrize("seconds", [-1, 0.5, 3601])
def test_what_cannot_be_kept_is_named_with_a_remedy(seconds: float) -> None:
    (problem,) = duration.check([("/wait", dt.timedelta(seconds=seconds))], most=dt.timedelta(hours=1))
    assert problem.path == "/wait"
    assert "0 s to 1 h" in problem.remedy


def test_whole_seconds_within_the_bounds_are_kept() -> None:
    assert duration.check([("/wait", dt.timedelta(hours=1))], most=dt.timedelta(hours=1)) == []
    assert duration.microseconds(dt.timedelta(seconds=3)) == 3 * SECOND
