"""What service level management can be asked to do. Pages, API and other practices call this and nothing beside it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from isthmus.kernel.errors import NotFound
from isthmus.kernel.instant import Instant
from isthmus.kernel.record import Json
from isthmus.ledger import reading
from isthmus.ledger.records import RecordModel, kind_of
from isthmus.ledger.schema import models_by_kind
from isthmus.ledger.work import Work
from isthmus.practices.service_level import definitions, history, partner_clocks, predicting, recalculating
from isthmus.practices.service_level.models import SlaClock, SlaPartnerClock
from isthmus.practices.service_level.rules import custody, partner, story
from isthmus.practices.service_level.rules.clock import Clock
from isthmus.practices.service_level.rules.custody import Custody, Share
from isthmus.practices.service_level.rules.partner import Difference
from isthmus.practices.service_level.rules.prediction import Prediction
from isthmus.practices.service_level.rules.story import Account
from isthmus.practices.service_level.timekeeping import elapsed, terms_of
from isthmus.practices.service_level.timers import register_threshold, unregister_threshold

__all__ = [
    "Comparison", "Custody", "Line", "SlaClock", "SlaPartnerClock", "Told", "clocks_of", "compared", "elapsed", "folded",
    "get", "ledger", "minutes_per_custodian", "predicted", "recalculate", "register_custody", "register_threshold",
    "terms_of", "timeline", "told_of", "unregister_threshold",
]  # fmt: skip

CustodyProvider = Callable[[str, str], Sequence[Custody]]
_custody: list[CustodyProvider] = []


def register_custody(provider: CustodyProvider) -> None:
    """Say who knows whose hands a record was in: `provider(record_kind, record_id)` returns `Custody` intervals.

    Called once, from the `ready` of the practice that keeps custody; neither side sees the other's tables.
    """
    _custody[:] = [provider]


@dataclass(frozen=True, kw_only=True)
class Line:
    """One line of a clock's ledger as the book keeps it: what, when it happened, when we knew, by which entry."""

    what: str
    at: Instant
    recorded_at: Instant
    cause: str
    text: str
    elapsed: int | None
    entry: str
    facts: dict[str, Json]


@dataclass(frozen=True, kw_only=True)
class Told:
    """The answer to "why": sentences, the account of the time, and every move with its cause."""

    clock: SlaClock
    sentences: list[str]
    account: Account | None
    moves: Sequence[tuple[Instant, str, str, str]]
    """(when, what, causing entry, sentence), as everything that is known now tells it."""


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """A partner's clock beside ours; `ours` and `difference` are None where we have no such clock."""

    partner: SlaPartnerClock
    ours: SlaClock | None
    difference: Difference | None


def get(clock_id: str) -> SlaClock:
    """Return a clock by id, as the open scope shows it; raise `NotFound`."""
    found: SlaClock | None = SlaClock.objects.filter(id=clock_id).first()
    if found is None:
        raise NotFound(f"There is no clock {clock_id}.", remedy="List the clocks under /sla/clocks.")
    return found


def clocks_of(record_id: str) -> list[SlaClock]:
    """Return the clocks of a record by target."""
    return list(SlaClock.objects.filter(record=record_id).order_by("target"))


def record_of(clock: SlaClock) -> RecordModel | None:
    """Return the record that a clock measures."""
    model = models_by_kind().get(clock.record_kind)
    found: RecordModel | None = None if model is None else model.objects.filter(id=clock.record).first()
    return found


def folded(clock: SlaClock) -> Clock | None:
    """Return the clock as its record's history tells it now: with every run and move, not only the sums."""
    record = record_of(clock)
    return None if record is None else _all_folded(record).get(clock.target)


def _all_folded(record: RecordModel) -> dict[str, Clock | None]:
    """Return the clocks of a record by target; its history is read once."""
    kind, known = kind_of(record).name, definitions.current()
    if kind not in known.promises:
        return {}
    return history.folded(record, history.changes_of([record], kind, known)[record.id], known)


def timeline(clock: SlaClock, now: Instant) -> Told:
    """Return why a clock stands where it stands."""
    return _told(clock, folded(clock), now)


def told_of(record: RecordModel, now: Instant) -> list[Told]:
    """Return the answer for every clock of a record; its history is read once."""
    clocks = clocks_of(record.id)
    found = _all_folded(record) if clocks else {}
    return [_told(each, found.get(each.target), now) for each in clocks]


def _told(clock: SlaClock, found: Clock | None, now: Instant) -> Told:
    if found is None:
        text = "Its definition is gone, or the record is promised nothing any more: only the ledger tells what was."
        return Told(clock=clock, sentences=[text], account=None, moves=[])
    zone = found.terms.hours.zone
    moves = [(each.at, each.what, each.cause, story.sentence(each, zone)) for each in found.moves]
    return Told(clock=clock, sentences=story.why(found, now), account=story.account(found, now), moves=moves)


def ledger(clock: SlaClock) -> list[Line]:
    """Return every start, pause, resume, stop, reset, threshold and recalculation, in the order of becoming known."""
    found = []
    for entry in reading.history(clock.id):
        for reason in entry.why:
            what = reason.rule.removeprefix("sla.")
            at, cause, counted = (reason.facts.get(name) for name in ("at", "cause", "elapsed"))
            found.append(
                Line(
                    what=what,
                    at=Instant(at) if isinstance(at, int) else entry.occurred_at,
                    recorded_at=entry.recorded_at,
                    cause=str(cause or entry.cause),
                    text=reason.text,
                    elapsed=counted if isinstance(counted, int) else None,
                    entry=entry.id,
                    facts=dict(reason.facts),
                )
            )
    return found


def minutes_per_custodian(clock: SlaClock, now: Instant) -> list[Share] | None:
    """Return whose hands the record was in while the clock counted; None if nobody keeps custody of such records."""
    found = folded(clock)
    if not _custody or found is None:
        return None
    held = _custody[0](clock.record_kind, clock.record)
    return custody.minutes_per_party(found, held, now) if held else None


def compared(record_id: str) -> list[Comparison]:
    """Return each partner's clock of a record beside ours, with the difference and what causes it."""
    seen = partner_clocks.of(record_id)
    if not seen:
        return []
    ours = {each.target: each for each in clocks_of(record_id)}
    record = record_of(next(iter(ours.values()))) if ours else None
    folds = _all_folded(record) if record is not None else {}
    found = []
    for theirs in seen:
        mine = ours.get(theirs.target)
        clock = folds.get(theirs.target) if mine is not None else None
        difference = partner.compare(clock, partner_clocks.sights(theirs)) if clock is not None else None
        found.append(Comparison(partner=theirs, ours=mine, difference=difference))
    return found


def predicted(clock: SlaClock, now: Instant) -> Prediction:
    """Return when a clock breaches if nothing changes, and how likely that is by own history."""
    return predicting.predict(clock, now)


def recalculate(work: Work, organisation: str, *, because: str) -> None:
    """Have every open record's clocks folded anew from its history, in the background."""
    recalculating.begin(work, organisation, because=because)
