"""What became of one event: the id that a source gave it leads to its decision, as long as it is remembered."""

from __future__ import annotations

import msgspec

from isthmus.hub.models import EventId, OutcomeSegment
from isthmus.hub.pump.events import key_of
from isthmus.hub.pump.outcomes import Row
from isthmus.kernel.errors import NotFound
from isthmus.ledger import scope

_rows = msgspec.json.Decoder(list[Row]).decode


def outcome_of(connection: str, event_id: str) -> Row:
    """Return the outcome of an event, visible organisations only; raise `NotFound`."""
    visible = scope.current()
    known = EventId.objects.filter(key=key_of(connection, event_id))
    if visible is not None:
        known = known.filter(organisation__in=visible)
    for organisation, position in known.values_list("organisation", "position"):
        segment = OutcomeSegment.objects.filter(
            organisation=organisation, connection=connection, first__lte=position, last__gte=position
        ).first()
        for row in _rows(bytes(segment.body)) if segment is not None else ():
            if row.position == position and row.event_id == event_id:
                return row
    raise NotFound(
        f"No event {event_id!r} of {connection!r} is known.",
        remedy="Check both; events are remembered for a limited time (limits.event_id_days of the connection).",
    )
