"""Why a target was met, missed or still runs, in sentences that add up.

The arithmetic is shown, not asserted: the time between start and end is what counted, plus what the clock
stood still, plus what lay outside working hours. The three parts always sum to the whole, to the microsecond.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from zoneinfo import ZoneInfo

from isthmus.kernel.duration import in_words
from isthmus.kernel.instant import Instant, to_datetime
from isthmus.practices.service_level.rules.clock import Clock, Move

_DID = {
    "start": "The clock started",
    "pause": "The clock paused",
    "resume": "The clock went on",
    "stop": "The clock stopped",
    "reset": "The clock was reset to nought",
    "cancel": "The clock was cancelled",
    "reopen": "The clock was taken up again",
    "retarget": "The promise changed",
}
PAUSES_TOLD_MAX = 20


@dataclass(frozen=True, kw_only=True)
class Account:
    """Where the time from the start to `until` went. `whole` = `counted` + `paused` + `closed`."""

    since: Instant
    until: Instant
    whole: int
    counted: int
    paused: int
    closed: int
    carried: int = 0


def clock_time(at: Instant, zone: str) -> str:
    """Return e.g. `Fri 2026-03-27 15:00:00 CET`, as the calendar's own people read it."""
    return to_datetime(at).astimezone(ZoneInfo(zone)).strftime("%a %Y-%m-%d %H:%M:%S %Z")


def account(clock: Clock, now: Instant) -> Account | None:
    """Return where the time went since the first of the runs that count (None before the start)."""
    if clock.started_at is None:
        return None
    since = clock.runs[0][0] if clock.runs and clock.carried else clock.started_at
    until = clock.stopped_at if clock.stopped_at is not None else Instant(max(now, since))
    ran = sum((until if end is None else end) - start for start, end in clock.runs)
    counted = clock.elapsed(until) - clock.carried
    whole = until - since
    return Account(
        since=since, until=until, whole=whole, counted=counted, paused=whole - ran, closed=ran - counted,
        carried=clock.carried,
    )  # fmt: skip


def sentence(move: Move, zone: str) -> str:
    """Return one move as a sentence with its cause."""
    because = f" because {move.said}" if move.said else ""
    note = f" ({move.note})" if move.note else ""
    return (
        f"{_DID[move.what]} at {clock_time(move.at, zone)}{because}{note}; "
        f"{in_words(move.elapsed)} had counted (entry {move.cause})."
    )


def pauses(clock: Clock, until: Instant) -> list[tuple[Instant, Instant]]:
    """Return when the clock stood still between its start and `until`."""
    found: list[tuple[Instant, Instant]] = []
    at = clock.started_at
    if at is None:
        return found
    for start, end in clock.runs:
        if start > at:
            found.append((at, start))
        at = until if end is None else end
    if at < until:
        found.append((at, until))
    return found


def why(clock: Clock, now: Instant) -> list[str]:
    """Return the answer to "why breached?" or "why not?": the verdict, the account, what stood still."""
    told = account(clock, now)
    zone, terms = clock.terms.hours.zone, clock.terms
    promise = f"{in_words(terms.amount)} of {_kind_of_time(clock)}"
    if told is None:
        return [f"It has not started: its start condition has not held yet. Promised are {promise}."]
    elapsed = clock.elapsed(told.until)
    found = [_verdict(clock, elapsed, now, promise)]
    carried = f", with {in_words(told.carried)} carried over from the earlier promise" if told.carried else ""
    found.append(
        f"From {clock_time(told.since, zone)} to {clock_time(told.until, zone)} are {in_words(told.whole)}: "
        f"{in_words(told.counted)} counted, {in_words(told.paused)} on pause, {in_words(told.closed)} outside "
        f"working hours{carried}."
    )
    stood = pauses(clock, told.until)
    found += [
        f"It stood still from {clock_time(start, zone)} to {clock_time(end, zone)} ({in_words(end - start)})."
        for start, end in stood[:PAUSES_TOLD_MAX]
    ]
    if len(stood) > PAUSES_TOLD_MAX:
        found.append(f"{len(stood) - PAUSES_TOLD_MAX} more pauses are in the ledger.")
    return found


def _kind_of_time(clock: Clock) -> str:
    if clock.terms.calendar in {"", "24x7"}:
        return "time around the clock"
    return f"working time (calendar {clock.terms.calendar})"


def _verdict(clock: Clock, elapsed: int, now: Instant, promise: str) -> str:
    terms, zone = clock.terms, clock.terms.hours.zone
    over, due = elapsed - terms.amount, clock.due_at()
    if clock.status == "cancelled":
        return f"Neither met nor missed: the clock was cancelled after {in_words(elapsed)} of {promise}."
    if over > 0 and due is not None:
        still = "" if clock.status == "stopped" else ", and it is not fulfilled yet"
        return (
            f"Breached at {clock_time(due, zone)}: {promise} were used up then{still}; "
            f"{in_words(elapsed)} have counted, {in_words(over)} too many."
        )
    if clock.status == "stopped":
        return f"Met: {in_words(elapsed)} counted of {promise}; {in_words(-over)} were left."
    if clock.status == "paused":
        then = terms.used_up(now, -over)
        when = f" If it went on now, it would breach at {clock_time(then, zone)}." if then else ""
        return f"Not breached: it stands still with {in_words(-over)} left of {promise}.{when}"
    when = f" It breaches at {clock_time(due, zone)} if nothing changes." if due is not None else ""
    return f"Not breached: {in_words(elapsed)} have counted of {promise}, {in_words(-over)} are left.{when}"


def recalculated(before: int, after: int, late: str) -> str:
    """Return the sentence of a recalculation: what stood there, what stands there, and why."""
    if before == after:
        return f"Recalculated because {late}: {in_words(after)} had counted before and after."
    verb = "more" if after > before else "less"
    return (
        f"Recalculated because {late}: {in_words(before)} had counted, now {in_words(after)} "
        f"({in_words(abs(after - before))} {verb})."
    )


def known(moves: Sequence[Move]) -> list[str]:
    """Return the moves' causes in order, without repeats."""
    return list(dict.fromkeys(each.cause for each in moves))
