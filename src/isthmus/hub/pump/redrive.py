"""Re-driving parked messages: read again from the log, parse with today's connector, decide, in order."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass

from isthmus.hub import connections
from isthmus.hub.connections import Connection
from isthmus.hub.intake import shared
from isthmus.hub.intake.log import IntakeLog
from isthmus.hub.models import Due, ParkedMessage
from isthmus.hub.observing import What
from isthmus.hub.pump import completing, events, parking
from isthmus.hub.pump.deciding import react
from isthmus.hub.pump.stage_one import Item, take
from isthmus.kernel.actor import Actor, ActorKind, Origin
from isthmus.kernel.errors import NotFound
from isthmus.kernel.instant import Instant
from isthmus.kernel.record import Reason
from isthmus.ledger.door import perform
from isthmus.ledger.work import Work


@dataclass(frozen=True, kw_only=True)
class Redriven:
    """How far a re-drive came: rows taken, and the row that failed again (empty id: none)."""

    taken: tuple[str, ...]
    failed: str = ""
    cause: str = ""


def redrive(log: IntakeLog, parked_id: str, actor: Actor, given: Mapping[str, str] | None = None) -> Redriven:
    """Re-drive a parked message and everything parked about the same record, oldest first.

    Stops at the first that fails again: what waits behind it keeps waiting. `given` completes the message itself.
    """
    row = ParkedMessage.objects.filter(id=parked_id, state=parking.PARKED).first()
    if row is None:
        raise NotFound("There is no such parked message.")
    chain = [row]
    if row.subject:
        chain = list(
            ParkedMessage.objects.filter(
                organisation=row.organisation,
                connection=row.connection,
                state=parking.PARKED,
                subject=row.subject,
            ).order_by("position", "place")
        )
    taken: list[str] = []
    for each in chain:
        try:
            _again(log, each, actor, given if each.id == parked_id else None)
        except Exception as fault:  # noqa: BLE001 - whatever it is, it is shown on the row
            _note(each, fault, actor)
            told = parking.told(fault)
            return Redriven(taken=tuple(taken), failed=each.id, cause=str(told["cause"]))
        taken.append(each.id)
    return Redriven(taken=tuple(taken))


def redrive_all(log: IntakeLog, connection: str, actor: Actor) -> list[Redriven]:
    """Re-drive everything parked of one connection, record by record."""
    done: list[Redriven] = []
    seen: set[str] = set()
    rows = ParkedMessage.objects.filter(connection=connection, state=parking.PARKED).order_by(
        "position", "place"
    )
    for row in list(rows):
        name = row.subject or row.id
        if name not in seen:
            seen.add(name)
            done.append(redrive(log, row.id, actor))
    return done


def on_due(work: Work, row: Due, now: Instant) -> None:
    """Re-drive what a person asked for (`parking.redrive`); what failed again is on its row, in sight.

    Each parked row is a transaction of its own, before this wait's: repeating the handler finds them done.
    """
    del work, now
    asked = row.payload or {}
    actor = Actor(
        kind=ActorKind(asked["kind"]),
        id=asked["id"],
        label=asked["label"],
        organisations=frozenset({row.organisation}),
        roles=frozenset(asked["roles"]),
    )
    with suppress(NotFound):
        waiting = asked.get("given", "")
        redrive(shared.log(), row.subject, actor, completing.opened(waiting) if waiting else None)


def _again(log: IntakeLog, row: ParkedMessage, actor: Actor, given: Mapping[str, str] | None = None) -> None:
    connection = connections.get(row.connection)
    item = _item(log, connection, row, given)

    def act(work: Work) -> None:
        seen = item.seen
        work.advance(
            ParkedMessage, where={"id": row.id, "state": parking.PARKED}, values={"state": parking.REDRIVEN}
        )
        what: What = "ignored"
        records: tuple[str, ...] = ()
        if seen is not None:
            identity = events.identity(connection, seen)
            known = events.Taken(connection.organisation, [] if identity is None else [identity])
            if identity is not None and known.before(identity) is not None:
                what = "repeat"
            else:
                found = react(work, seen.observation.kind, [seen])[0]
                what, records = found.what, found.records
                if identity is not None:
                    known.add(identity, row.position)
                    known.write(work, days=connection.entry.limits.event_id_days)
        work.journal(
            row.organisation,
            f"message:{row.message_id}",
            {
                "parked": row.id,
                "connection": row.connection,
                "position": row.position,
                "what": what,
                "records": list(records),
                "given": [*sorted(given or {})],
            },
            [Reason(rule="pump.redrive", text=_why(given))],
        )

    perform(
        act,
        actor=actor,
        origin=Origin(channel="webhook", connection=row.connection),
        trace=row.trace,
        exclusive=True,
    )


def _why(given: Mapping[str, str] | None) -> str:
    if not given:
        return "A parked message was taken after all."
    return f"A person read a parked message and gave {', '.join(sorted(given))}."


def _item(
    log: IntakeLog, connection: Connection, row: ParkedMessage, given: Mapping[str, str] | None
) -> Item:
    message, context = completing.raw(log, row), connection.pure_context()
    items = take(connection, context, message, given).items
    item = items[row.place] if row.place < len(items) else Item(row.place, None, None)
    if item.fault is not None:
        raise item.fault
    return item


def _note(row: ParkedMessage, fault: Exception, actor: Actor) -> None:
    def act(work: Work) -> None:
        work.advance(
            ParkedMessage,
            where={"id": row.id, "state": parking.PARKED},
            values={"attempts": row.attempts + 1, **parking.told(fault)},
        )

    perform(act, actor=actor, origin=Origin(channel="webhook", connection=row.connection), exclusive=True)
