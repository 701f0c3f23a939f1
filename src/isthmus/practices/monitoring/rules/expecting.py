"""Is a source still alive? One that says nothing for its expected interval is an alert; several at once are one.

Worked example: three sources are expected every five minutes. One falls silent: "prometheus has been silent for
5 min". All three fall silent within a minute: the network in front of the hub is the likelier cause, so that one
alert says so for all of them, and none of them raises its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from isthmus.kernel.duration import in_words
from isthmus.kernel.instant import Instant, to_rfc3339
from isthmus.kernel.record import Reason


@dataclass(frozen=True, kw_only=True)
class Expectation:
    """A source and when it was last heard. `since`: when the hub began to expect it, for one that was never heard;
    `alerting`: its silence is an alert of its own already."""

    connection: str
    every: int
    since: Instant
    heard_at: Instant | None = None
    alerting: bool = False

    @property
    def last(self) -> Instant:
        """Return the instant from which its silence counts."""
        return self.since if self.heard_at is None else max(self.heard_at, self.since)

    @property
    def due_at(self) -> Instant:
        """Return when its silence becomes too long."""
        return Instant(self.last + self.every)


@dataclass(frozen=True, kw_only=True)
class Silent:
    """Which sources are silent: `own` raise an alert each, `together` share one; `back` were heard again."""

    own: tuple[Expectation, ...]
    together: tuple[Expectation, ...]
    back: tuple[Expectation, ...]


def judge(expected: Sequence[Expectation], now: Instant, *, together: int) -> Silent:
    """Return who is silent at `now`; from `together` on (0: never) the newly silent ones share one alert."""
    silent = [each for each in expected if each.due_at <= now]
    fresh = tuple(each for each in silent if not each.alerting)
    shared = bool(together) and len(silent) >= together and len(fresh) > 1
    return Silent(
        own=tuple(each for each in silent if each.alerting or not shared),
        together=fresh if shared else (),
        back=tuple(each for each in expected if each.due_at > now and each.alerting),
    )


def reason_of(silent: Expectation) -> Reason:
    """Return why a silent source is an alert."""
    heard = "was never heard" if silent.heard_at is None else f"was last heard {to_rfc3339(silent.heard_at)}"
    text = f"{silent.connection} {heard}; something is expected every {in_words(silent.every)}."
    return Reason(rule="monitoring.expected.silent", text=text, facts={"due_at": silent.due_at})
