"""Polls and deliveries share one allowance; polls never take more than their half of it."""

from __future__ import annotations

import asyncio

import pytest

from isthmus.hub.lanes.limits import Bucket
from isthmus.hub.lanes.terms import Terms
from isthmus.kernel.errors import Retryable
from isthmus.ledger import ids


@pytest.fixture
def slept(monkeypatch):
    """Sleeping forwards the hub's clock instead."""
    seconds: list[float] = []
    before = ids.source.offset

    async def forward(wanted: float) -> None:
        seconds.append(wanted)
        ids.source.offset += int(wanted * 1_000_000) + 1

    monkeypatch.setattr(asyncio, "sleep", forward)
    yield seconds
    ids.source.offset = before


def test_a_busy_poll_leaves_half_of_the_allowance_to_the_lane(slept):
    terms = Terms(bucket=Bucket(per_minute=20))
    for _ in range(10):
        asyncio.run(terms.turn())
    assert slept == []
    assert terms.bucket.room(ids.source.now()) == 10
    asyncio.run(terms.turn())
    assert slept, "the eleventh request of the polls waits, though the partner would take it"


def test_polls_keep_the_whole_allowance_too(slept):
    terms = Terms(bucket=Bucket(per_minute=4))
    now = ids.source.now()
    for _ in range(4):
        terms.bucket.reserve(now)
    asyncio.run(terms.turn())
    assert slept, "the lane has used it up: the poll waits"


def test_a_poll_that_is_under_way_waits_out_what_the_partner_told_the_lane(slept):
    terms = Terms(bucket=Bucket(per_minute=20))
    asyncio.run(terms.turn())
    terms.hold(30)
    asyncio.run(terms.turn())
    assert sum(slept) == pytest.approx(30, abs=1)


def test_under_a_long_hold_a_poll_ends_and_says_when_to_come_back(slept):
    terms = Terms(bucket=Bucket(per_minute=20))
    terms.hold(600)
    with pytest.raises(Retryable) as fault:
        asyncio.run(terms.turn())
    assert fault.value.after_seconds == pytest.approx(600, abs=1)
    assert slept == []
