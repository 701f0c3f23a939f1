"""What the intake log holds: raw messages, exactly as a door received them.

A `Draft` becomes a `Message` when the log gives it a position. Positions of one connection start at 1,
have no holes and are never used twice.
"""

from __future__ import annotations

import msgspec

from isthmus.kernel.instant import Instant

Headers = list[tuple[str, str]]

WEBHOOK = "webhook"
POLL = "poll"
FILE = "file"
STREAM = "stream"
MAIL = "mail"
FETCH = "fetch"
"""Doors: which kind of entrance a message came through. `FETCH`: read at the partner as it lies there, by a poll."""


class Draft(msgspec.Struct, frozen=True, array_like=True):
    """A message before it has a position. `connector` is `name@version`, as it was when received."""

    id: str
    trace: str
    received_at: int
    door: str
    connector: str
    headers: Headers
    body: bytes


class Message(msgspec.Struct, frozen=True):
    """One durable message. `id` and `trace` were already told to the sender."""

    connection: str
    position: int
    id: str
    trace: str
    received_at: Instant
    door: str
    connector: str
    headers: Headers
    body: bytes


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Draft).decode


def encode(draft: Draft) -> bytes:
    """Return the bytes of a draft as they are sealed into the log."""
    return _encode(draft)


def decode(connection: str, position: int, data: bytes) -> Message:
    """Return the message that `encode` made, at its place in the log."""
    found = _decode(data)
    return Message(
        connection=connection,
        position=position,
        id=found.id,
        trace=found.trace,
        received_at=Instant(found.received_at),
        door=found.door,
        connector=found.connector,
        headers=found.headers,
        body=found.body,
    )
