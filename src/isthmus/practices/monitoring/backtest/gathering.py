"""What the parent reads for the child: past alerts from the intake log, and what decisions asked for around them.

Reads only. The log stays where it is; the child sees neither it nor the live store.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Final

from django.db.models import Q

from isthmus.connectors.kit.ports import encode_observations
from isthmus.hub import connections
from isthmus.hub.connections import Connection
from isthmus.hub.intake.log import IntakeLog
from isthmus.hub.intake.message import Message
from isthmus.hub.pump import events
from isthmus.hub.pump.stage_one import Item, take
from isthmus.kernel.errors import Problem, Rejected
from isthmus.kernel.instant import to_rfc3339
from isthmus.ledger import scope
from isthmus.practices.monitoring.backtest.candidate import Wanted
from isthmus.practices.monitoring.backtest.shapes import (
    BYTES_MAX,
    EVENTS_MAX,
    REPLAYED,
    ROWS_MAX,
    SECONDS_MAX,
    Event,
    Handover,
    Row,
)

AT_ONCE: Final = 500
COLUMNS: Final[dict[str, tuple[str, ...]]] = {
    "ci": (
        "name", "ci_class", "external_key", "aliases", "addresses", "environment", "criticality", "users", "support_group",
        "shared", "source", "state",
    ),
    "ci_relation": ("source_ci", "target_ci", "type", "source", "state"),
    "change": (
        "number", "type", "model", "authorisation", "risk", "window_start", "window_end", "cis", "environment",
        "authorised_at", "authorised_until",
    ),
    "silence": ("matchers", "starts_at", "ends_at", "owner"),
    "automation_mode": ("service", "alert_class", "full_permitted", "verdicts", "wrong", "said", "since"),
}  # fmt: skip
"""No sealed column is among them: titles, comments and people stay in the live book."""
NOT_REPLAYED: Final = (
    "The replay begins with no alert open, takes the map, the changes' windows and the modes of automation as they"
    " are now, and knows no act of a person on an incident (resolving, merging, closing by hand)."
)


def gather(wanted: Wanted, log: IntakeLog, told: Callable[[str, float], None]) -> Handover:
    """Read everything for a back-test; `Rejected` names the bound that the window breaks."""
    found = _Found()
    homes = _sources(wanted.organisation)
    for place, connection in enumerate(homes):
        told("reading", place / len(homes))
        _read(wanted, connection, log, found)
    found.events.sort(key=lambda each: (each.received_at, each.connection, each.position, each.place))
    return Handover(
        organisation=wanted.organisation,
        since=wanted.since,
        until=wanted.until,
        rows=_rows(wanted),
        events=found.events,
        in_force=_sections(wanted.in_force),
        candidate=_sections(wanted.candidate),
        seconds_max=SECONDS_MAX,
        notes=[*found.notes, NOT_REPLAYED],
    )


@dataclass
class _Found:
    events: list[Event] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    size: int = 0


def _sections(plain: dict[str, Any]) -> dict[str, Any]:
    return {name: plain[name] for name in REPLAYED if name in plain}


def _sources(organisation: str) -> list[Connection]:
    """Return the connections whose messages may be about this organisation."""
    return [
        each
        for _, each in sorted(connections.in_force().items())
        if each.organisation == organisation
        or (not isinstance(each.entry.organisation, str) and organisation in each.organisations.values())
    ]


def _read(wanted: Wanted, connection: Connection, log: IntakeLog, found: _Found) -> None:
    durable = log.durable(connection.name)
    oldest = log.read(connection.name, 0, messages_max=1) if durable else []
    if not oldest:
        return
    if oldest[0].position > 1 and oldest[0].received_at > wanted.since:
        found.notes.append(
            f"What {connection.name} sent before {to_rfc3339(oldest[0].received_at)} is no longer in the log."
        )
    known: dict[str, str] = {}
    context = connection.pure_context()
    start = _before(log, connection.name, oldest[0].position, durable, wanted.since)
    unreadable = 0
    for message in _messages(log, connection.name, start, wanted):
        for item in take(connection, context, message).items:
            unreadable += item.fault is not None
            if _about(wanted, item):
                _add(connection, message, item, known, found)
    if unreadable:
        found.notes.append(
            f"{unreadable} message(s) of {connection.name} cannot be read and are left out: they are parked."
        )


def _about(wanted: Wanted, item: Item) -> bool:
    seen = item.seen
    return (
        item.fault is None
        and seen is not None
        and seen.observation.kind == "alert"
        and seen.organisation == wanted.organisation
    )


def _add(connection: Connection, message: Message, item: Item, known: dict[str, str], found: _Found) -> None:
    if item.seen is None:
        return
    identity = events.identity(connection, item.seen)
    repeat = identity is not None and known.get(identity.key) == identity.content
    if identity is not None:
        known[identity.key] = identity.content
    body = encode_observations([item.seen.observation])
    found.size += len(body)
    if len(found.events) >= EVENTS_MAX or found.size > BYTES_MAX:
        text = f"more than {EVENTS_MAX} events or {BYTES_MAX // 1_000_000} MB of them lie in the window"
        raise Rejected(
            f"The window is too large: {text}.",
            remedy="Choose a shorter window.",
            problems=(Problem(path="/since", message=text, remedy="Choose a later instant."),),
        )
    found.events.append(
        Event(
            connection=connection.name,
            position=message.position,
            place=item.place,
            received_at=message.received_at,
            message_id=message.id,
            trace=message.trace,
            door=message.door,
            body=body,
            repeat=repeat,
        )
    )


def _before(log: IntakeLog, connection: str, low: int, high: int, since: int) -> int:
    """Return a position after which the messages from `since` on lie: a search by halves, one message a look."""
    while low < high:
        middle = (low + high) // 2
        looked = log.read(connection, middle - 1, messages_max=1)
        if looked and looked[0].received_at < since:
            low = max(middle, looked[0].position) + 1
        else:
            high = middle
    # Senders' requests race: what was received a moment earlier may stand a few places later.
    return max(0, low - 1 - AT_ONCE)


def _messages(log: IntakeLog, connection: str, after: int, wanted: Wanted) -> Iterator[Message]:
    past = 0
    while past < AT_ONCE:
        messages = log.read(connection, after, messages_max=AT_ONCE)
        if not messages:
            return
        for each in messages:
            past += each.received_at > wanted.until
            if wanted.since <= each.received_at <= wanted.until:
                yield each
        after = messages[-1].position


def _rows(wanted: Wanted) -> list[Row]:
    from isthmus.practices.monitoring.backtest.scratch import MODELS

    wheres: dict[str, Q] = {
        "change": Q(authorisation="approved")
        & ~Q(state="cancelled")
        & (
            Q(window_start__lte=wanted.until, window_end__gte=wanted.since)
            | Q(authorised_at__lte=wanted.until, authorised_until__gte=wanted.since)
        ),
        "silence": Q(starts_at__lte=wanted.until, ends_at__gte=wanted.since),
    }
    fixed = {"change": {"state": "scheduled"}, "silence": {"state": "active"}}
    found: list[Row] = []
    with scope.within([wanted.organisation]):
        for kind, names in COLUMNS.items():
            rows = MODELS[kind].objects.filter(wheres.get(kind, Q())).order_by("id")
            for row in rows.values_list("id", *names)[: ROWS_MAX + 1 - len(found)]:
                values = {
                    name: value for name, value in zip(names, row[1:], strict=True) if value is not None
                }
                found.append(Row(kind, row[0], {**values, **fixed.get(kind, {})}))
    if len(found) > ROWS_MAX:
        raise Rejected(
            f"The map is too large for a back-test: more than {ROWS_MAX} records.",
            remedy="Try the rules on a copy of the installation.",
        )
    return found
