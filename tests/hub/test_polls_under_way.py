"""The loop of polls: a partner that is slow, and one whose result cannot be kept, are no business of the others."""

from __future__ import annotations

import asyncio
from collections import Counter

import pytest

from isthmus.hub import polling

TWO = """
connections:
  slow: &tiny
    connector: tiny
    config: {secret: {secret: "env:TINY_TOKEN"}}
    polling: {seconds_min: 10, seconds_max: 10}
  quick: *tiny
"""
PATIENCE = 20.0


class Asked:
    """Counts the polls of each connection; those in `holding` wait until they are let go."""

    def __init__(self) -> None:
        self.begun: Counter[str] = Counter()
        self.holding = {"slow": asyncio.Event()}

    def changed_since(self):
        begun, holding = self.begun, self.holding

        async def pages(client, kind, watermark):
            begun[client.connection] += 1
            if client.connection in holding:
                await holding[client.connection].wait()
            return
            yield

        return pages

    async def until(self, connection: str, times: int) -> None:
        async with asyncio.timeout(PATIENCE):
            while self.begun[connection] < times:  # noqa: ASYNC110 - a counter rings no bell
                await asyncio.sleep(0.01)


@pytest.fixture
def two(hub, tiny, monkeypatch):
    monkeypatch.setattr(polling, "REST_SECONDS", 0.01)
    monkeypatch.setattr(polling, "KEEP_SECONDS", 0.01)
    hub.apply(TWO)
    return hub


def playing(monkeypatch, tiny, story, bell=lambda: None, log=None):
    """Run the loop of polls beside `story(asked)`."""

    async def both() -> Counter[str]:
        asked, stop = Asked(), asyncio.Event()
        monkeypatch.setattr(tiny.TinyPoller, "changed_since", asked.changed_since())
        running = asyncio.create_task(polling.Polls(log, bell=bell).run(stop))
        try:
            await story(asked)
        finally:
            stop.set()
            for each in asked.holding.values():
                each.set()
            await asyncio.wait_for(running, PATIENCE)
        return asked.begun

    return asyncio.run(both())


def test_a_slow_partner_holds_up_nobody_else(two, tiny, monkeypatch):
    async def story(asked: Asked) -> None:
        for times in (1, 2, 3):
            await asked.until("quick", times)
            two.book.clock.forward(seconds=20)
        assert asked.begun["slow"] == 1

    begun = playing(monkeypatch, tiny, story, log=two.log)
    assert begun["quick"] >= 3


def test_no_more_polls_at_once_than_are_allowed(two, tiny, monkeypatch):
    monkeypatch.setattr(polling, "AT_ONCE_MAX", 1)

    async def story(asked: Asked) -> None:
        asked.holding["quick"] = asyncio.Event()
        async with asyncio.timeout(PATIENCE):
            while not asked.begun:  # noqa: ASYNC110 - a counter rings no bell
                await asyncio.sleep(0.01)
        (first,) = asked.begun
        await asyncio.sleep(0.1)
        assert asked.begun.total() == 1
        asked.holding[first].set()
        await asked.until("quick" if first == "slow" else "slow", 1)

    playing(monkeypatch, tiny, story, log=two.log)


def test_a_poll_that_cannot_be_settled_does_not_end_the_others(two, tiny, monkeypatch):
    rung = []
    settle = polling._settle

    def breaking(connection, row, result):
        if connection.name == "slow":
            raise RuntimeError("no room on the disk")
        settle(connection, row, result)

    monkeypatch.setattr(polling, "_settle", breaking)

    async def story(asked: Asked) -> None:
        asked.holding["slow"].set()
        await asked.until("slow", 1)
        await asked.until("quick", 1)
        two.book.clock.forward(seconds=40)
        await asked.until("quick", 2)
        await asked.until("slow", 2)

    playing(monkeypatch, tiny, story, bell=lambda: rung.append(1), log=two.log)
    assert len(rung) >= 4
