"""Polls and deliveries share one allowance; polls never take more than their half of it."""

from __future__ import annotations

import asyncio

import pytest

from isthmus.hub.lanes import terms
from isthmus.hub.lanes.limits import Bucket
from isthmus.hub.lanes.terms import Terms
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


def test_a_lane_that_takes_over_goes_on_with_the_calls_and_the_wait_of_the_one_before(slept):
    """Also while there is no lane at all: a poll that begins between the two counts into what both allow."""
    ended = terms.opened("acme", 20)
    ended.hold(5)
    for _ in range(3):
        asyncio.run(terms.of("acme", 20).turn())
    assert terms.opened("acme", 4, ended) is ended
    assert sum(slept) == pytest.approx(5, abs=1)
    assert ended.bucket.room(ids.source.now()) == 1
    slept.clear()
    asyncio.run(terms.of("acme", 4).turn())
    assert sum(slept) > 50, "half of the smaller allowance was used up under the larger one"


def test_terms_that_nobody_holds_are_forgotten(slept):
    """The twin, and why the runner holds the terms themselves: what a poll spends on others is lost."""
    asyncio.run(terms.opened("acme", 20).turn())
    assert terms.of("acme", 20).bucket.room(ids.source.now()) == 20
