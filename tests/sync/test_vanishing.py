"""Many objects gone at once: not believed, in sight, released by a person one way or the other."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from isthmus.hub.lanes import service as lanes
from isthmus.hub.models import ConnectionState
from isthmus.hub.sync import vanishing
from isthmus.hub.sync.models import Link
from isthmus.kernel.errors import Conflict, Rejected
from isthmus.kernel.observation import ExternalRef, Observation
from isthmus.ledger.models import SystemEvent

COUNT = 8


def tell(story):
    asyncio.run(asyncio.wait_for(story, 90))


@given(gone=st.integers(1, 200), followed=st.integers(1, 500), limit=st.integers(1, 100))
def test_few_are_believed_many_are_not_and_one_more_is_never_more_believable(gone, followed, limit):
    found = vanishing.suspicious(gone, followed, limit)
    if gone < vanishing.FEW and gone <= limit:
        assert not found
    if gone > limit:
        assert found
    assert vanishing.suspicious(gone + 1, followed, limit) or not found
    assert not vanishing.suspicious(1, followed, max(limit, 1))


class Till:
    """Records linked to ServiceNow; `lose` takes objects away there, `look` reads every link afresh."""

    def __init__(self, hub):
        self.hub = hub

    async def open(self, count=COUNT):
        self.records = [await self.hub.opened(title=f"Till {n}") for n in range(count)]
        await self.hub.settle()
        self.keys = [(await self.hub.link(each, "snow")).external_key for each in self.records]
        return self

    @property
    def shelf(self):
        return self.hub.simulators["snow"].shelf("incident")

    def lose(self, count):
        rows = [(key, self.shelf.get(key)) for key in self.keys[:count]]
        for key, _ in rows:
            self.shelf.remove(key)
        return rows

    def find(self, rows):
        for key, row in rows:
            self.shelf.put(key, row)

    async def look(self):
        from isthmus.hub.sync import service

        def act(work):
            for each in Link.objects.filter(connection="snow", state="active"):
                service.compare(work, each)

        await self.hub.perform(act)
        await self.hub.settle()

    async def ended(self):
        return await self.hub.store(lambda: Link.objects.filter(connection="snow", state="parked").count())

    async def state(self):
        return await self.hub.store(lambda: ConnectionState.objects.get(connection="snow"))


def test_one_that_is_gone_counts_as_deleted(desk):
    async def story():
        async with desk() as hub:
            till = await Till(hub).open()
            till.lose(2)
            await till.look()
            assert await till.ended() == 2
            assert (await till.state()).vanished_held_at is None

    tell(story())


def test_many_gone_at_once_are_held_in_sight_and_found_again_after_a_look(desk):
    async def story():
        async with desk() as hub:
            till = await Till(hub).open()
            rows = till.lose(COUNT)
            await till.look()
            held = await till.state()
            assert await till.ended() < vanishing.FEW, "the rest still follows"
            assert held.vanished_held_at
            assert held.paused
            assert "gone within an hour" in held.paused_reason
            assert "our account" in held.last_error_remedy
            assert await hub.store(
                lambda: SystemEvent.objects.filter(subject="connection:snow", facts__isnull=False).exists()
            )
            till.find(rows)
            await hub.perform(lambda work: lanes.resume(work, "snow"))
            hub.book.clock.forward(seconds=120)
            await hub.settle()
            assert await till.ended() == 0, "those of the last hour follow again, too"
            assert (await till.state()).vanished_held_at is None
            await hub.edit(till.records[0], title="Edited afterwards")
            await hub.settle()
            assert till.shelf.get(till.keys[0])["short_description"] == "Edited afterwards"

    tell(story())


def test_still_gone_after_a_look_they_are_held_again(desk):
    async def story():
        async with desk() as hub:
            till = await Till(hub).open()
            till.lose(COUNT)
            await till.look()
            await hub.perform(lambda work: lanes.resume(work, "snow"))
            hub.book.clock.forward(seconds=120)
            await hub.settle()
            assert (await till.state()).vanished_held_at
            assert await till.ended() < vanishing.FEW

    tell(story())


def test_confirmed_by_a_person_they_count_as_deleted(desk):
    async def story():
        async with desk() as hub:
            till = await Till(hub).open()
            till.lose(COUNT)
            await till.look()
            with pytest.raises(Rejected):
                await hub.perform(lambda work: lanes.confirm_gone(work, "snow", " "))
            await hub.perform(lambda work: lanes.confirm_gone(work, "snow", "The table was emptied."))
            hub.book.clock.forward(seconds=120)
            await hub.settle()
            assert await till.ended() == COUNT
            state = await till.state()
            assert (state.vanished_held_at, state.paused) == (None, False)
            with pytest.raises(Conflict):
                await hub.perform(lambda work: lanes.confirm_gone(work, "snow", "again"))

    tell(story())


def test_what_was_confirmed_does_not_count_against_a_later_deletion(desk):
    async def story():
        async with desk() as hub:
            till = await Till(hub).open(COUNT + vanishing.FEW)
            till.lose(len(till.keys) - 1)
            await till.look()
            await hub.perform(lambda work: lanes.confirm_gone(work, "snow", "The table was emptied."))
            hub.book.clock.forward(minutes=59)
            await hub.settle()
            assert await till.ended() == len(till.keys) - 1
            hub.book.clock.forward(minutes=2)
            till.shelf.remove(till.keys[-1])
            await till.look()
            assert await till.ended() == len(till.keys)
            assert (await till.state()).vanished_held_at is None

    tell(story())


def test_messages_that_say_deleted_are_held_too(desk):
    async def story():
        async with desk() as hub:
            till = await Till(hub).open()
            for key in till.keys:
                gone = ExternalRef(connection="snow", kind="incident", key=key)
                await hub.observe(
                    "snow", Observation(kind="incident", external=gone, values={}, deleted=True)
                )
            assert await till.ended() == 0, "a message is a hint: what counts is the look that it causes"
            till.lose(COUNT)
            await hub.settle()
            assert await till.ended() < vanishing.FEW
            assert (await till.state()).vanished_held_at

    tell(story())


def test_without_the_brake_all_of_them_would_be_taken_as_deleted(desk, monkeypatch):
    """The twin."""
    monkeypatch.setattr(vanishing, "suspicious", lambda *_: False)

    async def story():
        async with desk() as hub:
            till = await Till(hub).open()
            till.lose(COUNT)
            await till.look()
            assert await till.ended() == COUNT

    tell(story())
