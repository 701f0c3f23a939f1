"""What one process gives the lanes of another to do: a bell rings, and the lanes that have something due are woken."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

from isthmus.hub import due, metrics
from isthmus.hub.lanes import levels, runner
from isthmus.hub.lanes.lane import Lane
from isthmus.hub.serve.delivering import Delivering
from isthmus.hub.serve.process import Process, announce_errands
from isthmus.hub.serve.shared import Bell, Shared
from isthmus.kernel.instant import HOUR, Instant
from isthmus.ledger import door

PATIENCE = 20.0


@pytest.fixture
def bell(book: Any, monkeypatch: pytest.MonkeyPatch) -> Bell:
    monkeypatch.setattr(door, "_listeners", [])
    found = Bell()
    announce_errands(found)
    return found


def test_the_bell_rings_for_a_work_that_gave_a_lane_something_to_do(book, bell):
    book.perform(lambda work: levels.wake_lane(work, "snow"))
    assert bell.wait(0)
    assert not bell.wait(0), "heard once"


def test_it_does_not_ring_for_another_nor_for_one_that_failed(book, bell):
    book.perform(lambda work: None)

    def failing(work: Any) -> None:
        levels.wake_lane(work, "snow")
        raise RuntimeError("no room on the disk")

    with pytest.raises(RuntimeError):
        book.perform(failing)
    assert not bell.wait(0)


class Asleep:
    """A lane that only has a name: what it looks for is the real one's."""

    anything_due = Lane.anything_due

    def __init__(self, name: str) -> None:
        self.name, self.wake = name, asyncio.Event()


def lanes_of(*names: str) -> runner.Lanes:
    found = runner.Lanes()
    for name in names:
        found._running[name] = (Asleep(name), asyncio.Event(), None)  # type: ignore[assignment]
    return found


def test_only_lanes_that_have_something_due_are_woken(book):
    def act(work: Any) -> None:
        for lane, at in (("now", work.now), ("later", Instant(work.now + HOUR))):
            due.schedule(work, "test", lane, at, organisation=book.organisation, lane=lane)

    book.perform(act)

    async def looked() -> dict[str, bool]:
        lanes = lanes_of("now", "later", "idle")
        await lanes.look()
        woken = {name: lane.wake.is_set() for name, (lane, _, _) in lanes._running.items()}
        await lanes.close()
        return woken

    assert asyncio.run(looked()) == {"now": True, "later": False, "idle": False}


def test_each_ring_has_the_lanes_look_and_a_look_that_fails_is_not_the_last(hub, tmp_path):
    shared = Shared()

    async def played() -> int:
        looks, stop = [], asyncio.Event()
        seen = asyncio.Event()

        async def look() -> None:
            looks.append(1)
            seen.set()
            if len(looks) == 1:
                raise RuntimeError("the store is away")

        delivering = Delivering(Process("lanes", shared, tmp_path, metrics.LANES))
        listening = asyncio.create_task(delivering._run_errands(SimpleNamespace(look=look), stop))  # type: ignore[arg-type]
        for _ in range(3):
            seen.clear()
            await asyncio.sleep(0)
            shared.errands.ring()
            await asyncio.wait_for(seen.wait(), PATIENCE)
        stop.set()
        await asyncio.wait_for(listening, PATIENCE)
        return len(looks)

    assert asyncio.run(played()) >= 3
