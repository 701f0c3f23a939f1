"""Stage 1: a message becomes observations. No lock is held and nothing is written; faults become values."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec
import structlog

from isthmus.connectors.kit.completing import Named
from isthmus.connectors.kit.ports import Context, decode_observations
from isthmus.hub.connections import Connection
from isthmus.hub.intake.message import POLL, Message
from isthmus.hub.observing import Seen
from isthmus.hub.pump import completing
from isthmus.kernel.errors import Bug, IsthmusError, Rejected
from isthmus.kernel.observation import Observation

_log = structlog.get_logger(__name__)


class Item(msgspec.Struct, frozen=True):
    """One thing to take: an observation, or the reason why the message (or this part of it) has none.

    `name` is the event id of a message that could not be read, if its source knows one (`kit.completing.Named`).
    """

    place: int
    seen: Seen | None
    fault: IsthmusError | None
    name: str = ""

    @property
    def subject(self) -> str:
        """Return the record that it speaks about (`kind:key`), "" if that is not known."""
        return "" if self.seen is None else subject_of(self.seen.observation)


class Taken(msgspec.Struct, frozen=True):
    """A message with what it says."""

    message: Message
    items: list[Item]


def subject_of(observation: Observation) -> str:
    """Return the name under which later messages about the same record wait."""
    return f"{observation.external.kind}:{observation.external.key}"[:128]


def take(
    connection: Connection, context: Context, message: Message, given: Mapping[str, str] | None = None
) -> Taken:
    """Parse one message; a connector that refuses or fails yields one item with the fault.

    `given` are values with which a person completes what the message says.
    """
    try:
        observations = _observations(connection, context, message, given)
    except IsthmusError as fault:
        return Taken(message, [Item(0, None, fault, _name(connection, context, message))])
    except Exception as cause:  # noqa: BLE001 - a fault of one connector parks its message
        _log.exception("parse_failed", connection=connection.name, message=message.id)
        unforeseen = Bug(
            f"Connector {message.connector} failed on this message ({type(cause).__name__}).",
            remedy="Mend or update the connector, then re-drive the message.",
        )
        return Taken(message, [Item(0, None, unforeseen)])
    return Taken(
        message, [_item(connection, message, place, each) for place, each in enumerate(observations)]
    )


def _observations(
    connection: Connection, context: Context, message: Message, given: Mapping[str, str] | None
) -> list[Observation]:
    if given:
        return completing.observations(connection, context, message, given)
    if message.door == POLL:
        return decode_observations(message.body)
    source = connection.connector.source
    if source is None:
        raise Rejected(
            f"Connector {connection.manifest.id!r} does not read messages.",
            remedy="Point the connection at the connector that its senders speak.",
        )
    return source.parse(message.body, dict(message.headers), context)


def _name(connection: Connection, context: Context, message: Message) -> str:
    """Return how a message that cannot be read is recognised when it comes again, "" if it is not."""
    source = connection.connector.source
    if message.door == POLL or not isinstance(source, Named):
        return ""
    try:
        return source.name(message.body, dict(message.headers), context)
    except IsthmusError:
        return ""
    except Exception:  # noqa: BLE001 - it is parked without a name then
        _log.exception("name_failed", connection=connection.name, message=message.id)
        return ""


def _item(connection: Connection, message: Message, place: int, observation: Observation) -> Item:
    fault: IsthmusError | None = None
    organisation = connection.organisation
    try:
        organisation = connection.organisation_of(observation)
    except Rejected as refusal:
        fault = refusal
    seen = Seen(
        message_position=message.position,
        place=place,
        connection=connection.name,
        organisation=organisation,
        observation=observation,
        received_at=message.received_at,
        message_id=message.id,
        trace=message.trace,
        door=message.door,
    )
    return Item(place, seen, fault)
