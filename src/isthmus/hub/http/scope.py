"""Which organisations a request may see: its actor's own, and none for nobody."""

from __future__ import annotations

from contextlib import AbstractContextManager

from isthmus.hub.http.actor import Caller
from isthmus.ledger import scope


def opened(caller: Caller) -> AbstractContextManager[None]:
    """Return the scope in which everything that answers this caller runs."""
    return scope.within(caller.actor.organisations if caller.actor is not None else ())
