"""Polls: pages enter the log before their watermark is kept, and faults of a partner stay its own."""

from __future__ import annotations

import asyncio

import pytest

from isthmus.hub import connections, health, polling
from isthmus.hub.lanes import terms
from isthmus.hub.lanes.limits import CALLS_MAX
from isthmus.hub.models import Due, PollState
from isthmus.kernel.actor import Origin, system
from isthmus.kernel.errors import NeedsOperator
from isthmus.ledger.door import perform
from isthmus.ledger.ids import source


@pytest.fixture
def poller(hub, tiny):
    tiny.TinyPoller.pages.clear()
    tiny.TinyPoller.asked.clear()
    polling.ensure_scheduled(hub.book.clock.now())
    return tiny


def poll(hub) -> int:
    return asyncio.run(polling.run_due(hub.log, hub.book.clock.now()))


def state() -> PollState:
    return PollState.objects.get(connection="web", kind="alert")


def wait(hub, seconds: float) -> None:
    hub.book.clock.forward(seconds=seconds)


def test_what_a_poll_finds_takes_the_same_way_as_a_webhook(hub, poller):
    poller.TinyPoller.pages += [poller.seen_by("web", ["a", "b"], "w1"), poller.seen_by("web", ["c"], "w2")]
    assert poll(hub) == 1
    assert [each.door for each in hub.log.read("web", 0, messages_max=9)] == ["poll", "poll"]
    hub.run()
    assert hub.effects() == {"a": 1, "b": 1, "c": 1}
    assert state().watermark == "w2"


def test_the_next_poll_starts_at_the_watermark_and_not_before_its_time(hub, poller):
    poller.TinyPoller.pages += [poller.seen_by("web", ["a"], "w1")]
    poll(hub)
    assert poll(hub) == 0
    wait(hub, 20)
    poll(hub)
    assert poller.TinyPoller.asked == ["", "w1"]


def test_an_empty_page_moves_the_watermark_and_writes_no_message(hub, poller):
    poller.TinyPoller.pages += [poller.seen_by("web", [], "w1")]
    poll(hub)
    assert hub.log.durable("web") == 0
    assert state().watermark == "w1"


def test_a_fault_after_a_page_keeps_the_page_and_shows_the_fault(hub, poller):
    poller.TinyPoller.pages += [poller.seen_by("web", ["a"], "w1"), poller.AWAY]
    poll(hub)
    assert (state().watermark, state().failures) == ("w1", 1)
    shown = health.state_of(hub.book.organisation, "web")
    assert (shown.last_error, shown.last_error_remedy) == ("Tiny is away.", "Wait.")
    poller.TinyPoller.pages.clear()
    wait(hub, 400)
    poll(hub)
    assert state().failures == 0
    assert health.state_of(hub.book.organisation, "web").last_success_at


def test_the_interval_shrinks_while_much_changes_and_grows_while_nothing_does(hub, poller):
    for _ in range(8):
        poll(hub)
        wait(hub, 400)
    calm = state().interval
    poller.TinyPoller.pages += [poller.seen_by("web", ["a"], "w")]
    for _ in range(8):
        poll(hub)
        wait(hub, 400)
    assert calm == 300_000_000
    assert state().interval == 15_000_000


def test_a_fault_that_only_a_person_can_mend_is_not_asked_again_every_few_seconds(hub, poller):
    poller.TinyPoller.pages.append(NeedsOperator("The token lacks a permission.", remedy="Grant it."))
    poll(hub)
    wait(hub, 400)
    assert poll(hub) == 0
    wait(hub, 300)
    assert poll(hub) == 1


def test_a_fault_that_only_a_person_can_mend_does_not_hold_up_what_came_before_it(hub, poller):
    refusal = NeedsOperator("The token may not see the clocks.", remedy="Grant it.")
    poller.TinyPoller.pages += [poller.seen_by("web", ["a"], "w1"), refusal]
    assert poll(hub) == 1
    assert health.state_of(hub.book.organisation, "web").last_error_remedy == "Grant it."
    wait(hub, 400)
    assert poll(hub) == 1
    assert poller.TinyPoller.asked == ["", "w1"]


def test_a_paused_connection_is_not_asked(hub, poller):
    hub.book.perform(lambda work: health.pause(work, hub.book.organisation, "web", "Maintenance."))
    poll(hub)
    assert poller.TinyPoller.asked == []
    hub.book.perform(lambda work: health.resume(work, hub.book.organisation, "web"))
    wait(hub, 400)
    poll(hub)
    assert poller.TinyPoller.asked == [""]


def test_a_poll_can_be_asked_for_at_once(hub, poller):
    poll(hub)
    assert poll(hub) == 0
    perform(
        lambda work: polling.run_now(work, connections.get("web")),
        actor=system("test"),
        origin=Origin(channel="page"),
    )
    assert poll(hub) == 1


def test_a_removed_connection_is_not_polled_any_more(hub, poller):
    hub.apply("connections: {}")
    polling.ensure_scheduled(hub.book.clock.now())
    assert not Due.objects.filter(what=polling.WHAT).exists()


def test_a_process_that_died_while_polling_is_followed_by_another(hub, poller, monkeypatch):
    class PowerCut(BaseException):
        pass

    def cut(*_):
        raise PowerCut

    poller.TinyPoller.pages += [poller.seen_by("web", ["a"], "w1")]
    with monkeypatch.context() as patch:
        patch.setattr(polling, "_settle", cut)
        with pytest.raises(PowerCut):
            poll(hub)
    assert poll(hub) == 0, "the claim still stands"
    wait(hub, 31)
    assert poll(hub) == 1
    assert poller.TinyPoller.asked == ["", "w1"]


def test_a_long_poll_keeps_its_claim_from_others(hub, poller, monkeypatch):
    monkeypatch.setattr(polling, "KEEP_SECONDS", 0.01)
    poller.TinyPoller.pages += [poller.seen_by("web", ["a"], "w1")]
    others = []

    async def claimed_until():
        return await polling._in_thread(lambda: Due.objects.get(what=polling.WHAT).claimed_until)

    async def slow(self, kind, watermark):
        for _ in range(3):
            before = await claimed_until()
            wait(hub, 20)
            while await claimed_until() == before:  # noqa: ASYNC110 - the store rings no bell
                await asyncio.sleep(0.01)
            others.append(await polling.run_due(hub.log, hub.book.clock.now()))
        for each in self.pages:
            yield each

    monkeypatch.setattr(poller.TinyPoller, "changed_since", slow)
    assert poll(hub) == 1
    assert others == [0, 0, 0], "20 s after each renewal the claim of 30 s still stands"
    assert state().watermark == "w1"


LIMITED = """
connections:
  web:
    connector: tiny
    config: {{secret: {{secret: "env:TINY_TOKEN"}}}}
    limits: {{requests_per_minute: {}}}
"""


def spend(calls: int) -> None:
    """Let a poll of its own make calls."""
    connection = connections.get("web")

    async def act() -> None:
        shared = await polling.terms_of(connection)
        for _ in range(calls):
            await shared.turn()

    asyncio.run(act())


def room() -> int:
    return terms.of(connections.get("web")).bucket.room(source.now())


def test_what_a_poll_spends_counts_whether_a_lane_runs_or_not_and_over_a_change_of_the_limit(hub, poller):
    hub.apply(LIMITED.format(40))
    stale = connections.get("web")
    spend(3)
    assert room() == 37
    hub.apply(LIMITED.format(10))
    assert room() == 7
    assert terms.of(stale).bucket.per_minute == 10, "who still holds the blueprint of before changes nothing"


def test_several_that_ask_after_a_restart_assume_what_was_under_way_once(hub, poller):
    hub.apply(LIMITED.format(60))
    spend(3)
    poll(hub)
    terms.forget()
    connection = connections.get("web")

    async def all_at_once() -> None:
        await asyncio.gather(*(polling.terms_of(connection) for _ in range(4)))

    asyncio.run(all_at_once())
    found = terms.of(connection)
    terms.restore(found, health.state_of(connection.organisation, "web"), "the lane's lease")
    assert room() == 60 - 3 - CALLS_MAX


def test_a_restart_counts_what_polls_had_spent_and_what_may_have_been_under_way(hub, poller):
    hub.apply(LIMITED.format(60))
    spend(3)
    poll(hub)
    terms.forget()
    spend(1)
    assert room() == 60 - 3 - CALLS_MAX - 1
    wait(hub, 30)
    assert poll(hub) == 1
    assert len(health.state_of(hub.book.organisation, "web").tokens) == 3 + CALLS_MAX + 1
