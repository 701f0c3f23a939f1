"""`/live/…`: server-sent events that say which records changed. Raw ASGI: nothing that waits runs in WSGI.

A page asks for a ticket through its own session (`issue`), then opens `/live/<ticket>` or
`/live/events?ticket=<ticket>`. A ticket is signed, names person and organisations, and opens streams for a
minute. Events: `entry` with `{"seq", "kind", "record", "organisation", "version"}`, and `reset` if the
watcher fell too far behind to be told one by one.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterable
from functools import lru_cache
from urllib.parse import parse_qs

import msgspec
from django.core import signing

from isthmus.hub import metrics
from isthmus.hub.asgi import Receive, Scope, Send, answer
from isthmus.hub.intake import problem
from isthmus.hub.tail import Change, Tail
from isthmus.kernel.actor import Actor

TICKET_SECONDS_MAX = 60
STREAM_SECONDS_MAX = 3_600
STREAMS_PER_PERSON_MAX = 250
STREAMS_MAX = 2_000
STILL_HERE_SECONDS = 15.0
_SALT = "isthmus.live"
_HEADERS = [
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-store"),
    (b"x-accel-buffering", b"no"),
]
_encode = msgspec.json.Encoder().encode


@lru_cache(maxsize=1_024)
def _event(change: Change) -> bytes:
    """Return a change as it goes over the wire: hundreds of streams are told the same."""
    return b"event: entry\nid: %d\ndata: %s\n\n" % (change.seq, _encode(change))


def issue(actor: Actor, organisations: Iterable[str] | None = None) -> str:
    """Return a ticket for streams of what the actor may see, good for a minute."""
    visible = sorted(actor.organisations if organisations is None else organisations)
    return signing.dumps({"actor": actor.id, "organisations": visible}, salt=_SALT, compress=True)


class Live:
    """The ASGI application for `/live/…`."""

    def __init__(self, tail: Tail) -> None:
        self._tail = tail
        self._open: Counter[str] = Counter()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one stream until the reader leaves or an hour has passed."""
        ticket = _ticket(scope)
        try:
            said = signing.loads(ticket, salt=_SALT, max_age=TICKET_SECONDS_MAX)
            who, organisations = str(said["actor"]), frozenset(map(str, said["organisations"]))
        except (signing.BadSignature, KeyError, TypeError):
            body = problem.encode(
                401, "ticket", "The ticket is not valid any more.", remedy="Ask for a new one."
            )
            await answer(send, 401, body, problem=True)
            return
        if self._open[who] >= STREAMS_PER_PERSON_MAX or self._open.total() >= STREAMS_MAX:
            body = problem.encode(429, "streams", "Too many streams are open.", remedy="Close some pages.")
            await answer(send, 429, body, [(b"retry-after", b"30")], problem=True)
            return
        self._open[who] += 1
        metrics.STREAMS.inc()
        try:
            await self._stream(organisations, receive, send)
        finally:
            self._open[who] -= 1
            if not self._open[who]:
                del self._open[who]
            metrics.STREAMS.dec()

    async def _stream(self, organisations: frozenset[str], receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": _HEADERS})
        await send({"type": "http.response.body", "body": b"retry: 3000\n\n", "more_body": True})
        until = asyncio.get_running_loop().time() + STREAM_SECONDS_MAX
        gone = asyncio.ensure_future(_until_gone(receive))
        try:
            with self._tail.watch(organisations) as watcher:
                while not gone.done() and asyncio.get_running_loop().time() < until:
                    woken = asyncio.ensure_future(watcher.wake.wait())
                    await asyncio.wait(
                        {gone, woken}, timeout=STILL_HERE_SECONDS, return_when=asyncio.FIRST_COMPLETED
                    )
                    woken.cancel()
                    parts = [_event(each) for each in watcher.drain()]
                    if watcher.lost:
                        parts, watcher.lost = [b"event: reset\ndata: {}\n\n"], False
                    await send(
                        {
                            "type": "http.response.body",
                            "body": b"".join(parts) or b": still here\n\n",
                            "more_body": True,
                        }
                    )
            if not gone.done():
                await send({"type": "http.response.body", "body": b""})
        finally:
            gone.cancel()


async def _until_gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


def _ticket(scope: Scope) -> str:
    given = parse_qs(scope.get("query_string", b"").decode("latin-1")).get("ticket")
    return given[0] if given else str(scope["path"]).removeprefix("/live/")
