"""The steps of a ladder: which are due, which come next. Pure.

A step waits for a time (`after`, counted from the start of its round) or for a share of a target (`percent`,
told by the clock of the service level). A step is taken once per round: what was taken is kept with the
escalation, so neither a restart nor a clock that tells the same twice repeats it.

Worked example: steps at 0 and 300 s, repeated twice. Started at 12:00:00: taken at 12:00:00, 12:05:00, and, with
`repeat_after` 600 s, again at 12:15:00, 12:20:00, 12:30:00 and 12:35:00. Then the ladder is finished.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

import msgspec

from isthmus.kernel.instant import Instant


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """`after` in microseconds, None for a step that waits for `percent`. `notify` are targets, see `Target`."""

    after: int | None = None
    percent: int | None = None
    notify: list[dict[str, str]] = []
    assign: str = ""


class Ladder(msgspec.Struct, frozen=True, kw_only=True):
    """A ladder as an escalation is pinned to it. `repeat`: how often it is climbed again after the first time."""

    name: str
    steps: list[Step]
    repeat: int = 0
    repeat_after: int = 0
    urgent: bool = True
    template: str = ""

    @property
    def span(self) -> int:
        """Return the microseconds of one round."""
        return (
            max((each.after for each in self.steps if each.after is not None), default=0) + self.repeat_after
        )


def mark(round_: int, index: int) -> str:
    """Return the name of one step of one round."""
    return f"{round_}:{index}"


def taken_at(ladder: Ladder, started_at: Instant, round_: int, index: int) -> Instant | None:
    """Return when a step is due; None for one that waits for a share of a target."""
    after = ladder.steps[index].after
    return None if after is None else Instant(started_at + round_ * ladder.span + after)


def timed(ladder: Ladder, started_at: Instant) -> list[tuple[Instant, int, int]]:
    """Return (instant, round, index) of every timed step in order."""
    rounds = range(ladder.repeat + 1) if ladder.span else range(1)
    found = [
        (at, round_, index)
        for round_ in rounds
        for index in range(len(ladder.steps))
        if (at := taken_at(ladder, started_at, round_, index)) is not None
    ]
    return sorted(found)


def due(ladder: Ladder, started_at: Instant, fired: Collection[str], now: Instant) -> list[tuple[int, int]]:
    """Return (round, index) of the timed steps that are due and not taken, in order."""
    return [
        (round_, index)
        for at, round_, index in timed(ladder, started_at)
        if at <= now and mark(round_, index) not in fired
    ]


def upcoming(ladder: Ladder, started_at: Instant, fired: Collection[str]) -> tuple[Instant, int, int] | None:
    """Return the next timed step that is not taken."""
    return next((each for each in timed(ladder, started_at) if mark(each[1], each[2]) not in fired), None)


def at_share(ladder: Ladder, percent: int, fired: Collection[str]) -> list[tuple[int, int]]:
    """Return the steps that wait for exactly this share and are not taken. They belong to the first round."""
    return [
        (0, index)
        for index, each in enumerate(ladder.steps)
        if each.percent == percent and mark(0, index) not in fired
    ]


def awaits_share(ladder: Ladder, fired: Collection[str]) -> bool:
    """Return whether a step still waits for a share of a target."""
    return any(
        each.percent is not None and mark(0, index) not in fired for index, each in enumerate(ladder.steps)
    )


def exhausted(ladder: Ladder, started_at: Instant, fired: Collection[str]) -> bool:
    """Return whether nothing is left to be done."""
    return upcoming(ladder, started_at, fired) is None and not awaits_share(ladder, fired)


def to_json(ladder: Ladder) -> Any:
    """Return the plain form that is kept with an escalation."""
    return msgspec.to_builtins(ladder)


def from_json(plain: Any) -> Ladder:
    """Return a ladder from its plain form."""
    return msgspec.convert(plain, Ladder)


def describe(targets: Sequence[dict[str, str]]) -> str:
    """Return targets as people read them: "rota payments, channel ops"."""
    return ", ".join(f"{kind.replace('_', ' ')} {name}" for each in targets for kind, name in each.items())
