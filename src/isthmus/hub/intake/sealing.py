"""Encryption of the log: one key per connection and day, destroyed when the day's messages are forgotten."""

from __future__ import annotations

import os
import struct
from typing import Protocol

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from isthmus.kernel.errors import Bug

_NONCE = struct.Struct("<8sI")
_BOUND = struct.Struct("<Qq")
NONCE_BYTES = _NONCE.size


class LogKeys(Protocol):
    """Where the keys of the log live. `day` is yyyymmdd in UTC."""

    def key(self, connection: str, day: int) -> bytes:
        """Return the 32-byte key, made durable before it is returned for the first time."""
        ...

    def destroy(self, connection: str, day: int) -> None:
        """Destroy a key: what it sealed is gone in every copy, backups included."""
        ...


class Damaged(Bug):
    """A frame's checksum holds but its seal does not: the log was altered, or the wrong key was given."""


class Seal:
    """Seals and opens frames of one connection and day.

    A nonce is a random prefix drawn once per `Seal` and a counter: unique without drawing for each message.
    Connection, position and time are bound to the ciphertext, so that frames cannot be moved or re-dated.
    """

    def __init__(self, connection: str, key: bytes) -> None:
        self._cipher = AESGCM(key)
        self._prefix = os.urandom(8)
        self._count = 0
        self._connection = connection.encode()

    def close_up(self, position: int, received_at: int, content: bytes) -> bytes:
        """Return nonce and ciphertext of one message's content."""
        self._count += 1
        nonce = _NONCE.pack(self._prefix, self._count)
        bound = _BOUND.pack(position, received_at) + self._connection
        return nonce + self._cipher.encrypt(nonce, content, bound)

    def open_up(self, position: int, received_at: int, payload: bytes) -> bytes:
        """Return the content of one message; raise `Damaged` if it was altered."""
        bound = _BOUND.pack(position, received_at) + self._connection
        try:
            return self._cipher.decrypt(payload[:NONCE_BYTES], payload[NONCE_BYTES:], bound)
        except InvalidTag as cause:
            raise Damaged(
                f"Message {position} of connection {self._connection.decode()} does not open with its key.",
                remedy="Restore the log and the keys from the same backup.",
            ) from cause
