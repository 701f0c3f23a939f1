"""Reading a sample: what a connection would see in a message, without any effect.

Nothing is stored, no sender is judged, no rule of a practice is asked: whoever writes a mapping sees what it makes of a
real payload, or where it refuses it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from isthmus.hub.connections import Connection
from isthmus.kernel.errors import IsthmusError, Rejected
from isthmus.kernel.observation import Observation

OBSERVATIONS_MAX = 1_000


def read(connection: Connection, body: bytes, headers: Mapping[str, str]) -> list[dict[str, Any]]:
    """Return what a connection sees in a message; raise `Rejected` with each place where it refuses it."""
    source, context = connection.connector.source, connection.pure_context()
    if source is None:
        raise Rejected(
            f"Connection {connection.name!r} is asked, nothing is sent to it.",
            remedy="Try a connection that receives messages.",
        )
    lower = {name.lower(): value for name, value in headers.items()}
    try:
        source.check(body, lower, context)
        found = source.parse(body, lower, context)
    except IsthmusError:
        raise
    except Exception as cause:
        raise Rejected(
            f"Connector {connection.stamp} failed on this message ({type(cause).__name__}).",
            remedy="Report it with the message.",
        ) from cause
    return [_shown(connection, each) for each in found[:OBSERVATIONS_MAX]]


def _shown(connection: Connection, observation: Observation) -> dict[str, Any]:
    shown: dict[str, Any] = msgspec.to_builtins(observation)
    try:
        connection.organisation_of(observation)
        shown["fault"] = ""
    except Rejected as fault:
        shown["fault"] = str(fault)
    return shown
