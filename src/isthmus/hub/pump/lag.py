"""How far the pump is behind a connection's log."""

from __future__ import annotations

from isthmus.hub.connections import Connection
from isthmus.hub.intake.log import IntakeLog
from isthmus.hub.pump.deciding import taken_up_to
from isthmus.ledger.ids import source


def lag(log: IntakeLog, connection: Connection) -> tuple[int, int]:
    """Return (messages, microseconds) that the pump is behind the log of a connection."""
    position = taken_up_to(connection)
    waiting = log.durable(connection.name) - position
    if waiting <= 0:
        return 0, 0
    oldest = log.read(connection.name, position, messages_max=1)
    return waiting, max(0, source.now() - oldest[0].received_at) if oldest else 0
