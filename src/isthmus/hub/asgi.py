"""The shapes of ASGI, and the few answers that our raw applications give."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, MutableMapping, Sequence
from typing import Any

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

_JSON = (b"content-type", b"application/json")
_PROBLEM = (b"content-type", b"application/problem+json")


DRAIN_BYTES_MAX = 8_000_000
DRAIN_SECONDS_MAX = 2.0


class BodyTooLarge(Exception):
    """The sender's body exceeds the limit. `more`: the rest of it was not read."""

    def __init__(self, *, more: bool) -> None:
        super().__init__(more)
        self.more = more


class HungUp(Exception):
    """The sender left before the body was whole: what came is not what they meant, and nobody waits."""


async def read_body(receive: Receive, bytes_max: int) -> bytes:
    """Return the request's body; raise `BodyTooLarge` as soon as it exceeds `bytes_max`, `HungUp` if it ends early."""
    message = await _next(receive)
    body: bytes = message.get("body", b"")
    if not message.get("more_body", False):
        if len(body) > bytes_max:
            raise BodyTooLarge(more=False)
        return body
    chunks, total = [body], len(body)
    while message.get("more_body", False):
        if total > bytes_max:
            raise BodyTooLarge(more=True)
        message = await _next(receive)
        chunks.append(message.get("body", b""))
        total += len(chunks[-1])
    if total > bytes_max:
        raise BodyTooLarge(more=False)
    return b"".join(chunks)


async def drain(receive: Receive) -> None:
    """Read on and drop, within bounds, what a sender still sends before it is refused.

    Closing a connection while data is on its way resets it, and the sender would see a broken pipe instead of
    the refusal that tells what to do.
    """
    dropped = 0
    with contextlib.suppress(TimeoutError, HungUp):
        async with asyncio.timeout(DRAIN_SECONDS_MAX):
            while dropped < DRAIN_BYTES_MAX:
                message = await _next(receive)
                dropped += len(message.get("body", b""))
                if not message.get("more_body", False):
                    return


async def _next(receive: Receive) -> MutableMapping[str, Any]:
    message = await receive()
    if message["type"] == "http.disconnect":
        raise HungUp
    return message


async def answer(
    send: Send,
    status: int,
    body: bytes,
    headers: Sequence[tuple[bytes, bytes]] = (),
    *,
    problem: bool = False,
) -> None:
    """Send one complete JSON (or problem+json) answer."""
    kind = _PROBLEM if problem else _JSON
    length = (b"content-length", str(len(body)).encode())
    await send({"type": "http.response.start", "status": status, "headers": [kind, length, *headers]})
    await send({"type": "http.response.body", "body": body})
