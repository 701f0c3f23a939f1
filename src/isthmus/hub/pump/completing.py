"""Completing a parked message: what a person gives, how it waits, and what the message itself says.

Mail and the like may say too little. A person reads the raw message, gives the missing fields, and the message is
read again with them, by the engine, in its turn (`kit.completing`).
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass

from isthmus.connectors.kit.completing import Completable
from isthmus.connectors.kit.ports import Context
from isthmus.hub import connections
from isthmus.hub.connections import Connection
from isthmus.hub.intake.log import IntakeLog
from isthmus.hub.intake.message import Message
from isthmus.hub.models import ParkedMessage
from isthmus.kernel.errors import IsthmusError, Problem, Rejected
from isthmus.kernel.kinds import KINDS
from isthmus.kernel.observation import Observation
from isthmus.ledger.columns import open_json

VALUE_CHARACTERS_MAX = 8_000
SHOWN_BYTES_MAX = 200_000


@dataclass(frozen=True, kw_only=True)
class Field:
    """A field that a person may give; `choices` empty: any text."""

    name: str
    choices: tuple[str, ...]
    asked: bool


def fields_of(row: ParkedMessage) -> list[Field]:
    """Return what may be given for a parked message, the missing first; none if its source cannot be completed."""
    try:
        connection = connections.get(row.connection)
    except IsthmusError:
        return []
    if not isinstance(connection.connector.source, Completable):
        return []
    asked = {str(each["path"]).removeprefix("/") for each in row.problems or []}
    found = [
        Field(name=name, choices=KINDS[kind].by_name[name].choices, asked=name in asked)
        for kind, mapping in connection.pure_context().mappings.items()
        for name in mapping.read()
    ]
    return sorted(found, key=lambda each: not each.asked)


def checked(row: ParkedMessage, given: Mapping[str, str]) -> dict[str, str]:
    """Return what a person gave; `Rejected` names what this message cannot be given."""
    known = {each.name: each for each in fields_of(row)}
    if not known:
        raise Rejected(
            "This message cannot be completed.", remedy="Mend its cause and take it up again, or give it up."
        )
    stated = {name: value.strip() for name, value in given.items() if value.strip()}
    problems = [
        Problem(path=f"/values/{name}", message=message, remedy=remedy)
        for name, value in stated.items()
        for message, remedy in _wrong(known.get(name), value, known)
    ]
    if not stated:
        problems = [Problem(path="/values", message="are empty", remedy="Give at least one.")]
    if problems:
        first = problems[0]
        raise Rejected(f"{first.path} {first.message}.", remedy=first.remedy, problems=tuple(problems))
    return stated


def sealed(parked_id: str, given: Mapping[str, str]) -> str:
    """Return values as they wait: under a key of the parked message."""
    from isthmus.hub.sync import recording

    return base64.b64encode(recording.sealed(parked_id, dict(given))).decode()


def opened(waiting: str) -> dict[str, str]:
    """Return the values that `sealed` put away."""
    return {str(name): str(value) for name, value in open_json(base64.b64decode(waiting)).items()}


def observations(
    connection: Connection, context: Context, message: Message, given: Mapping[str, str]
) -> list[Observation]:
    """Return what a message says together with what was given."""
    source = connection.connector.source
    if not isinstance(source, Completable):
        raise Rejected("Messages of this connection cannot be completed any more.")
    return source.complete(message.body, dict(message.headers), context, given)


def raw(log: IntakeLog, row: ParkedMessage) -> Message:
    """Return the message of a parked row, as it came."""
    messages = log.read(row.connection, row.position - 1, messages_max=1)
    if not messages or messages[0].position != row.position:
        raise Rejected(
            "The message is no longer in the log: its retention has passed.",
            remedy="Ask the sender to send it again, then dismiss this one.",
        )
    return messages[0]


def shown(message: Message) -> str:
    """Return a message's text for people, bounded."""
    return message.body[:SHOWN_BYTES_MAX].decode("utf-8", "replace")


def _wrong(field: Field | None, value: str, known: Mapping[str, Field]) -> list[tuple[str, str]]:
    if field is None:
        return [("cannot be given", f"Give one of {', '.join(sorted(known))}.")]
    if field.choices and value not in field.choices:
        return [("is no value of this field", f"Give one of {', '.join(field.choices)}.")]
    if len(value) > VALUE_CHARACTERS_MAX:
        return [("is too long", f"Give at most {VALUE_CHARACTERS_MAX} characters.")]
    return []
