"""How far the hub's own decisions about alerts are trusted: random samples, people's verdicts, Wilson's interval.

A *class* is (service, alert class): what people would call "disk alerts of the shop". Of each class a share of the
alerts is drawn, those that were kept quiet included, and a person says of each whether the decision was right.
Full automation of a class holds only while its precision stands at or above the threshold; otherwise the hub
drafts and a person confirms.

The interval is Wilson's score interval (E. B. Wilson, JASA 22, 1927): unlike the plain one it stays within 0 and 1
and is honest about few verdicts. Worked example: 45 of 50 right gives 90 %, interval 78.6 % to 95.7 %.
"""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass
from statistics import NormalDist

from isthmus.kernel.record import Json, Reason
from isthmus.practices.monitoring.rules.automation import Level

PER_MILLE = 1_000
_SPACE = 1 << 64


@dataclass(frozen=True, kw_only=True)
class Policy:
    """`threshold` in [0, 1], 0: accuracy governs nothing. `per_mille` of the alerts of each class are drawn, by `seed`.
    Below `verdicts_min` verdicts within `window` microseconds nothing is said. `strict`: the lower end of the
    interval must reach the threshold, not just the precision."""

    threshold: float = 0.0
    per_mille: int = 50
    seed: str = ""
    verdicts_min: int = 20
    window: int = 0
    confidence: float = 0.95
    strict: bool = False
    class_label: str = "alertname"


@dataclass(frozen=True, kw_only=True)
class Accuracy:
    """What the verdicts about one class say. `precision`, `low`, `high` are None below the least number."""

    verdicts: int
    wrong: int
    precision: float | None = None
    low: float | None = None
    high: float | None = None

    @property
    def text(self) -> str:
        """One sentence for people."""
        if self.precision is None or self.low is None or self.high is None:
            return f"Insufficient data: {self.verdicts} verdicts."
        return (
            f"{self.verdicts - self.wrong} of {self.verdicts} decisions were right: {self.precision:.1%}"
            f" (interval {self.low:.1%} to {self.high:.1%})."
        )


def wilson(right: int, verdicts: int, confidence: float = 0.95) -> tuple[float, float]:
    """Return Wilson's score interval of a share; (0, 1) without verdicts."""
    if verdicts == 0:
        return 0.0, 1.0
    z = NormalDist().inv_cdf(0.5 + confidence / 2)
    share = right / verdicts
    middle = (share + z * z / (2 * verdicts)) / (1 + z * z / verdicts)
    half = (
        z
        * math.sqrt(share * (1 - share) / verdicts + z * z / (4 * verdicts * verdicts))
        / (1 + z * z / verdicts)
    )
    return max(0.0, middle - half), min(1.0, middle + half)


def measured(policy: Policy, *, verdicts: int, wrong: int) -> Accuracy:
    """Return the accuracy that so many verdicts show; no figure is made up from too few."""
    if verdicts < max(1, policy.verdicts_min):
        return Accuracy(verdicts=verdicts, wrong=wrong)
    low, high = wilson(verdicts - wrong, verdicts, policy.confidence)
    return Accuracy(verdicts=verdicts, wrong=wrong, precision=1 - wrong / verdicts, low=low, high=high)


def permits_full(policy: Policy, accuracy: Accuracy) -> tuple[bool, Reason]:
    """Return whether a class may be fully automated, and why."""
    shares = {
        "threshold": policy.threshold,
        "precision": accuracy.precision,
        "low": accuracy.low,
        "high": accuracy.high,
    }
    # Entries hold no floats: their spelling is not the same everywhere.
    facts: dict[str, Json] = {"verdicts": accuracy.verdicts, "wrong": accuracy.wrong}
    facts |= {name: f"{share:.4f}" for name, share in shares.items() if share is not None}
    if accuracy.precision is None or accuracy.low is None:
        text = f"{accuracy.text} {policy.verdicts_min} are needed before full automation."
        return False, Reason(rule="monitoring.accuracy.insufficient", text=text, facts=facts)
    counts = accuracy.low if policy.strict else accuracy.precision
    enough = counts >= policy.threshold
    what = "The lower end of the interval" if policy.strict else "The precision"
    said = f"{accuracy.text} {what} is {'at or above' if enough else 'below'} {policy.threshold:.1%}."
    return enough, Reason(rule=f"monitoring.accuracy.{'enough' if enough else 'low'}", text=said, facts=facts)


def governed(level: Level, *, policy: Policy, full_permitted: bool | None) -> tuple[Level, Reason | None]:
    """Return the level in force: `full` only where the class has earned it. None: the class has no verdicts yet."""
    if level is not Level.FULL or policy.threshold <= 0 or full_permitted:
        return level, None
    text = (
        "Full automation waits for verdicts on a sample of its decisions."
        if full_permitted is None
        else "Sampled accuracy does not support full automation."
    )
    return Level.DRAFT, Reason(rule="monitoring.accuracy.governs", text=f"{text} A person confirms first.")


def drawn(policy: Policy, alert: str) -> bool:
    """Return whether an alert (by id) belongs to the sample: the same seed draws the same alerts, always."""
    digest = hashlib.sha256(f"{policy.seed}|{alert}".encode()).digest()
    return int.from_bytes(digest[:8], "big") * PER_MILLE < policy.per_mille * _SPACE


def alert_class(policy: Policy, labels: dict[str, str], severity: str) -> str:
    """Return the class of an alert: its label, else its severity."""
    return labels.get(policy.class_label) or severity
