"""When a clock will breach, and how likely that is, from this organisation's own history and nothing else.

The instant is arithmetic: what is left, in working time, from now. The likelihood is a count: of the ended
clocks of the same promise that had counted at least as much, how many breached. Below `SAMPLE_MIN` of them
there is no number, only "insufficient data".
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from isthmus.kernel.instant import Instant
from isthmus.practices.service_level.rules.clock import Terms

SAMPLE_MIN = 20
_Z = 1.959963984540054
"""Two-sided 95 %."""


@dataclass(frozen=True, kw_only=True)
class Likelihood:
    """`breached` of `sample` comparable clocks; per mille with a Wilson 95 % interval, None where too few."""

    sample: int
    breached: int
    per_mille: int | None = None
    low: int | None = None
    high: int | None = None

    @property
    def text(self) -> str:
        if self.per_mille is None or self.low is None or self.high is None:
            return f"insufficient data (n = {self.sample}, at least {SAMPLE_MIN} are needed)"
        return (
            f"{self.per_mille / 10:.1f} % (n = {self.sample}, 95 % interval {self.low / 10:.1f} to "
            f"{self.high / 10:.1f} %)"
        )


@dataclass(frozen=True, kw_only=True)
class Prediction:
    """`breaches_at`: if nothing changes. `if_resumed_at`: of a paused clock, if it went on now."""

    state: str
    left: int
    breaches_at: Instant | None = None
    if_resumed_at: Instant | None = None
    likelihood: Likelihood


def wilson(hits: int, sample: int) -> tuple[float, float]:
    """Return the Wilson 95 % interval of `hits` in `sample`."""
    if sample == 0:
        return 0.0, 1.0
    share = hits / sample
    spread = _Z * math.sqrt(share * (1 - share) / sample + _Z * _Z / (4 * sample * sample))
    middle, scale = share + _Z * _Z / (2 * sample), 1 + _Z * _Z / sample
    return max(0.0, (middle - spread) / scale), min(1.0, (middle + spread) / scale)


def likelihood(ended: Sequence[tuple[int, bool]], elapsed: int) -> Likelihood:
    """Return how many of the ended clocks (elapsed, breached) that came this far breached in the end."""
    comparable = [breached for counted, breached in ended if counted >= elapsed]
    sample, hits = len(comparable), sum(comparable)
    if sample < SAMPLE_MIN:
        return Likelihood(sample=sample, breached=hits)
    low, high = wilson(hits, sample)
    return Likelihood(
        sample=sample, breached=hits, per_mille=round(1000 * hits / sample), low=round(1000 * low), high=round(1000 * high)
    )  # fmt: skip


def predict(
    terms: Terms, *, state: str, elapsed: int, due_at: Instant | None, now: Instant, ended: Sequence[tuple[int, bool]]
) -> Prediction:  # fmt: skip
    """Return when a clock that has counted `elapsed` breaches, and how likely it is."""
    left = terms.amount - elapsed
    return Prediction(
        state=state,
        left=left,
        breaches_at=due_at if state == "running" else None,
        if_resumed_at=terms.used_up(now, left) if state == "paused" and left > 0 else None,
        likelihood=likelihood(ended, elapsed),
    )
