"""Sources whose messages a person can complete: what was written for people may say too little for a record.

Such a message is refused by `parse`, so the hub parks it with its raw text, cause and the fields that are missing
(`Problem.path` is `/<canonical field>`). A person reads it and gives them; then `complete` reads the same message
with what was given. Nothing is guessed on the way. A source that can name its messages even where it cannot read them has
each of them parked once, however often and by whatever way it comes.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol, runtime_checkable

from isthmus.connectors.kit.ports import Context
from isthmus.kernel.observation import Observation
from isthmus.kernel.record import Json


@runtime_checkable
class Completable(Protocol):
    """A source with a way to complete its messages."""

    def complete(
        self, body: bytes, headers: Mapping[str, str], context: Context, given: Mapping[str, Json]
    ) -> list[Observation]:
        """Read a message with canonical values that a person gave; raise `Rejected` if it still says too little."""
        ...


@runtime_checkable
class Named(Protocol):
    """A source whose messages have a name of their own."""

    def name(self, body: bytes, headers: Mapping[str, str], context: Context) -> str:
        """Return the event id that the observation of this message would have, "" if that is not known."""
        ...
