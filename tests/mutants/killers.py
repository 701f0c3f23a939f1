"""Checks that no other test makes on its own, each for one mutant of the catalogue."""

from __future__ import annotations

import asyncio
import os
from typing import Any

import pytest
from tests.hub.conftest import body
from tests.ledger.conftest import open_incident

from isthmus.hub import connections, metrics
from isthmus.hub.models import OutcomeSegment
from isthmus.hub.pump.pump import Pump
from isthmus.hub.sync.models import Conflict
from isthmus.ledger import sealer
from isthmus.ledger.models import Entry, Seal, Unsealed


def tell(story: Any) -> None:
    asyncio.run(asyncio.wait_for(story, 60))


def a_late_committer_is_sealed_too(book: Any) -> None:
    """PostgreSQL lets a lower sequence number commit after a higher one: its queue row appears later."""
    open_incident(book, "began first, commits last")
    late = list(Unsealed.objects.values("seqs", "recorded_at"))
    Unsealed.objects.all().delete()
    open_incident(book, "began last, commits first")
    sealer.seal_all(book.clock.now())
    Unsealed.objects.bulk_create(Unsealed(**each) for each in late)
    sealer.seal_all(book.clock.now())
    sealed = sum(len(bytes(each)) // 8 for each in Seal.objects.values_list("seqs", flat=True))
    assert sealed == Entry.objects.count()
    assert not Unsealed.objects.exists()


def an_append_returns_only_after_the_disk_has_it(hub: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    hub.send(body({"key": "opens the segment"}))
    synced: list[int] = []
    real = os.fdatasync
    monkeypatch.setattr(os, "fdatasync", lambda file: (real(file), synced.append(file)))
    hub.send(body({"key": "a"}))
    assert synced


def a_pump_that_fell_behind_takes_nothing(hub: Any) -> None:
    late = Pump(hub.log)
    late._partition(connections.get("web"))
    hub.send(body({"key": "a", "id": "1"}))
    hub.run()
    failed = metrics.BATCHES_FAILED.labels("web")
    before = failed._value.get()
    assert late.round() == 0
    assert OutcomeSegment.objects.count() == 1
    assert failed._value.get() == before, (
        "falling behind is noticed before anything is decided, not by a key of the store"
    )


def a_tag_that_somebody_adds_there_survives_our_write(desk: Any) -> None:
    async def story() -> None:
        async with desk() as hub:
            record = await hub.opened(tags=["ours"])
            await hub.settle()
            key = (await hub.link(record, "jira")).external_key
            hub.human("jira", key, tags=["ours", "theirs"])
            await hub.edit(record, tags=["ours", "later"])
            await hub.settle()
            await hub.poll("jira")
            await hub.settle()
            assert set((await hub.shown("jira", key)).values["tags"]) == {"ours", "later", "theirs"}
            assert set((await hub.incident(record)).tags) == {"ours", "later", "theirs"}

    tell(story())


def an_edit_that_nobody_told_us_is_not_overwritten(desk: Any) -> None:
    async def story() -> None:
        async with desk() as hub:
            record = await hub.opened()
            await hub.settle()
            key = (await hub.link(record, "snow")).external_key
            hub.human("snow", key, title="Renamed there, webhook lost")
            await hub.edit(record, title="Renamed here")
            await hub.settle()
            held = await hub.store(lambda: list(Conflict.objects.filter(record=record, field="title")))
            kept = {(await hub.incident(record)).title} | {
                each for one in held for each in (one.ours, one.theirs)
            }
            assert "Renamed there, webhook lost" in kept

    tell(story())


def an_edit_during_the_flight_goes_out(desk: Any) -> None:
    async def story() -> None:
        async with desk() as hub:
            record = await hub.opened()
            await hub.settle()
            key = (await hub.link(record, "snow")).external_key
            await hub.edit(record, title="first")
            lane = hub.lanes["snow"]
            begun = await hub.store(lambda: lane._take(5))
            lane._start(begun)
            await asyncio.wait(lane._tasks)
            await hub.edit(record, title="second")
            await hub.settle()
            hub.book.clock.forward(minutes=10)
            await hub.settle()
            assert (await hub.shown("snow", key)).values["title"] == "second"

    tell(story())
