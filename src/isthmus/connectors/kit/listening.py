"""Sources that are spoken to over a connection which stays open (syslog over TCP or TLS), not by requests.

The hub's listener accepts connections, asks each source whether the peer is one of its own, cuts the stream into
messages by the source's framing, and appends each to the intake log as every other door does. All of it is pure
here: sockets, limits and back-pressure are the hub's.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from isthmus.connectors.kit.ports import Context

PEER_HEADER = "x-isthmus-peer"
"""The header of a message that came through the listener: its body is exactly one message, already cut."""


@dataclass(frozen=True, kw_only=True)
class Peer:
    """Who is at the other end: the address, and if TLS verified a certificate its SHA-256 (hex) and names."""

    address: str
    certificate: str = ""
    names: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Cut:
    """What a buffer holds: whole messages, the bytes that are not whole yet, and whether the framing is broken."""

    messages: Sequence[bytes]
    rest: bytes
    broken: str = ""


@runtime_checkable
class Listening(Protocol):
    """A source with a stream of its own."""

    def admits(self, peer: Peer, context: Context) -> int:
        """Return how well a peer fits: 0 not at all, higher is more certain (a certificate beats an address)."""
        ...

    def cut(self, buffer: bytes, bytes_max: int) -> Cut:
        """Cut a buffer into messages; a message longer than `bytes_max` breaks the stream."""
        ...
