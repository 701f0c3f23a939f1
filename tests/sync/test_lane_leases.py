"""Several processes, one store: a lane is driven by one of them at a time, and a late one changes nothing."""

import asyncio

from isthmus.hub import connections
from isthmus.hub.lanes.lane import Lane
from isthmus.hub.lanes.models import Delivery
from isthmus.ledger.models import Lease


def tell(story):
    asyncio.run(asyncio.wait_for(story, 60))


async def two(hub):
    await hub.lanes["snow"].close()
    found = await hub.store(lambda: connections.get("snow"))
    return [Lane(found, hub.store, holder=name) for name in ("machine-a:1", "machine-b:2")]


def test_only_the_holder_of_the_lease_calls_and_the_other_takes_over_when_it_ends(desk):
    async def story():
        async with desk(routes=[{"id": "s", "kind": "incident", "to": ["snow"]}]) as hub:
            first, second = await two(hub)
            await hub.opened(title="One")
            await first.drain()
            assert len(hub.objects("snow")) == 1
            await hub.opened(title="Two")
            await second.drain()
            assert len(hub.objects("snow")) == 1, "the lane is another process's"
            hub.book.clock.forward(seconds=20)
            await second.drain()
            assert len(hub.objects("snow")) == 2, "the first did not renew: it is taken for dead"
            await hub.opened(title="Three")
            await second.close()
            await first.drain()
            assert len(hub.objects("snow")) == 3, "an orderly end hands over at once"
            await first.close()

    tell(story())


def test_what_a_process_records_after_it_lost_the_lease_does_not_count(desk):
    async def story():
        async with desk(routes=[{"id": "s", "kind": "incident", "to": ["snow"]}]) as hub:
            first, second = await two(hub)
            record = await hub.opened(title="One")
            assert await hub.store(first._leased)
            turns = await hub.store(lambda: first._take(5))
            results = [await first._call(each) for each in turns]
            hub.book.clock.forward(seconds=20)
            await second.drain()
            assert (await hub.store(Lease.objects.get)).epoch == 2
            assert await hub.store(lambda: first._recorded(results)) == []
            assert (await hub.link(record, "snow")).external_key == "", "the late answer was not recorded"
            # Its request can no longer land after the wait-out; its claim, which is longer, is not waited for.
            for _ in range(2):
                hub.book.clock.forward(seconds=60)
                await second.drain()
            assert (await hub.link(record, "snow")).external_key, "it was looked up instead"
            assert len(hub.objects("snow")) == 1
            state = await hub.store(lambda: Delivery.objects.get(connection="snow").state)
            assert state == "done"
            for each in (first, second):
                await each.close()

    tell(story())
