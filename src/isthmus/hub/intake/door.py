"""The intake door: `POST /ingest/<connector>/<connection>`, raw ASGI, ahead of Django.

Size, content type, authentication, shape, append: in this order, each refusal cheaper than the next check.
**202 is sent only after the message is on disk.** A refused request changes nothing but a counter.

| answer | when |
| --- | --- |
| 202 | durable; the body holds the message's id, position and trace (200 and no body where the connector says so) |
| 401 / 403 | the connector's check of signature, token or time failed |
| 404 | no such connection of this connector |
| 405 / 413 / 415 | method, size, content type |
| 422 | the shape is wrong; each place is named by JSON Pointer |
| 503 + Retry-After | the queue or the disk is full, the connection is paused, or a key could not be fetched |
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import replace

import msgspec

from isthmus.connectors.kit.fetching import KEY_NEEDED
from isthmus.connectors.kit.ports import Refused
from isthmus.hub.asgi import BodyTooLarge, HungUp, Receive, Scope, Send, answer, drain, read_body
from isthmus.hub.intake import problem
from isthmus.hub.intake.appender import Appender
from isthmus.hub.intake.entrance import Entrance, Entrances
from isthmus.hub.intake.log import LogUnavailable
from isthmus.hub.intake.message import WEBHOOK, Draft, Headers
from isthmus.hub.intake.refusals import Refusals
from isthmus.hub.intake.visits import Visits
from isthmus.kernel.errors import Problem, Rejected
from isthmus.kernel.instant import Instant
from isthmus.ledger.ids import Source

_TRACEPARENT = re.compile(r"00-([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}")
_SECRET_HEADERS = frozenset({"authorization", "proxy-authorization", "cookie"})
_SECRET_WORDS = ("token", "secret", "password", "api-key", "apikey")


class _Told(msgspec.Struct, frozen=True):
    """The body of a 202."""

    message: str
    position: int
    trace: str


class Door:
    """The ASGI application. One per front process; `source` gives time, ids and traces."""

    def __init__(
        self,
        entrances: Entrances,
        appender: Callable[[], Appender],
        refusals: Refusals,
        source: Source,
        visits: Visits | None = None,
    ) -> None:
        self._entrances = entrances
        self._appender = appender
        self._refusals = refusals
        self._source = source
        self._visits = visits or Visits()
        self._encode = msgspec.json.Encoder().encode

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Take one request."""
        parts = scope["path"].split("/")
        entrance = self._entrances.by_path.get((parts[2], parts[3])) if len(parts) == 4 else None
        if entrance is None:
            await self._refuse(
                scope, send, None, 404, "unknown", "There is no such connection of this connector."
            )
            return
        if scope["method"] != "POST":
            await self._refuse(
                scope,
                send,
                entrance,
                405,
                "method",
                "Messages are sent with POST.",
                headers=((b"allow", b"POST"),),
            )
            return
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        length = headers.get("content-length", "")
        if length.isdigit() and int(length) > entrance.bytes_max:
            if "expect" not in headers:  # a sender that asks first has sent nothing yet
                await drain(receive)
            await self._too_large(scope, send, entrance)
            return
        kind = headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind not in entrance.content_types and not kind.endswith("+json"):
            accepted = ", ".join(sorted(entrance.content_types))
            await self._refuse(
                scope,
                send,
                entrance,
                415,
                "content-type",
                "This content type is not taken.",
                remedy=f"Send {accepted}.",
            )
            return
        try:
            body = await read_body(receive, entrance.bytes_max)
        except BodyTooLarge as cause:
            if cause.more:
                await drain(receive)
            await self._too_large(scope, send, entrance)
            return
        except HungUp:
            # Half a CSV is valid CSV: a body that broke off must not pass for a whole one.
            self._count(scope, entrance, "hung-up")
            return
        await self._judge(scope, send, entrance, headers, body)

    async def _judge(
        self, scope: Scope, send: Send, entrance: Entrance, headers: dict[str, str], body: bytes
    ) -> None:
        now = self._source.now()
        refused = await self._authenticate(entrance, headers, body, now)
        if refused is not None and refused.status == 503:
            await self._later(scope, send, entrance, refused.reason, refused.text, 10.0)
            return
        if refused is not None:
            await self._refuse(scope, send, entrance, refused.status, refused.reason, refused.text)
            return
        if entrance.closed:
            await self._later(scope, send, entrance, "closed", entrance.closed, 30.0)
            return
        try:
            entrance.source.check(body, headers, entrance.context)
        except Rejected as fault:
            await self._refuse(
                scope, send, entrance, 422, "shape", fault.text, remedy=fault.remedy, problems=fault.problems
            )
            return
        given = _TRACEPARENT.fullmatch(headers.get("traceparent", ""))
        draft = Draft(
            id=self._source.new_id(),
            trace=given[1] if given else self._source.new_trace(),
            received_at=now,
            door=WEBHOOK,
            connector=entrance.stamp,
            headers=kept_headers(headers.items()),
            body=body,
        )
        try:
            position = await self._appender().submit(entrance.connection, draft)
        except LogUnavailable as fault:
            await self._later(scope, send, entrance, "unavailable", fault.text, fault.after_seconds or 1.0)
            return
        if entrance.fetches and not await self._visits.visit(entrance, headers, body):
            text = "The link that confirms this subscription could not be visited."
            await self._later(scope, send, entrance, "visit", text, 10.0)
            return
        told = self._encode(_Told(draft.id, position, draft.trace)) if entrance.taken == 202 else b""
        await answer(send, entrance.taken, told)

    async def _authenticate(
        self, entrance: Entrance, headers: dict[str, str], body: bytes, now: Instant
    ) -> Refused | None:
        """Judge the sender, fetching the public key that the judgement needs if the source names one."""
        context = entrance.context
        if not entrance.fetches:
            return entrance.source.authenticate(headers, body, context, now)
        context = replace(context, keys=self._visits.keys)
        refused = entrance.source.authenticate(headers, body, context, now)
        if refused is None or refused.reason != KEY_NEEDED:
            return refused
        if await self._visits.fetch_key(entrance, headers, body):
            refused = entrance.source.authenticate(headers, body, context, now)
        return refused

    async def _too_large(self, scope: Scope, send: Send, entrance: Entrance) -> None:
        await self._refuse(
            scope, send, entrance, 413, "size", f"The body exceeds {entrance.bytes_max} bytes.",
            remedy="Send fewer items per message.", headers=((b"connection", b"close"),),
        )  # fmt: skip

    async def _later(
        self, scope: Scope, send: Send, entrance: Entrance, reason: str, text: str, seconds: float
    ) -> None:
        after = (b"retry-after", str(max(1, round(seconds))).encode())
        await self._refuse(
            scope, send, entrance, 503, reason, text, remedy="Send it again later.", headers=(after,)
        )

    async def _refuse(
        self,
        scope: Scope,
        send: Send,
        entrance: Entrance | None,
        status: int,
        reason: str,
        text: str,
        *,
        remedy: str = "",
        problems: tuple[Problem, ...] = (),
        headers: tuple[tuple[bytes, bytes], ...] = (),
    ) -> None:
        """Count the refusal and say why; nothing of the request is kept."""
        self._count(scope, entrance, reason)
        body = problem.encode(status, reason, text, remedy=remedy, problems=problems)
        await answer(send, status, body, headers, problem=True)

    def _count(self, scope: Scope, entrance: Entrance | None, reason: str) -> None:
        client = scope.get("client")
        self._refusals.add(entrance.connection if entrance else "", client[0] if client else "", reason)


def kept_headers(headers: Iterable[tuple[str, str]]) -> Headers:
    """Return the headers that go into the log: all but those that carry credentials."""
    return [
        (name, value)
        for name, value in headers
        if name not in _SECRET_HEADERS and not any(word in name for word in _SECRET_WORDS)
    ]
