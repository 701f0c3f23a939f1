"""What the door fetches: a certificate when a message needs it, a confirmation once the message is durable."""

from __future__ import annotations

import asyncio
import json
import threading
from contextlib import contextmanager
from dataclasses import replace

import pytest
from tests.hub.intake.test_door import serving

from isthmus import django_settings
from isthmus.connectors.kit.faults import Fault
from isthmus.connectors.sns.simulator import CERTIFICATE_PATH, TOPIC, SnsSimulator, signed
from isthmus.hub import connections

YAML = """
connections:
  aws:
    connector: sns
    config: {{topics: ["{topic}"], endpoint: "{url}", age_hours_max: 720}}
"""


@contextmanager
def running(simulator):
    """Serve a simulator on a loop of its own and yield its address."""
    loop, ready = asyncio.new_event_loop(), threading.Event()
    held = {}

    def run():
        asyncio.set_event_loop(loop)
        held["url"] = loop.run_until_complete(simulator.start())
        ready.set()
        loop.run_forever()
        loop.run_until_complete(simulator.stop())
        loop.close()

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    assert ready.wait(10)
    yield held["url"]
    loop.call_soon_threadsafe(loop.stop)
    thread.join(10)


@pytest.fixture
def aws():
    simulator = SnsSimulator(endpoint=True)
    with running(simulator) as url:
        simulator.url = url
        yield simulator


@pytest.fixture
def door(hub, aws, monkeypatch):
    private = replace(django_settings.ISTHMUS, allow_private_addresses=True)
    monkeypatch.setattr(django_settings, "ISTHMUS", private)
    connections.forget()
    hub.apply(YAML.format(topic=TOPIC, url=aws.url))
    yield from serving(hub)


@pytest.fixture
def guarded(hub, aws):
    hub.apply(YAML.format(topic=TOPIC, url=aws.url))
    yield from serving(hub)


def fetched(aws):
    return [each.path for each in aws.calls if each.path == CERTIFICATE_PATH]


def post(door, message):
    return door.post(
        json.dumps(message).encode(), path="/ingest/sns/aws", content_type="text/plain; charset=UTF-8"
    )


def test_the_certificate_is_fetched_once_and_then_held(hub, door, aws):
    for name in ("one", "two"):
        assert post(door, aws.alarm(name))[0] == 202
    assert len(fetched(aws)) == 1
    assert hub.log.durable("aws") == 2


def test_a_message_whose_certificate_cannot_be_had_comes_again(hub, door, aws):
    aws.faults.plan(Fault.STATUS, status=500, path=CERTIFICATE_PATH)
    status, said, headers = post(door, aws.alarm("one"))
    assert (status, headers["retry-after"]) == (503, "10")
    assert "certificate" in said["detail"]
    assert hub.log.durable("aws") == 0
    # The address rests: a storm of messages does not become a storm of calls.
    assert post(door, aws.alarm("one"))[0] == 503
    assert len(fetched(aws)) == 1


def test_a_forged_message_is_refused_though_its_certificate_was_fetched(hub, door, aws):
    forged = {**aws.alarm("one"), "Message": "{}"}
    assert post(door, forged)[0] == 401
    assert hub.log.durable("aws") == 0


def test_of_a_topic_that_is_not_pinned_nothing_is_fetched_and_no_link_is_visited(hub, door, aws):
    asked = signed({**aws.subscribe(), "TopicArn": TOPIC + "-of-somebody-else"})
    assert post(door, asked)[0] == 403
    assert aws.calls == []
    assert aws.confirmed == []
    assert hub.log.durable("aws") == 0


def test_a_pinned_topic_is_confirmed_after_its_message_is_durable(hub, door, aws):
    asked = aws.subscribe()
    assert post(door, asked)[0] == 202
    assert aws.confirmed == [asked["Token"]]
    assert hub.log.durable("aws") == 1


def test_a_confirmation_that_fails_is_asked_for_again(hub, door, aws):
    assert post(door, aws.alarm("one"))[0] == 202
    aws.faults.plan(Fault.STATUS, status=500, path="/")
    asked = aws.subscribe()
    assert post(door, asked)[0] == 503
    assert aws.confirmed == []
    again = aws.subscribe()
    assert post(door, again)[0] == 202
    assert aws.confirmed == [again["Token"]]


def test_an_unsubscription_is_taken_and_its_link_not_visited(hub, door, aws):
    assert post(door, aws.unsubscribe())[0] == 202
    assert aws.confirmed == []


def test_the_address_guard_holds_for_what_the_door_fetches(hub, guarded, aws):
    assert post(guarded, aws.alarm("one"))[0] == 503
    assert aws.calls == []
