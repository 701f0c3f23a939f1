"""Streams: what they tell takes the way of a poll, a break is noted and healed, one process holds each of them."""

from __future__ import annotations

import asyncio

import pytest

from isthmus.hub import connections, health, metrics, streaming
from isthmus.hub.streaming import Streams
from isthmus.kernel.errors import NeedsOperator, Retryable
from isthmus.ledger import lease

NO_STREAM = """
connections:
  web:
    connector: tiny
    streaming: false
    config: {secret: {secret: "env:TINY_TOKEN"}}
"""


@pytest.fixture
def streamer(hub, tiny):
    tiny.TinyPoller.streamed.clear()
    tiny.TinyPoller.streams.clear()
    return tiny


def played(hub, act):
    """Run `act(streams)` on one event loop; every stream is closed at the end."""

    async def run():
        streams = Streams(hub.log)
        try:
            return await act(streams)
        finally:
            await streams.close()

    return asyncio.run(run())


async def settled(streams):
    """Tend until every stream rests: it waits for news, or it broke and that was noted."""
    await streams.tend()
    for _ in range(200):
        await asyncio.sleep(0.01)
        if all(held.task.done() or held.since for held in streams._held.values()):
            break
    await streams.tend()


def held(streams):
    return streams._held["web", "alert"]


def test_what_a_stream_tells_takes_the_same_way_as_a_webhook(hub, streamer):
    streamer.TinyPoller.streamed += [
        streamer.seen_by("web", ["a", "b"], ""),
        streamer.seen_by("web", ["c"], ""),
    ]

    async def act(streams):
        await settled(streams)
        assert held(streams).since
        for _ in range(200):
            if hub.log.durable("web") == 2:
                break
            await asyncio.sleep(0.01)

    played(hub, act)
    assert [each.door for each in hub.log.read("web", 0, messages_max=9)] == ["poll", "poll"]
    hub.run()
    assert hub.effects() == {"a": 1, "b": 1, "c": 1}
    assert health.state_of(hub.book.organisation, "web").last_success_at


def test_a_stream_of_nothing_is_open_and_writes_no_message(hub, streamer):
    streamer.TinyPoller.streamed += [streamer.seen_by("web", [], "")]

    async def act(streams):
        await settled(streams)
        return metrics.STREAMS_OPEN.labels("web")._value.get()

    assert played(hub, act) == 1
    assert hub.log.durable("web") == 0
    assert metrics.STREAMS_OPEN.labels("web")._value.get() == 0


def test_a_break_is_noted_once_and_healed_after_a_rest(hub, streamer):
    streamer.TinyPoller.streamed += [streamer.seen_by("web", ["a"], ""), streamer.AWAY]
    before = metrics.STREAM_BREAKS.labels("web")._value.get()

    async def act(streams):
        await settled(streams)
        await streams.tend()
        await streams.tend()
        shown = await asyncio.to_thread(_scoped, lambda: health.state_of(hub.book.organisation, "web"))
        broken = (len(streamer.TinyPoller.streams), shown.last_error)
        streamer.TinyPoller.streamed[:] = [streamer.seen_by("web", ["missed"], "")]
        hub.book.clock.forward(seconds=3)
        await settled(streams)
        return broken

    assert played(hub, act) == (1, "Tiny is away.")
    assert metrics.STREAM_BREAKS.labels("web")._value.get() == before + 1
    assert len(streamer.TinyPoller.streams) == 2
    hub.run()
    assert hub.effects() == {"a": 1, "missed": 1}


def test_a_stream_that_breaks_again_and_again_rests_longer_each_time(hub, streamer):
    streamer.TinyPoller.streamed += [streamer.AWAY]

    async def act(streams):
        rests = []
        for _ in range(6):
            await settled(streams)
            rests.append(held(streams).rest_until - hub.book.clock.now())
            hub.book.clock.forward(seconds=130)
        return rests

    rests = played(hub, act)
    assert rests[5] > 4 * rests[1] > 0
    assert max(rests) <= streaming.REST_MAX


def test_a_stream_that_lived_is_opened_again_soon(hub, streamer):
    streamer.TinyPoller.streamed += [streamer.AWAY]

    async def act(streams):
        for _ in range(5):
            await settled(streams)
            hub.book.clock.forward(seconds=130)
        long = held(streams).breaks
        streamer.TinyPoller.streamed[:] = [streamer.seen_by("web", [], "")]
        await settled(streams)
        hub.book.clock.forward(seconds=90)
        held(streams).task.cancel()
        await asyncio.gather(held(streams).task, return_exceptions=True)
        await streams.tend()
        return long, held(streams).breaks

    long, after = played(hub, act)
    assert long >= 5
    assert after == 1


def test_what_only_a_person_can_mend_is_not_tried_every_few_seconds(hub, streamer):
    streamer.TinyPoller.streamed += [NeedsOperator("The token lacks a permission.", remedy="Grant it.")]

    async def act(streams):
        await settled(streams)
        hub.book.clock.forward(seconds=500)
        await settled(streams)
        early = len(streamer.TinyPoller.streams)
        hub.book.clock.forward(seconds=200)
        await settled(streams)
        return early, len(streamer.TinyPoller.streams)

    assert played(hub, act) == (1, 2)


def test_a_partner_that_asks_for_patience_gets_it(hub, streamer):
    streamer.TinyPoller.streamed += [Retryable("Too many.", after_seconds=40)]

    async def act(streams):
        await settled(streams)
        hub.book.clock.forward(seconds=30)
        await settled(streams)
        early = len(streamer.TinyPoller.streams)
        hub.book.clock.forward(seconds=20)
        await settled(streams)
        return early, len(streamer.TinyPoller.streams)

    assert played(hub, act) == (1, 2)


def test_a_paused_connection_has_no_stream_and_a_resumed_one_has(hub, streamer):
    streamer.TinyPoller.streamed += [streamer.seen_by("web", [], "")]

    def pause():
        hub.book.perform(lambda work: health.pause(work, hub.book.organisation, "web", "Maintenance."))

    def resume():
        hub.book.perform(lambda work: health.resume(work, hub.book.organisation, "web"))

    async def act(streams):
        await settled(streams)
        await asyncio.to_thread(_scoped, pause)
        await settled(streams)
        paused = dict(streams._held)
        await asyncio.to_thread(_scoped, resume)
        await settled(streams)
        return paused, len(streamer.TinyPoller.streams)

    assert played(hub, act) == ({}, 2)


def _scoped(act):
    from isthmus.ledger import scope

    with scope.everywhere("test"):
        return act()


def test_a_stream_can_be_switched_off(hub, streamer):
    hub.apply(NO_STREAM)

    async def act(streams):
        await settled(streams)
        return dict(streams._held)

    assert streaming.kinds_of(connections.get("web")) == []
    assert played(hub, act) == {}


def test_two_processes_never_hold_the_same_stream_and_the_next_takes_it_over(hub, streamer):
    streamer.TinyPoller.streamed += [streamer.seen_by("web", [], "")]

    async def act():
        first, second = Streams(hub.log, holder="first"), Streams(hub.log, holder="second")
        try:
            await settled(first)
            await settled(second)
            alone = (len(first._held), len(second._held))
            # The first one dies without a word; its lease runs out.
            held(first).task.cancel()
            first._held.clear()
            hub.book.clock.forward(seconds=streaming.LEASE_FOR / 1_000_000 + 1)
            await settled(second)
            return alone, len(second._held)
        finally:
            await second.close()

    assert asyncio.run(act()) == ((1, 0), 1)


def test_a_stream_whose_lease_was_lost_is_closed(hub, streamer):
    streamer.TinyPoller.streamed += [streamer.seen_by("web", [], "")]

    async def act(streams):
        await settled(streams)
        hub.book.clock.forward(seconds=streaming.LEASE_FOR / 1_000_000 + 1)
        taken = await asyncio.to_thread(
            lambda: lease.take("stream:web:alert", now=hub.book.clock.now(), holder="somebody else")
        )
        await streams.tend()
        return taken is not None, dict(streams._held)

    assert played(hub, act) == (True, {})


def test_a_stream_that_only_rings_has_the_poll_run_at_once(hub, streamer):
    from isthmus.connectors.kit.ports import Page
    from isthmus.hub import polling
    from isthmus.hub.models import Due

    streamer.TinyPoller.pages.clear()
    now = hub.book.clock.now()
    polling.ensure_scheduled(now)
    asyncio.run(polling.run_due(hub.log, now))
    assert Due.objects.get(what="poll").due_at > now
    streamer.TinyPoller.streamed += [Page(news=True)]
    played(hub, settled)
    assert Due.objects.get(what="poll").due_at <= hub.book.clock.now()
    assert hub.log.durable("web") == 0
