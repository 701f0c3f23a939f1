"""The shapes of ASGI, and the few answers that our raw applications give."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping, Sequence
from typing import Any

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

_JSON = (b"content-type", b"application/json")
_PROBLEM = (b"content-type", b"application/problem+json")


class BodyTooLarge(Exception):
    """The sender's body exceeds the limit; the rest of it was not read."""


class HungUp(Exception):
    """The sender left before the body was whole: what came is not what they meant, and nobody waits."""


async def read_body(receive: Receive, bytes_max: int) -> bytes:
    """Return the request's body; raise `BodyTooLarge` as soon as it exceeds `bytes_max`, `HungUp` if it ends early."""
    message = await _next(receive)
    body: bytes = message.get("body", b"")
    if not message.get("more_body", False):
        if len(body) > bytes_max:
            raise BodyTooLarge
        return body
    chunks, total = [body], len(body)
    while message.get("more_body", False):
        if total > bytes_max:
            raise BodyTooLarge
        message = await _next(receive)
        chunks.append(message.get("body", b""))
        total += len(chunks[-1])
    if total > bytes_max:
        raise BodyTooLarge
    return b"".join(chunks)


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
