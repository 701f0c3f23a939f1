"""The clock of one promise, as a pure function of what happened to the record.

A *service level target* promises that something happens `amount` working microseconds after it starts. The
clock is never stored as a counter that somebody adds to: it is folded from the record's happenings, in the
order in which they occurred, each time one becomes known. So an event that is learned late, a corrected
calendar or another priority simply give another fold, and the difference can be told.

Eight business hours, Mon-Fri 9-17: opened Friday 15:00, on hold from 16:00 to Monday 10:00, resolved Monday
13:00. Counted: Friday 15-16, Monday 10-13, that is 4 h; `remaining` is 4 h. Were it known later that the hold
ended on Monday at 9:30 already, the same fold gives 4 h 30 min.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from isthmus.kernel import calendar
from isthmus.kernel.calendar import ROUND_THE_CLOCK, WorkingTime
from isthmus.kernel.errors import Rejected
from isthmus.kernel.instant import Instant

Status = Literal["waiting", "running", "paused", "stopped", "cancelled"]
What = Literal["start", "pause", "resume", "stop", "reset", "cancel", "reopen", "retarget"]
Retarget = Literal["retroactive", "carry", "restart"]
Reopen = Literal["resume", "restart", "final"]
Facts = Mapping[str, Any]
Run = tuple[Instant, Instant | None]


@dataclass(frozen=True, kw_only=True)
class Says:
    """What the conditions of a target say about the facts of one instant."""

    start: bool = True
    pause: bool = False
    stop: bool = False
    reset: bool = False
    cancel: bool = False


@dataclass(frozen=True, kw_only=True, eq=False)
class Terms:
    """One target of one definition. `name` tells terms apart; `says` reads its conditions."""

    name: str
    target: str
    amount: int
    hours: WorkingTime
    says: Callable[[Facts], Says]
    calendar: str = "24x7"
    retarget: Retarget = "retroactive"
    reopen: Reopen = "resume"
    begins: Literal["opened", "occurred"] = "opened"
    thresholds: tuple[int, ...] = (50, 75, 100)

    def counted(self, start: Instant, end: Instant) -> int:
        """Return the working microseconds between two instants."""
        if self.hours is ROUND_THE_CLOCK:
            return max(0, end - start)
        return calendar.elapsed(self.hours, start, end)

    def used_up(self, start: Instant, amount: int) -> Instant | None:
        """Return when `amount` more has counted; None if that is beyond every horizon."""
        if self.hours is ROUND_THE_CLOCK:
            return Instant(start + max(0, amount))
        try:
            return calendar.due_at(self.hours, start, amount)
        except Rejected:
            return None


@dataclass(frozen=True, kw_only=True)
class Happening:
    """One change of the record: when it occurred, the entry that says so, the facts from then on, and the terms
    that those facts are promised (None: none)."""

    at: Instant
    cause: str
    facts: Facts
    terms: Terms | None
    said: str = ""


@dataclass(frozen=True, kw_only=True)
class Move:
    """One line of the ledger: what the clock did at `at` because of entry `cause`; `elapsed` as it stood then."""

    at: Instant
    what: What
    cause: str
    elapsed: int
    said: str = ""
    note: str = ""


@dataclass(frozen=True, kw_only=True)
class Clock:
    """A folded clock. `carried` counted before the first of `runs`; the last run is open while it is running."""

    terms: Terms
    status: Status = "waiting"
    started_at: Instant | None = None
    stopped_at: Instant | None = None
    carried: int = 0
    runs: tuple[Run, ...] = ()
    counted: int = 0
    """What the closed runs add up to, with `carried`."""
    cycle: int = 0
    reset_held: bool = False
    moves: tuple[Move, ...] = ()

    def elapsed(self, now: Instant) -> int:
        """Return what has counted up to `now`."""
        if self.status != "running":
            return self.counted
        since = self.runs[-1][0]
        return self.counted + self.terms.counted(since, now)

    @property
    def counted_at(self) -> Instant | None:
        """The instant at which `counted` held: the beginning of the open run, or the end of the last."""
        if not self.runs:
            return self.started_at
        start, end = self.runs[-1]
        return start if end is None else end

    def due_at(self, amount: int | None = None) -> Instant | None:
        """Return when `amount` (the target's, by default) is used up; None where that is not in sight.

        Of a paused or cancelled clock it is not; of a stopped one it is when it would have been without the stop.
        """
        wanted = self.terms.amount if amount is None else amount
        return due(
            self.terms, self.runs, self.carried, wanted, open_end=self.status in {"running", "stopped"}
        )


def due(terms: Terms, runs: Sequence[Run], carried: int, wanted: int, *, open_end: bool) -> Instant | None:
    """Return the instant at which `wanted` had or will have counted over these runs."""
    held = carried
    for index, (start, end) in enumerate(runs):
        last = index == len(runs) - 1
        if end is not None and not (last and open_end):
            span = terms.counted(start, end)
            if held + span < wanted:
                held += span
                continue
        return terms.used_up(start, wanted - held)
    return None


def fold(happenings: Sequence[Happening]) -> Clock | None:
    """Return the clock that follows from what happened, in the order of occurrence; None if nothing is promised.

    Terms that became others: `retroactive` judges the whole life by the latest terms, `carry` keeps what has
    counted and goes on with the new ones, `restart` begins again at nought.
    """
    told = _until_final(happenings)
    if not any(each.terms for each in told):
        return None
    final = told[-1].terms
    if final is None:
        return _promise_ended(told)
    since = _suffix(told, final)
    if since == 0 or final.retarget == "retroactive":
        changed = None if since == 0 else told[since]
        return _run(Clock(terms=final), told, changed=changed, changed_from=_named(told, since))
    before = fold(told[:since])
    first = told[since]
    if before is None or before.status in {"waiting", "cancelled"}:
        return _run(Clock(terms=final, moves=before.moves if before else ()), told[since:])
    return _run(_onto(before, final, first), told[since:])


def _named(told: Sequence[Happening], since: int) -> str:
    earlier = told[since - 1].terms if since else None
    return earlier.name if earlier is not None else ""


def _suffix(told: Sequence[Happening], final: Terms) -> int:
    """Return from which happening on the final terms have held without a break."""
    since = len(told) - 1
    while since and (each := told[since - 1].terms) is not None and each.name == final.name:
        since -= 1
    return since


def _until_final(happenings: Sequence[Happening]) -> list[Happening]:
    """Leave out what cannot matter: everything after a final stop, and edits of a record that stayed stopped."""
    told = list(happenings)
    for index, each in enumerate(told):
        if (
            each.terms is not None
            and each.terms.reopen == "final"
            and (said := each.terms.says(each.facts)).stop
            and not said.cancel
            and any(_starts(one) for one in told[: index + 1])
        ):
            return told[: index + 1]
    while len(told) > 1 and _stopped(told[-1]) and _stopped(told[-2]):
        told.pop()
    return told


def _starts(happening: Happening) -> bool:
    return happening.terms is not None and happening.terms.says(happening.facts).start


def _stopped(happening: Happening) -> bool:
    return happening.terms is not None and happening.terms.says(happening.facts).stop


def _promise_ended(told: Sequence[Happening]) -> Clock | None:
    """The record is promised nothing any more: what was counted until then is cancelled."""
    last = max(index for index, each in enumerate(told) if each.terms is not None)
    clock = fold(told[: last + 1])
    if clock is None or clock.status in {"stopped", "cancelled", "waiting"}:
        return clock
    ended = told[last + 1]
    return _close(clock, ended, "cancel", note="no definition promises it anything any more")


def _run(
    clock: Clock, told: Sequence[Happening], *, changed: Happening | None = None, changed_from: str = ""
) -> Clock:
    """Judge each happening by the clock's terms."""
    for each in told:
        clock = _step(clock, each)
        if each is changed and clock.status != "waiting":
            note = f"{changed_from or 'no promise'} → {clock.terms.name}, from the beginning"
            clock = _moved(clock, each, "retarget", note=note)
    return clock


def _onto(before: Clock, terms: Terms, at: Happening) -> Clock:
    """Put a clock on other terms from this happening on."""
    elapsed = before.elapsed(at.at)
    keep = terms.retarget == "carry"
    clock = Clock(
        terms=terms,
        status=before.status,
        started_at=before.started_at if keep else at.at,
        stopped_at=before.stopped_at,
        carried=elapsed if keep else 0,
        runs=((at.at, None),) if before.status == "running" else (),
        counted=elapsed if keep else 0,
        cycle=before.cycle if keep else before.cycle + 1,
        reset_held=before.reset_held,
        moves=before.moves,
    )
    note = f"{before.terms.name} → {terms.name}, {'what has counted stays' if keep else 'from nought'}"
    return _moved(clock, at, "retarget", note=note)


def _step(clock: Clock, happening: Happening) -> Clock:
    says = clock.terms.says(happening.facts)
    was_held, clock = clock.reset_held, _noted(clock, says)
    if clock.status == "cancelled":
        return clock
    if clock.status == "waiting":
        if not says.start or says.stop or says.cancel:
            return clock
        return _started(clock, happening, says)
    if says.cancel:
        return _close(clock, happening, "cancel")
    if clock.status == "stopped":
        return clock if says.stop else _reopened(clock, happening, says)
    if says.stop:
        return _close(clock, happening, "stop")
    if says.reset and not was_held:
        clock = _closed(clock, happening.at)
        clock = replace(
            clock,
            status="paused",
            carried=0,
            counted=0,
            runs=(),
            cycle=clock.cycle + 1,
            started_at=happening.at,
        )
        clock = _moved(clock, happening, "reset")
        return clock if says.pause else _open(clock, happening.at)
    if says.pause and clock.status == "running":
        return _moved(replace(_closed(clock, happening.at), status="paused"), happening, "pause")
    if not says.pause and clock.status == "paused":
        return _open(_moved(clock, happening, "resume"), happening.at)
    return clock


def _noted(clock: Clock, says: Says) -> Clock:
    """Remember whether the reset condition holds: it counts when it becomes true."""
    return clock if clock.reset_held == says.reset else replace(clock, reset_held=says.reset)


def _started(clock: Clock, happening: Happening, says: Says) -> Clock:
    """Begin to count, or to wait: nothing has counted before, so nothing is to be worked out."""
    what: tuple[What, ...] = ("start", "pause") if says.pause else ("start",)
    moves = tuple(
        Move(at=happening.at, what=each, cause=happening.cause, elapsed=0, said=happening.said)
        for each in what
    )
    return replace(
        clock,
        status="paused" if says.pause else "running",
        started_at=happening.at,
        runs=() if says.pause else ((happening.at, None),),
        moves=(*clock.moves, *moves),
    )


def _reopened(clock: Clock, happening: Happening, says: Says) -> Clock:
    """Go on after a stop that did not last, as the terms say; the time in between does not count."""
    if clock.terms.reopen == "final":
        return clock
    clock = replace(clock, status="paused", stopped_at=None)
    if clock.terms.reopen == "restart":
        clock = replace(clock, carried=0, counted=0, runs=(), cycle=clock.cycle + 1, started_at=happening.at)
    clock = _moved(clock, happening, "reopen")
    return clock if says.pause else _open(clock, happening.at)


def _open(clock: Clock, at: Instant) -> Clock:
    return replace(clock, status="running", runs=(*clock.runs, (at, None)))


def _closed(clock: Clock, at: Instant) -> Clock:
    """End the open run, if there is one."""
    if clock.status != "running":
        return clock
    start, _ = clock.runs[-1]
    counted = clock.counted + clock.terms.counted(start, at)
    return replace(clock, runs=(*clock.runs[:-1], (start, at)), counted=counted)


def _close(clock: Clock, happening: Happening, what: Literal["stop", "cancel"], *, note: str = "") -> Clock:
    status: Status = "stopped" if what == "stop" else "cancelled"
    clock = replace(_closed(clock, happening.at), status=status, stopped_at=happening.at)
    return _moved(clock, happening, what, note=note)


def _moved(clock: Clock, happening: Happening, what: What, *, note: str = "") -> Clock:
    move = Move(
        at=happening.at,
        what=what,
        cause=happening.cause,
        elapsed=clock.elapsed(happening.at),
        said=happening.said,
        note=note,
    )
    return replace(clock, moves=(*clock.moves, move))
