"""Stage 2: one batch becomes one Work: reactions, outcomes, event ids, parked rows and the offset."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from django.db.models import Max

from isthmus.hub import observing
from isthmus.hub.connections import Connection
from isthmus.hub.models import IntakeOffset, OutcomeSegment
from isthmus.hub.observing import Outcome, Seen
from isthmus.hub.pump import events, outcomes, parking
from isthmus.hub.pump.stage_one import Taken
from isthmus.kernel.errors import Bug
from isthmus.kernel.record import Reason

if TYPE_CHECKING:
    from isthmus.ledger.work import Work

Place = tuple[int, int]
_READ = [Reason(rule="pump.read", text="Messages up to this position were taken.")]


class Moved(Exception):
    """The offset is not where this batch starts: another process pumped meanwhile."""


@dataclass(frozen=True, kw_only=True)
class Batch:
    """Consecutive messages of one connection. `bad`: observations that are known to fail, and why."""

    connection: Connection
    after: int
    taken: Sequence[Taken]
    bad: Mapping[Place, Exception] = field(default_factory=dict)


def offset_of(connection: Connection) -> IntakeOffset | None:
    """Return the stored offset of a connection's log."""
    return IntakeOffset.objects.filter(
        organisation=connection.organisation, connection=connection.name
    ).first()


def taken_up_to(connection: Connection) -> int:
    """Return the position up to which a connection's log was taken, under whatever organisation that was.

    There is one log per name: a connection that moves to another organisation goes on, it does not begin again.
    """
    found = IntakeOffset.objects.filter(connection=connection.name).aggregate(last=Max("position"))
    return found["last"] or 0


def decide(work: Work, batch: Batch) -> list[Outcome]:
    """Collect everything that follows from a batch; raise `Moved` if it is not ours to take any more."""
    offset = offset_of(batch.connection)
    if taken_up_to(batch.connection) != batch.after:
        raise Moved
    found = _outcomes(work, batch)
    _close(work, batch, offset, found)
    return found


@dataclass(slots=True)
class _Sorted:
    """The observations of a batch by what is to be done with them; `results` are those already settled."""

    results: dict[Place, Outcome]
    fresh: dict[str, list[Seen]]
    repeats: dict[str, list[Seen]]
    known: events.Taken


def _outcomes(work: Work, batch: Batch) -> list[Outcome]:
    found = _sorted(work, batch)
    for kind, seens in found.fresh.items():
        for each in react(work, kind, seens):
            found.results[each.position, each.place] = each
    for kind, seens in found.repeats.items():
        count = observing.repeats_of(kind)
        if count is not None:
            count(work, seens, work.now)
    found.known.write(work, days=batch.connection.entry.limits.event_id_days)
    return [
        found.results[taken.message.position, item.place] for taken in batch.taken for item in taken.items
    ]


def _sorted(work: Work, batch: Batch) -> _Sorted:
    """Park what fails or waits behind a parked one, recognise repeats, and leave the rest to the reactions."""
    connection = batch.connection
    items = [(each.message, item) for each in batch.taken for item in each.items]
    identities = {
        (message.position, item.place): events.identity(connection, item.seen)
        for message, item in items
        if item.seen is not None and item.fault is None
    }
    waits = {
        (message.position, item.place): events.waiting(connection, item.name)
        for message, item in items
        if item.seen is None and item.name
    }
    known = events.Taken(
        connection.organisation,
        [
            *(each for each in identities.values() if each is not None),
            *(each for both in waits.values() for each in both),
        ],
    )
    waiting = parking.waiting_subjects(connection, (item.subject for _, item in items if item.subject))
    found = _Sorted({}, {}, {}, known)
    for message, item in items:
        place = (message.position, item.place)
        fault = item.fault or batch.bad.get(place)
        ahead = waiting.get(item.subject, "") if waiting else ""
        seen = item.seen
        if seen is None and (earlier := _came_before(known, waits.get(place, ()))) is not None:
            found.results[place] = Outcome(
                position=place[0], place=place[1], what="repeat", event_id=item.name, reason=f"the same as message {earlier}"
            )  # fmt: skip
            continue
        if seen is None or fault is not None or ahead:
            parked_id = parking.park(work, connection, message, item, fault, behind=ahead)
            if item.subject:
                waiting.setdefault(item.subject, parked_id)
            if place in waits:
                known.add(waits[place][1], place[0])
            found.results[place] = Outcome(position=place[0], place=place[1], what="parked", reason=parked_id)
            continue
        _sort(found, seen, identities[place])
    return found


def _came_before(known: events.Taken, identities: Sequence[events.Identity]) -> int | None:
    """Return the position of the message that already was what this one is, None if there is none."""
    return next((at for each in identities if (at := known.before(each)) is not None), None)


def _sort(found: _Sorted, seen: Seen, identity: events.Identity | None) -> None:
    kind, place = seen.observation.kind, (seen.message_position, seen.place)
    earlier = None if identity is None else found.known.before(identity)
    if earlier is not None:
        found.repeats.setdefault(kind, []).append(seen)
        found.results[place] = observing.outcome(
            seen, "repeat", reason=f"the same event as message {earlier}"
        )
        return
    if identity is not None:
        found.known.add(identity, seen.message_position)
    if observing.reaction_to(kind) is None:
        found.results[place] = observing.outcome(seen, "ignored", reason=f"nobody reacts to {kind}")
        return
    found.fresh.setdefault(kind, []).append(seen)


def react(work: Work, kind: str, seens: Sequence[Seen]) -> list[Outcome]:
    """Call the reaction of a kind and hold it to its promise: one outcome per observation."""
    reaction = observing.reaction_to(kind)
    if reaction is None:
        raise Bug(f"Nobody reacts to observations of kind {kind!r}.")
    found = reaction(work, seens, work.now)
    said = {(each.position, each.place) for each in found}
    asked = {(each.message_position, each.place) for each in seens}
    if said != asked:
        raise Bug(f"The reaction to {kind!r} answered {len(said & asked)} of {len(asked)} observations.")
    return found


def _close(work: Work, batch: Batch, offset: IntakeOffset | None, found: Sequence[Outcome]) -> None:
    connection, messages = batch.connection, [each.message for each in batch.taken]
    segment = outcomes.encoded(found, {each.position: (each.id, each.trace) for each in messages})
    moved = {"position": messages[-1].position, "outcomes_root": segment.root}
    if offset is None:
        work.create(
            IntakeOffset,
            organisation=connection.organisation,
            values={"connection": connection.name, **moved},
            why=_READ,
        )
    else:
        work.change(offset, moved, why=_READ)
    work.insert(
        OutcomeSegment,
        organisation=connection.organisation,
        connection=connection.name,
        first=messages[0].position,
        last=messages[-1].position,
        received_from=min(each.received_at for each in messages),
        received_to=max(each.received_at for each in messages),
        body=segment.body,
    )
