"""Messages that polls keep raw, and polls that a stream asks for."""

from __future__ import annotations

import asyncio

import pytest
from tests.hub.conftest import body

from isthmus.connectors.kit.ports import Fetched, Page
from isthmus.hub import connections, pages, polling
from isthmus.hub.models import Due, ParkedMessage, PollState
from isthmus.hub.serve.refusal_journal import flush


@pytest.fixture
def poller(hub, tiny):
    tiny.TinyPoller.pages.clear()
    tiny.TinyPoller.asked.clear()
    polling.ensure_scheduled(hub.book.clock.now())
    return tiny


def poll(hub):
    return asyncio.run(polling.run_due(hub.log, hub.book.clock.now()))


def state():
    return PollState.objects.get(connection="web", kind="alert")


def wait(hub, seconds):
    hub.book.clock.forward(seconds=seconds)


def fetched(*bodies, watermark="w1", refused=()):
    messages = [Fetched(body=each, headers=[("x-isthmus-uid", "1")]) for each in bodies]
    return Page(messages=messages, refused=refused, watermark=watermark)


def test_what_lies_at_the_partner_as_messages_is_kept_raw_and_read_by_the_source(hub, poller):
    poller.TinyPoller.pages += [fetched(body({"key": "a", "id": "1"}), b"not a list")]
    poll(hub)
    found = hub.log.read("web", 0, messages_max=9)
    assert [(each.door, each.body) for each in found][1] == ("fetch", b"not a list")
    assert dict(found[0].headers) == {"x-isthmus-uid": "1"}
    hub.run()
    assert hub.effects() == {"a": 1}
    assert [each.cause for each in ParkedMessage.objects.all()] == ["The body is not a list of items."]
    assert state().watermark == "w1"


def test_a_hub_killed_between_log_and_watermark_reads_again_and_doubles_nothing(hub, poller):
    class Dying:
        def append(self, connection, drafts):
            hub.log.append(connection, drafts)
            raise RuntimeError("killed")

    poller.TinyPoller.pages += [fetched(body({"key": "a", "id": "1"}))]
    asyncio.run(polling.run_due(Dying(), hub.book.clock.now()))
    assert (hub.log.durable("web"), state().watermark) == (1, "")
    wait(hub, 700)
    poll(hub)
    assert (hub.log.durable("web"), state().watermark) == (2, "w1")
    hub.run()
    assert hub.effects() == {"a": 1}


def test_what_may_not_enter_is_counted_and_journalled_without_its_content(hub, poller):
    poller.TinyPoller.pages += [fetched(refused=("sender", "sender", "unproved"))]
    poll(hub)
    assert hub.log.durable("web") == 0
    assert flush(pages.refusals, hub.book.clock.now()) == 3
    assert flush(pages.refusals, hub.book.clock.now()) == 0


def due_at():
    return Due.objects.get(what="poll", subject="web", key="alert").due_at


def hurry():
    asyncio.run(polling.hurry(connections.get("web"), "alert"))


def test_a_poll_that_is_hurried_runs_at_once_and_one_that_is_due_anyway_is_left(hub, poller):
    poll(hub)
    assert due_at() > hub.book.clock.now()
    hurry()
    assert due_at() <= hub.book.clock.now()
    epoch = Due.objects.get(what="poll").epoch
    hurry()
    assert Due.objects.get(what="poll").epoch == epoch
    assert poll(hub) == 1


def test_a_poll_that_is_hurried_while_it_runs_runs_once_more(hub, poller, monkeypatch):
    keep = polling._keep

    def ring_meanwhile(*arguments):
        keep(*arguments)
        polling._again.add(("web", "alert"))  # What `hurry` does while the poll runs.

    poller.TinyPoller.pages += [poller.seen_by("web", ["a"], "w1")]
    monkeypatch.setattr(polling, "_keep", ring_meanwhile)
    poll(hub)
    assert due_at() <= hub.book.clock.now()
    monkeypatch.undo()
    assert poll(hub) == 1
    assert due_at() > hub.book.clock.now()
    assert polling._running == polling._again == set()
