"""Keeping clocks: before a Work is flushed, the clocks of the records that it touches are folded anew.

A clock's entry says what moved it and names the causing entry, so the clock's own history is the ledger. A
change that is learned late gives another fold: the entry then says what had counted and what counts now.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from isthmus.hub import due
from isthmus.kernel.duration import in_words
from isthmus.kernel.instant import Instant
from isthmus.kernel.kinds.service_level import OPEN_CLOCK_STATES
from isthmus.kernel.record import Reason
from isthmus.ledger.ids import source
from isthmus.ledger.reading import FieldChange
from isthmus.ledger.records import RecordModel, kind_of
from isthmus.ledger.work import Work
from isthmus.practices.service_level import definitions, history, timekeeping
from isthmus.practices.service_level.definitions import Definitions, FactsMaker
from isthmus.practices.service_level.models import SlaClock
from isthmus.practices.service_level.rules import story
from isthmus.practices.service_level.rules.clock import Clock

THRESHOLD: Final = "sla.threshold"
CHUNK: Final = 500
_PROMISED: Final = {"response": "respond_by", "resolution": "resolve_by"}
"""Targets that the incident itself shows, and in which field."""


@dataclass(frozen=True, kw_only=True)
class News:
    """What made a clock be folded anew. `entry` is the causing one ("" for a recalculation by the hub)."""

    entry: str
    at: Instant
    known: Instant
    late: str = ""


def prepare(work: Work) -> None:
    """Fold the clocks of every record whose change may move one."""
    known = definitions.current()
    touched: dict[str, list[RecordModel]] = {}
    for record in work.created_or_changed():
        kind = kind_of(record).name
        watched = known.watched.get(kind)
        pending = work.pending[record.id]
        if watched is not None and (pending.created or not watched.isdisjoint(pending.changes)):
            touched.setdefault(kind, []).append(record)
    for records in touched.values():
        recount(work, records, known)


def recount(work: Work, records: Sequence[RecordModel], known: Definitions, *, because: str = "") -> int:
    """Fold the clocks of records of one kind; return how many clocks changed."""
    kind = kind_of(records[0]).name
    changes = history.changes_of(records, kind, known, work)
    held = _held(work, records)
    moved = 0
    makers: dict[str, FactsMaker] = {}
    for record in records:
        mine = changes[record.id]
        facts = makers.get(record.organisation)
        if facts is None:
            facts = makers[record.organisation] = FactsMaker(record.organisation)
        news = _news(mine, work, because)
        clocks = history.folded(record, mine, known, facts)
        # A late change may give older entries another effect: what they did before it is not told again.
        earlier = history.folded(record, mine[:-1], known, facts) if news.late and news.entry else {}
        kept: dict[str, SlaClock] = {}
        for target, clock in clocks.items():
            now_held = held.get((record.id, target))
            found = _keep(work, record, target, clock, now_held, news, earlier.get(target))
            moved += found is not None and found.id in work.pending
            if found is not None:
                kept[target] = found
        if kind == "incident":
            _promise(work, record, kept)
    return moved


def _held(work: Work, records: Sequence[RecordModel]) -> dict[tuple[str, str], SlaClock]:
    """Return the clocks of records by (record, target), as this Work holds them."""
    ids = [each.id for each in records if not work.pending.get(each.id) or not work.pending[each.id].created]
    found: dict[tuple[str, str], SlaClock] = {}
    for at in range(0, len(ids), CHUNK):
        for each in SlaClock.objects.filter(record__in=ids[at : at + CHUNK]):
            pending = work.pending.get(each.id)
            clock: Any = each if pending is None else pending.record
            found[(clock.record, clock.target)] = clock
    return found


def _news(changes: Sequence[FieldChange], work: Work, because: str) -> News:
    """Return what is new, and whether others that occurred later were known already."""
    if because or not changes:
        return News(entry="", at=work.now, known=work.now, late=because)
    latest = changes[-1]
    later = [each for each in changes[:-1] if each.occurred_at > latest.occurred_at]
    if not later:
        return News(entry=latest.id, at=latest.occurred_at, known=work.now)
    said = (
        f"entry {latest.id} became known at {story.clock_time(latest.recorded_at, 'UTC')} "
        f"but had occurred at {story.clock_time(latest.occurred_at, 'UTC')} already"
    )
    return News(entry=latest.id, at=latest.occurred_at, known=work.now, late=said)


def _keep(
    work: Work,
    record: RecordModel,
    target: str,
    clock: Clock | None,
    held: SlaClock | None,
    news: News,
    earlier: Clock | None,
) -> SlaClock | None:
    """Write what a fold says about one clock, if that is anything new."""
    if clock is None or clock.status == "waiting":
        if held is None or held.state == "cancelled":
            return held
        reason = Reason(
            rule="sla.cancel",
            text="Nothing that is known now starts this clock.",
            facts={"cause": news.entry, "at": news.at, "elapsed": held.elapsed},
        )
        due.cancel(work, THRESHOLD, held.id, organisation=held.organisation)
        return work.change(
            held, {"state": "cancelled", "due_at": None}, why=[reason], cause=news.entry, occurred_at=news.at
        )
    if held is not None and _ended_before(held, clock, news):
        return held
    values = values_of(clock, record, held, work.now)
    if held is None:
        clock_id = source.new_id()
        made = work.create(
            SlaClock, organisation=record.organisation, record_id=clock_id, why=_reasons(clock, None, news, None),
            occurred_at=Instant(min(news.at, work.now)), cause=news.entry, versions=_versions(work),
            values={"record_kind": kind_of(record).name, "record": record.id, "target": target, **values},
        )  # fmt: skip
        schedule(work, made, clock)
        return made
    changed = work.change(
        held, values, why=_reasons(clock, held, news, earlier), occurred_at=Instant(min(news.at, work.now)),
        cause=news.entry, versions=_versions(work),
    )  # fmt: skip
    pending = work.pending.get(held.id)
    if pending is not None and not pending.changes.keys().isdisjoint(_MOVES_DUE):
        schedule(work, changed, clock)
    return changed


_MOVES_DUE: Final = frozenset(
    {"state", "due_at", "amount", "thresholds", "reached", "elapsed", "counted_at", "calendar"}
)


def _versions(work: Work) -> dict[str, str]:
    return {"blueprint": str(work.generation)}


def _ended_before(held: SlaClock, clock: Clock, news: News) -> bool:
    """A clock that has ended is not judged again by what happened after, nor by rules that came after."""
    return (
        held.state not in OPEN_CLOCK_STATES
        and held.state == clock.status
        and held.stopped_at == clock.stopped_at
        and held.stopped_at is not None
        and news.at >= held.stopped_at
    )


def values_of(clock: Clock, record: RecordModel, held: SlaClock | None, now: Instant) -> dict[str, Any]:
    """Return the projection of a fold."""
    terms, due_at = clock.terms, clock.due_at()
    if clock.status in {"stopped", "cancelled"}:
        breached = clock.counted > terms.amount
    else:
        breached = due_at is not None and due_at <= now
    shown = None if clock.status == "cancelled" else due_at
    reached = 0
    if held is not None and held.reached and held.cycle == clock.cycle:
        reached = still_reached(clock, held.reached, now)
    return {
        "definition": terms.name,
        "calendar": terms.calendar,
        "priority": str(getattr(record, "priority", "") or ""),
        "service": str(getattr(record, "service", "") or ""),
        "state": clock.status,
        "breached": breached,
        "amount": terms.amount,
        "elapsed": clock.counted,
        "counted_at": clock.counted_at,
        "started_at": clock.started_at,
        "stopped_at": clock.stopped_at,
        "due_at": shown,
        "breached_at": due_at if breached else None,
        "thresholds": list(terms.thresholds),
        "reached": reached,
        "cycle": clock.cycle,
    }


def still_reached(clock: Clock, reached: int, now: Instant) -> int:
    """Return the highest announced threshold that still counts as reached."""
    for percent in sorted((each for each in clock.terms.thresholds if each <= reached), reverse=True):
        at = clock.due_at(timekeeping.part(clock.terms.amount, percent))
        if at is not None and at <= (clock.stopped_at if clock.stopped_at is not None else now):
            return percent
    return 0


def schedule(work: Work, held: SlaClock, clock: Clock) -> None:
    """Set the one wait of a clock to its next threshold, or end it."""
    following = next((each for each in clock.terms.thresholds if each > (held.reached or 0)), None)
    at = None
    if following is not None and held.state in OPEN_CLOCK_STATES:
        at = clock.due_at(timekeeping.part(clock.terms.amount, following))
    if at is None:
        if held.version > 1:
            due.cancel(work, THRESHOLD, held.id, organisation=held.organisation)
        return
    due.schedule(work, THRESHOLD, held.id, at, organisation=held.organisation, payload=following)


def _reasons(clock: Clock, held: SlaClock | None, news: News, earlier: Clock | None) -> list[Reason]:
    """Return the new lines of the ledger: the moves that this news caused, and the recalculation, if it is one."""
    zone = clock.terms.hours.zone
    if earlier is not None:
        told = {(each.at, each.what, each.cause) for each in earlier.moves}
        moves = [each for each in clock.moves if (each.at, each.what, each.cause) not in told]
    else:
        moves = [each for each in clock.moves if held is None or each.cause == news.entry]
    found = [
        Reason(
            rule=f"sla.{each.what}",
            text=story.sentence(each, zone),
            facts={"at": each.at, "cause": each.cause, "elapsed": each.elapsed},
        )
        for each in moves
    ]
    if held is not None and (news.late or not moves):
        before, after = _before_and_after(clock, held, earlier, news)
        late = news.late or f"of entry {news.entry}"
        found.append(
            Reason(
                rule="sla.recalculate",
                text=story.recalculated(before, after, late),
                facts={"at": news.known, "cause": news.entry, "before": before, "elapsed": after},
            )
        )
    return found


def _before_and_after(clock: Clock, held: SlaClock, earlier: Clock | None, news: News) -> tuple[int, int]:
    """Return what had counted at the moment of knowing, by the earlier fold and by this one."""
    if earlier is not None:
        return earlier.elapsed(news.known), clock.elapsed(news.known)
    terms = timekeeping.terms_of(held)
    return timekeeping.elapsed(held, terms, news.known), clock.elapsed(news.known)


def _promise(work: Work, record: RecordModel, kept: dict[str, SlaClock]) -> None:
    """Let an incident show until when it is to be responded to and resolved: as its clocks say."""
    values = {field: kept[target].due_at if target in kept else None for target, field in _PROMISED.items()}
    if all(getattr(record, field) == value for field, value in values.items()):
        return
    parts = [
        f"{target} within {in_words(int(kept[target].amount or 0))}"
        + (f" of calendar {kept[target].calendar}" if kept[target].calendar != "24x7" else "")
        for target in _PROMISED
        if target in kept
    ]
    names = sorted({each.definition for each in kept.values()})
    text = f"Promised by {', '.join(names)}: {', '.join(parts)}." if parts else "Nothing is promised."
    work.change(record, values, why=[Reason(rule="incident.targets", text=text)])
