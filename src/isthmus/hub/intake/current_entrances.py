"""The entrances of the blueprint in force, rebuilt when its generation or a secret changes."""

from __future__ import annotations

from collections.abc import Mapping

from isthmus import django_settings
from isthmus.connectors.kit.fetching import Fetching
from isthmus.connectors.kit.ports import Context
from isthmus.hub import connections
from isthmus.hub.connections import Connection
from isthmus.hub.intake.entrance import CONTENT_TYPES, Entrance
from isthmus.kernel.errors import IsthmusError


class CurrentEntrances:
    """`Entrances` for the door. `refresh` is called every half second, off the event loop."""

    def __init__(self) -> None:
        self.by_path: Mapping[tuple[str, str], Entrance] = {}

    def refresh(self) -> None:
        """Read the blueprint in force and every secret again."""
        found: dict[tuple[str, str], Entrance] = {}
        for name, connection in connections.in_force().items():
            entrance = _entrance(connection)
            if entrance is not None:
                found[connection.manifest.id, name] = entrance
        self.by_path = found


def _entrance(connection: Connection) -> Entrance | None:
    source = connection.connector.source
    if source is None:
        return None
    context: Context = connection.pure_context()
    closed = ""
    try:
        context = connection.context()
    except IsthmusError as fault:
        # Without its secret nobody can prove themselves: the connector refuses, and the reason is said.
        closed = fault.text
    limits = connection.entry.limits
    bytes_max = limits.body_bytes_max or connection.manifest.limits.body_bytes_max
    return Entrance(
        connector=connection.manifest.id,
        connection=connection.name,
        stamp=connection.stamp,
        source=source,
        context=context,
        bytes_max=min(bytes_max, django_settings.ISTHMUS.intake_bytes_max),
        closed=closed,
        content_types=CONTENT_TYPES | frozenset(connection.manifest.content_types),
        fetches=isinstance(source, Fetching),
        taken=getattr(source, "taken", 202),
    )
