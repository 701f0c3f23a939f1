"""Live streams and waiting gates: told when something changed, only about what one may see."""

from __future__ import annotations

import asyncio
import json
from contextlib import asynccontextmanager
from typing import Any

import pytest

from isthmus.hub import gate_wait, live
from isthmus.hub.gate_wait import GateWait
from isthmus.hub.live import Live
from isthmus.hub.tail import Tail
from isthmus.kernel.errors import Rejected
from isthmus.kernel.record import Reason


class Conversation:
    """One request to an ASGI application, its answer as it comes."""

    def __init__(
        self,
        app: Any,
        path: str,
        *,
        body: bytes = b"",
        headers: dict[str, str] | None = None,
        query: str = "",
    ) -> None:
        self.sent: asyncio.Queue[Any] = asyncio.Queue()
        self.incoming: asyncio.Queue[Any] = asyncio.Queue()
        self.incoming.put_nowait({"type": "http.request", "body": body, "more_body": False})
        scope = {
            "type": "http",
            "path": path,
            "method": "POST",
            "query_string": query.encode(),
            "headers": [(name.encode(), value.encode()) for name, value in (headers or {}).items()],
        }
        self.task = asyncio.ensure_future(app(scope, self.incoming.get, self.sent.put))

    async def next(self, seconds: float = 5) -> Any:
        return await asyncio.wait_for(self.sent.get(), seconds)

    async def until(self, needle: bytes, seconds: float = 5) -> bytes:
        async with asyncio.timeout(seconds):
            while True:
                message = await self.sent.get()
                if needle in message.get("body", b""):
                    return message["body"]

    async def answer(self) -> tuple[int, Any]:
        start, rest = await self.next(), await self.next()
        return start["status"], json.loads(rest["body"])

    async def leave(self) -> None:
        self.incoming.put_nowait({"type": "http.disconnect"})
        await asyncio.wait_for(self.task, 5)


@asynccontextmanager
async def tailing():
    tail = Tail()
    tail.start(asyncio.get_running_loop())
    try:
        yield tail
    finally:
        await asyncio.to_thread(tail.stop)


async def happen(book, organisation: str = "", subject: str = "thing") -> None:
    def write() -> None:
        book.perform(
            lambda work: work.journal(
                organisation or book.organisation, subject, {}, [Reason(rule="t", text="t")]
            )
        )

    await asyncio.to_thread(write)


async def settle() -> None:
    await asyncio.sleep(0.8)


def test_a_stream_tells_what_changed(book):
    async def story():
        async with tailing() as tail:
            stream = Conversation(Live(tail), "/live/" + live.issue(book.actor()))
            assert (await stream.next())["status"] == 200
            await settle()
            await happen(book)
            told = await stream.until(b"event: entry")
            assert b'"kind":"system_event"' in told
            await stream.leave()

    asyncio.run(story())


def test_a_stream_is_silent_about_other_organisations(book):
    other = book.add_organisation("Other")

    async def story():
        async with tailing() as tail:
            stream = Conversation(Live(tail), "/live/events", query="ticket=" + live.issue(book.actor()))
            await stream.next()
            await settle()
            await happen(book, other, "theirs")
            await happen(book, book.organisation, "ours")
            told = await stream.until(b"event: entry")
            assert other.encode() not in told
            await stream.leave()

    asyncio.run(story())


@pytest.mark.parametrize("ticket", ["", "forged", "a:b:c"])
def test_without_a_valid_ticket_there_is_no_stream(book, ticket):
    async def story():
        assert (await Conversation(Live(Tail()), f"/live/{ticket}").answer())[0] == 401

    asyncio.run(story())


def test_an_old_ticket_opens_nothing(book, monkeypatch):
    import time

    ticket = live.issue(book.actor())
    later = time.time() + 61
    monkeypatch.setattr("django.core.signing.time.time", lambda: later)

    async def story():
        assert (await Conversation(Live(Tail()), f"/live/{ticket}").answer())[0] == 401

    asyncio.run(story())


def test_one_person_cannot_take_all_streams(book, monkeypatch):
    monkeypatch.setattr(live, "STREAMS_PER_PERSON_MAX", 2)

    async def story():
        app, ticket = Live(Tail()), live.issue(book.actor())
        held = [Conversation(app, f"/live/{ticket}") for _ in range(2)]
        for each in held:
            assert (await each.next())["status"] == 200
        assert (await Conversation(app, f"/live/{ticket}").answer())[0] == 429
        other = Conversation(app, "/live/" + live.issue(book.actor("viewer")))
        assert (await other.next())["status"] == 200
        for each in [*held, other]:
            await each.leave()
        again = Conversation(app, f"/live/{ticket}")
        assert (await again.next())["status"] == 200
        await again.leave()

    asyncio.run(story())


def test_a_watcher_that_falls_behind_is_told_to_look_again(book):
    async def story():
        async with tailing() as tail:
            with tail.watch(frozenset({book.organisation})) as watcher:
                await settle()

                def many() -> None:
                    def act(work: Any) -> None:
                        for _ in range(300):
                            work.journal(book.organisation, "x", {}, [Reason(rule="t", text="t")])

                    book.perform(act)

                await asyncio.to_thread(many)
                await asyncio.wait_for(watcher.wake.wait(), 5)
                await settle()
                assert watcher.lost
                assert len(watcher.drain()) == 200

    asyncio.run(story())


class Decides:
    """A decider that says `wait` until it is told otherwise."""

    def __init__(self) -> None:
        self.decision = "wait"
        self.asked: list[bool] = []

    def __call__(self, actor, asked, now, *, last):
        self.asked.append(last)
        if asked.get("bad"):
            raise Rejected("The question is wrong.", remedy="Ask properly.")
        return {"decision": self.decision, "change": asked.get("change")}


@pytest.fixture
def decider(book, monkeypatch):
    found = Decides()
    monkeypatch.setattr(gate_wait, "_decider", [found])
    monkeypatch.setattr(
        "isthmus.identity.tokens.authenticate", lambda token, now: book.actor() if token == "good" else None
    )
    return found


def ask(app, **asked):
    return Conversation(
        app, "/gate/wait", body=json.dumps(asked).encode(), headers={"authorization": "Bearer good"}
    )


def test_a_gate_that_can_be_decided_answers_at_once(book, decider):
    decider.decision = "deny"

    async def story():
        assert await ask(GateWait(Tail()), change="CHG-1").answer() == (
            200,
            {"decision": "deny", "change": "CHG-1"},
        )

    asyncio.run(story())
    assert decider.asked == [False]


def test_a_gate_that_waits_is_asked_again_when_a_change_moves(book, decider, monkeypatch):
    monkeypatch.setattr(gate_wait, "KINDS", frozenset({"system_event"}))

    async def story():
        async with tailing() as tail:
            waiting = ask(GateWait(tail), change="CHG-1")
            await settle()
            assert not waiting.task.done()
            decider.decision = "allow"
            await happen(book)
            assert (await waiting.answer())[1]["decision"] == "allow"

    asyncio.run(story())


def test_a_gate_gives_up_waiting_and_says_wait(book, decider):
    async def story():
        assert await ask(GateWait(Tail()), wait_seconds=0.2).answer() == (
            200,
            {"decision": "wait", "change": None},
        )

    asyncio.run(story())
    assert decider.asked == [False, True], "only the last answer may be recorded"


@pytest.mark.parametrize(
    ("headers", "body", "status"),
    [
        ({"authorization": "Bearer bad"}, b"{}", 401),
        ({}, b"{}", 401),
        ({"authorization": "Bearer good"}, b"no json", 422),
        ({"authorization": "Bearer good"}, b'{"bad": true}', 422),
        ({"authorization": "Bearer good"}, b" " * 70_000, 413),
    ],
)
def test_who_may_not_ask_or_asks_wrongly_gets_no_decision(book, decider, headers, body, status):
    async def story():
        got, said = await Conversation(GateWait(Tail()), "/gate/wait", body=body, headers=headers).answer()
        assert got == status
        assert "decision" not in said

    asyncio.run(story())


def test_a_decider_that_fails_allows_nothing(book, decider, monkeypatch):
    def broken(*_, **__):
        raise ZeroDivisionError

    monkeypatch.setattr(gate_wait, "_decider", [broken])

    async def story():
        got, said = await ask(GateWait(Tail())).answer()
        assert got == 503
        assert "decision" not in said

    asyncio.run(story())


def test_the_token_of_an_earlier_request_is_permission_to_look_at_it(book, decider):
    decider.decision = "allow"

    async def story():
        answered = await Conversation(GateWait(Tail()), "/gate/wait", query="token=abc").answer()
        assert answered == (200, {"decision": "allow", "change": None})

    asyncio.run(story())
