"""Any event id that a source sent leads to its decision."""

from __future__ import annotations

from typing import Any

import pytest

from isthmus.hub.models import EventId, OutcomeSegment
from isthmus.hub.pump import outcomes
from isthmus.hub.pump.events import key_of
from isthmus.kernel.errors import NotFound
from isthmus.ledger import scope
from isthmus.practices.monitoring import events


def remembered(monitor: Any, *seens: Any) -> None:
    """Take events and remember their outcomes as the pump does."""
    found = monitor.send(*seens)
    segment = outcomes.encoded(
        found, {each.message_position: (each.message_id, each.trace) for each in seens}
    )

    def do(work: Any) -> None:
        organisation, now = monitor.book.organisation, work.now
        work.insert(
            OutcomeSegment, organisation=organisation, connection="am", first=seens[0].message_position, last=seens[-1].message_position,
            received_from=now, received_to=now, body=segment.body,
        )  # fmt: skip
        for each in seens:
            key = {"organisation": organisation, "key": key_of("am", each.observation.event_id)}
            work.upsert(EventId, key=key, values={"position": each.message_position, "expires_at": now + 1})

    monitor.book.perform(do)


def test_every_event_of_a_batch_is_found_with_its_decision(monitor: Any) -> None:
    seens = [monitor.event(host=f"h{index % 3}") for index in range(12)]
    remembered(monitor, *seens)
    for seen in seens:
        row = events.outcome_of("am", seen.observation.event_id)
        assert row.reason.startswith("opened:")
        assert row.records[1] in {each.id for each in monitor.incidents()}


def test_an_unknown_or_foreign_event_is_not_found(monitor: Any) -> None:
    seen = monitor.event(host="a")
    remembered(monitor, seen)
    other = monitor.book.add_organisation("Other")
    with pytest.raises(NotFound):
        events.outcome_of("am", "never-sent")
    with scope.within([other]), pytest.raises(NotFound):
        events.outcome_of("am", seen.observation.event_id)
