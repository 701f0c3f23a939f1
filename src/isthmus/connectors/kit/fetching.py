"""Sources whose judgement needs something from outside: the public key of a signature, a link to be visited.

`Source.authenticate` is pure, so it cannot fetch. It says what it needs instead, the hub's door fetches it with
the address guard on and within a budget, and asks again: the key is then in `Context.keys`. Which addresses are
believed is the source's own, pure decision; the hub never visits one that the source did not name.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol, runtime_checkable

from isthmus.connectors.kit.ports import Context

KEY_NEEDED = "key"
"""The `Refused.reason` (status 503) of a request that may be authentic once `key_url` was fetched."""


@runtime_checkable
class Fetching(Protocol):
    """A source with parts that the door fetches. Both functions are pure and judge the address before they name it."""

    def key_url(self, headers: Mapping[str, str], body: bytes, context: Context) -> str:
        """Return the URL of the public key that this request needs, "" where none is believed."""
        ...

    def visit_url(self, headers: Mapping[str, str], body: bytes, context: Context) -> str:
        """Return the URL that an *authentic* request asks to be visited before it is answered, "" for none.

        The message is durable before the visit; if the visit fails the sender is told to come again, so the visit
        must be harmless to repeat.
        """
        ...
