"""Sources that take mail over SMTP, not by requests: who may hand mail over, for whom, and whose mail is heard.

The hub's listener speaks the protocol, bounds it, and asks each source. All of it is pure here: a mail is judged and
read by the same rules whether it was posted, handed over, or fetched from a mailbox.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from isthmus.connectors.kit.ports import Context, Refused

CUT_HEADER = "x-isthmus-cut"
"""The header of a mail of which only the beginning is kept; its value is how many bytes the whole has."""

_OWN = re.compile(r"<?isthmus\.[0-9a-f]{40}@")


@dataclass(frozen=True, kw_only=True)
class Relay:
    """Who hands mail over: the address that the connection came from."""

    address: str


@runtime_checkable
class Mailing(Protocol):
    """A source with addresses of its own."""

    def receives(self, recipient: str, context: Context) -> bool:
        """Return whether mail to this address is the connection's."""
        ...

    def admits(self, relay: Relay, context: Context) -> bool:
        """Return whether a mail server at this address may hand over without signing in."""
        ...

    def offers_sign_in(self, context: Context) -> bool:
        """Return whether anybody can sign in to hand mail over to this connection."""
        ...

    def signs_in(self, user: str, password: str, context: Context) -> bool:
        """Return whether this is the connection's account; comparison is constant time."""
        ...

    def judge(self, body: bytes, context: Context) -> Refused | None:
        """Judge who wrote a mail that an admitted server handed over; None lets it in. Raise `Rejected` if it is none."""
        ...


def own_id(key: str, domain: str) -> str:
    """Return the Message-ID of a mail of ours that carries `key`: the same again, so that mailboxes see one message."""
    return f"<isthmus.{hashlib.sha256(key.encode()).hexdigest()[:40]}@{domain}>"


def is_own(message_id: str) -> bool:
    """Return whether a hub wrote the mail with this id: coming back to a hub, it is the beginning of a loop."""
    return _OWN.match(message_id) is not None
