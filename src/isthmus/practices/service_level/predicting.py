"""Prediction from the organisation's own ended clocks of the same promise."""

from __future__ import annotations

from typing import Final

from isthmus.kernel.instant import Instant
from isthmus.practices.service_level import board, timekeeping
from isthmus.practices.service_level.models import SlaClock
from isthmus.practices.service_level.rules import prediction
from isthmus.practices.service_level.rules.prediction import Prediction

HISTORY_MAX: Final = 2_000
"""The latest ended clocks that are looked at."""


def ended_like(clock: SlaClock) -> list[tuple[int, bool]]:
    """Return (elapsed, breached) of the latest ended clocks with the same record kind, target and amount."""
    rows = SlaClock.objects.filter(
        organisation=clock.organisation, state="stopped", record_kind=clock.record_kind, target=clock.target,
        amount=clock.amount, synthetic=False,
    ).exclude(id=clock.id)  # fmt: skip
    found = rows.order_by("-stopped_at").values_list("elapsed", "breached")[:HISTORY_MAX]
    return [(int(elapsed or 0), bool(breached)) for elapsed, breached in found]


def predict(clock: SlaClock, now: Instant) -> Prediction:
    """Return when a clock breaches at its current state, and how likely that is."""
    (standing,) = board.counting([clock], now)
    return prediction.predict(
        timekeeping.terms_of(clock, standing.hours),
        state=clock.state,
        elapsed=standing.elapsed,
        due_at=None if clock.due_at is None else Instant(clock.due_at),
        now=now,
        ended=ended_like(clock),
    )
