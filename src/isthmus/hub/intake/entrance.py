"""What the door knows about each connection: who may enter, and how their message is judged."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from isthmus.connectors.kit.ports import Context, Source

CONTENT_TYPES = frozenset({"application/json", "text/csv", "text/plain", "application/x-ndjson"})


@dataclass(frozen=True, kw_only=True)
class Entrance:
    """One connection's entrance. `stamp` is `connector@version`, kept with each message.

    `closed` is a sentence for the sender if the connection may not receive now (paused, secret missing).
    `fetches`: the source needs keys or visits from outside (`kit.fetching`).
    """

    connector: str
    connection: str
    stamp: str
    source: Source
    context: Context
    bytes_max: int
    content_types: frozenset[str] = CONTENT_TYPES
    closed: str = ""
    fetches: bool = False
    taken: int = 202
    """The status of what is durable; some senders take only 200, and read nothing into its empty body."""


class Entrances(Protocol):
    """The entrances of the current generation, replaced as a whole when it changes."""

    @property
    def by_path(self) -> Mapping[tuple[str, str], Entrance]:
        """Entrances by (connector, connection), the two variable parts of the path."""
        ...
