"""What clocks wait for: the next threshold. One wait per open clock, in the one table of due times.

So a sweep costs what is due and nothing for the clocks that are not. The clock's own entry is the evidence
that a threshold was reached; whoever registered hears of it in the same transaction, once.
"""

from __future__ import annotations

from collections.abc import Callable

from isthmus.hub import due
from isthmus.hub.models import Due
from isthmus.kernel.duration import in_words
from isthmus.kernel.errors import Bug
from isthmus.kernel.instant import Instant
from isthmus.kernel.kinds.service_level import OPEN_CLOCK_STATES
from isthmus.kernel.record import Json, Reason
from isthmus.ledger.work import Work
from isthmus.practices.service_level.keeping import THRESHOLD
from isthmus.practices.service_level.models import SlaClock
from isthmus.practices.service_level.rules import story
from isthmus.practices.service_level.rules.clock import Terms
from isthmus.practices.service_level.timekeeping import BREACH, part, reaches, terms_of

OnThreshold = Callable[[Work, SlaClock, int, Instant], None]

_handlers: list[OnThreshold] = []


def register_threshold(handler: OnThreshold) -> None:
    """Have `handler(work, clock, percent, now)` called when a clock reaches a threshold, in the Work that records it.

    Several thresholds that passed unseen (the hub was down) are told one after the other. Called from `ready`.
    """
    if handler in _handlers:
        raise Bug("This threshold handler is registered twice.")
    _handlers.append(handler)


def unregister_threshold(handler: OnThreshold) -> None:
    """Take a handler back: for tests and parts that are switched off."""
    if handler in _handlers:
        _handlers.remove(handler)


def on_threshold(work: Work, row: Due, now: Instant) -> None:
    """Record the thresholds that were reached, tell who listens, and wait for the next."""
    clock: SlaClock | None = SlaClock.objects.filter(id=row.subject).first()
    if clock is None or clock.state not in OPEN_CLOCK_STATES:
        return
    terms = terms_of(clock)
    reached: list[tuple[int, Instant]] = []
    waits: tuple[int, Instant] | None = None
    for percent in terms.thresholds:
        if percent <= (clock.reached or 0):
            continue
        at = reaches(clock, terms, percent)
        if at is None or at > now:
            waits = None if at is None else (percent, at)
            break
        reached.append((percent, at))
    if reached:
        _record(work, clock, terms, reached, now)
        for percent, _ in reached:
            for handler in _handlers:
                handler(work, clock, percent, now)
    if waits is not None:
        due.schedule(work, THRESHOLD, clock.id, waits[1], organisation=clock.organisation, payload=waits[0])


def _record(
    work: Work, clock: SlaClock, terms: Terms, reached: list[tuple[int, Instant]], now: Instant
) -> None:
    highest, at = reached[-1]
    values: dict[str, Json] = {"reached": highest}
    breach = next((when for percent, when in reached if percent >= BREACH), None)
    if breach is not None:
        values |= {"breached": True, "breached_at": breach}
    why = [
        Reason(
            rule="sla.breach" if percent == BREACH else "sla.threshold",
            text=_sentence(terms, percent, when),
            facts={"at": when, "percent": percent, "elapsed": part(terms.amount, percent), "noticed_at": now},
        )
        for percent, when in reached
    ]
    work.change(clock, values, why=why, occurred_at=at, versions={"blueprint": str(work.generation)})


def _sentence(terms: Terms, percent: int, at: Instant) -> str:
    when = story.clock_time(at, terms.hours.zone)
    if percent == BREACH:
        return f"Breached at {when}: {in_words(terms.amount)} are used up."
    if percent > BREACH:
        return f"{percent} % of {in_words(terms.amount)} had counted at {when}."
    left = terms.amount - part(terms.amount, percent)
    return f"{percent} % of {in_words(terms.amount)} had counted at {when}; {in_words(left)} were left."
