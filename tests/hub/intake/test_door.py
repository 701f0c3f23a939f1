"""The door, over real HTTP: what it takes is on disk before it says so; what it refuses changes nothing."""

from __future__ import annotations

import asyncio
import json
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from http.client import HTTPConnection
from typing import Any

import pytest
import uvicorn
from tests.hub.conftest import YAML, body

from isthmus.hub.intake.appender import Appender
from isthmus.hub.intake.current_entrances import CurrentEntrances
from isthmus.hub.intake.door import Door
from isthmus.hub.intake.log import LogUnavailable
from isthmus.hub.intake.refusals import Refusals
from isthmus.hub.serve.refusal_journal import flush
from isthmus.ledger.ids import source
from isthmus.ledger.models import SystemEvent

TOKEN = {"authorization": "Bearer let-me-in", "content-type": "application/json"}


@dataclass
class Served:
    port: int
    entrances: CurrentEntrances
    refusals: Refusals
    appender: Appender

    def post(self, data: bytes, path: str = "/ingest/tiny/web", method: str = "POST", **headers: str) -> Any:
        http = HTTPConnection("127.0.0.1", self.port, timeout=20)
        http.request(
            method,
            path,
            body=data,
            headers={**TOKEN, **{name.replace("_", "-"): value for name, value in headers.items()}},
        )
        answer = http.getresponse()
        said = json.loads(answer.read())
        http.close()
        return answer.status, said, {name.lower(): value for name, value in answer.getheaders()}


def serving(hub: Any, *, queue_max: int = 1000) -> Iterator[Served]:
    entrances, refusals, held = CurrentEntrances(), Refusals(), {}
    entrances.refresh()
    ready = threading.Event()
    door = Door(entrances, lambda: held["appender"], refusals, source)

    async def app(scope, receive, send):
        if scope["type"] == "lifespan":
            await receive()
            appender = Appender(
                hub.log, queue_max=queue_max, loop=asyncio.get_running_loop(), notify=lambda: None
            )
            appender.start()
            held["appender"] = appender
            await send({"type": "lifespan.startup.complete"})
            ready.set()
            await receive()
            appender.stop()
            await send({"type": "lifespan.shutdown.complete"})
            return
        await door(scope, receive, send)

    server = uvicorn.Server(
        uvicorn.Config(
            app,
            port=0,
            loop="uvloop",
            http="httptools",
            log_config=None,
            lifespan="on",
            timeout_graceful_shutdown=2,
        )
    )
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    assert ready.wait(10)
    while not server.started:
        time.sleep(0.01)
    port = server.servers[0].sockets[0].getsockname()[1]
    yield Served(port, entrances, refusals, held["appender"])
    server.should_exit = True
    thread.join(10)


@pytest.fixture
def door(hub):
    yield from serving(hub)


def test_an_accepted_message_is_durable_and_the_sender_gets_its_names(hub, door):
    status, said, _ = door.post(body({"key": "a"}))
    assert status == 202
    kept = hub.log.read("web", 0, messages_max=9)
    assert [(each.id, each.trace, each.position) for each in kept] == [
        (said["message"], said["trace"], said["position"])
    ]
    assert kept[0].body == body({"key": "a"})
    hub.run()
    assert hub.effects() == {"a": 1}


def test_the_senders_trace_is_taken_over(hub, door):
    trace = "4bf92f3577b34da6a3ce929d0e0e4736"
    assert door.post(body({"key": "a"}), traceparent=f"00-{trace}-00f067aa0ba902b7-01")[1]["trace"] == trace


def test_credentials_do_not_enter_the_log(hub, door):
    door.post(body({"key": "a"}), x_webhook_token="MARKER", cookie="MARKER")
    kept = hub.log.read("web", 0, messages_max=1)[0]
    assert "content-type" in dict(kept.headers)
    assert "MARKER" not in str(kept.headers)
    assert "let-me-in" not in str(kept.headers)


@pytest.mark.parametrize(
    ("status", "reason", "request_"),
    [
        (401, "missing", {"authorization": ""}),
        (403, "token", {"authorization": "Bearer wrong"}),
        (404, "unknown", {"path": "/ingest/tiny/nowhere"}),
        (404, "unknown", {"path": "/ingest/other/web"}),
        (404, "unknown", {"path": "/ingest/tiny/web/more"}),
        (405, "method", {"method": "PUT"}),
        (413, "size", {"data": b'{"items": []}' + b" " * 6000}),
        (415, "content-type", {"content_type": "application/xml"}),
        (422, "shape", {"data": b'{"items": 3}'}),
        (422, "shape", {"data": b"not json"}),
    ],
)
def test_what_is_refused_changes_nothing_but_a_counter(hub, door, status, reason, request_):
    said = door.post(**{"data": body({"key": "a"}), **request_})
    assert said[0] == status
    assert said[2]["content-type"] == "application/problem+json"
    assert said[1]["detail"]
    assert hub.log.durable("web") == 0
    assert [(each.reason, count) for each, count in door.refusals.take().items()] == [(reason, 1)]


def test_a_wrong_shape_is_named_by_pointer(door):
    assert door.post(b'{"items": 3}')[1]["errors"][0]["pointer"] == "/items"


def test_a_body_without_a_declared_length_is_capped_too(hub, door):
    http = HTTPConnection("127.0.0.1", door.port, timeout=20)
    http.request("POST", "/ingest/tiny/web", body=iter([b" " * 3000] * 5), headers=TOKEN, encode_chunked=True)
    assert http.getresponse().status == 413
    assert hub.log.durable("web") == 0


def test_a_sender_of_far_too_much_reads_the_refusal_instead_of_a_broken_pipe(hub, door):
    status, said, headers = door.post(b" " * 3_000_000)
    assert (status, headers["connection"]) == (413, "close")
    assert "exceeds" in said["detail"]


def test_a_body_that_breaks_off_is_not_taken_for_a_whole_one(hub, door):
    data = body({"key": "k", "id": "e"})
    head = [f"{name}: {value}" for name, value in {**TOKEN, "content-length": len(data) + 9}.items()]
    with socket.create_connection(("127.0.0.1", door.port), timeout=10) as wire:
        wire.sendall(
            "\r\n".join(["POST /ingest/tiny/web HTTP/1.1", "host: hub", *head, "", ""]).encode() + data
        )
        time.sleep(0.2)
    deadline = time.monotonic() + 10
    while not door.refusals.total and time.monotonic() < deadline:
        time.sleep(0.02)
    assert door.refusals.total == {("web", "hung-up"): 1}
    assert hub.log.durable("web") == 0


def test_refusals_are_one_entry_a_minute_without_any_body(hub, door):
    for _ in range(30):
        door.post(b"MARKER", authorization="Bearer wrong")
    assert flush(door.refusals, hub.book.clock.now()) == 30
    event = SystemEvent.objects.get(subject="intake:refused")
    assert event.facts["total"] == 30
    assert event.facts["refused"][0]["count"] == 30
    assert "MARKER" not in str(event.facts)
    assert flush(door.refusals, hub.book.clock.now()) == 0


def test_a_token_that_was_changed_is_refused_after_the_next_refresh(hub, door, monkeypatch):
    assert door.post(body({"key": "a"}))[0] == 202
    monkeypatch.setenv("TINY_TOKEN", "another")
    door.entrances.refresh()
    assert door.post(body({"key": "b"}))[0] == 403
    assert door.post(body({"key": "b"}), authorization="Bearer another")[0] == 202


def test_a_removed_connection_is_unknown_after_the_next_refresh(hub, door):
    hub.apply("connections: {}")
    door.entrances.refresh()
    assert door.post(body({"key": "a"}))[0] == 404
    hub.apply(YAML)
    door.entrances.refresh()
    assert door.post(body({"key": "a"}))[0] == 202


def test_without_its_secret_a_connection_takes_nothing_and_says_so(hub, door, monkeypatch):
    monkeypatch.delenv("TINY_TOKEN")
    door.entrances.refresh()
    assert door.post(body({"key": "a"}))[0] in {403, 503}
    assert hub.log.durable("web") == 0


def test_the_same_event_a_hundred_times_in_parallel_has_one_effect(hub, door):
    with ThreadPoolExecutor(20) as pool:
        statuses = list(pool.map(lambda _: door.post(body({"key": "k", "id": "same"}))[0], range(100)))
    assert statuses == [202] * 100
    hub.run()
    assert hub.effects() == {"k": 1}


def test_a_full_queue_is_said_at_once_with_when_to_come_again(hub):
    for door in serving(hub, queue_max=0):
        status, said, headers = door.post(body({"key": "a"}))
        assert status == 503
        assert int(headers["retry-after"]) >= 1
        assert "disk" in said["detail"]
    assert hub.log.durable("web") == 0


def test_a_full_disk_is_a_503_and_what_came_before_is_kept(hub, door, monkeypatch):
    assert door.post(body({"key": "a"}))[0] == 202

    def full(*_):
        raise LogUnavailable("The disk is full.", after_seconds=5.0)

    with monkeypatch.context() as patch:
        patch.setattr(hub.log, "append", full)
        status, _, headers = door.post(body({"key": "b"}))
        assert (status, headers["retry-after"]) == (503, "5")
    assert door.post(body({"key": "c"}))[0] == 202
    assert hub.log.durable("web") == 2


def test_senders_who_wait_share_a_commit(hub, door):
    with ThreadPoolExecutor(32) as pool:
        list(pool.map(lambda number: door.post(body({"key": f"k{number}"}))[0], range(200)))
    assert door.appender.messages == 200
    assert door.appender.groups <= 200
    assert [each.position for each in hub.log.read("web", 0, messages_max=500)] == list(range(1, 201))
