"""`POST /gate/wait`: a deployment pipeline waits for its decision without holding a thread.

The body is the question of a gate check and `Authorization: Bearer <token>` says who asks; or
`/gate/wait?token=<token>` looks at a request made before, whose token is the permission. The registered
decider is asked at once, again when a change, approval or freeze moves, and a last time after 25 seconds at
most; the pipeline then asks again. Whoever cannot be answered is not let pass: every refusal and fault is an
error status, never an `allow`.
"""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, Protocol, TypeVar
from urllib.parse import parse_qs

import msgspec
import structlog
from django.db import close_old_connections

from isthmus.hub import metrics
from isthmus.hub.asgi import BodyTooLarge, HungUp, Receive, Scope, Send, answer, read_body
from isthmus.hub.intake import problem
from isthmus.hub.tail import Tail
from isthmus.identity import tokens
from isthmus.kernel.actor import Actor
from isthmus.kernel.errors import Bug, Forbidden, IsthmusError, NotFound, Problem, Rejected
from isthmus.kernel.instant import Instant
from isthmus.ledger import scope as book_scope
from isthmus.ledger.ids import source

T = TypeVar("T")
_log = structlog.get_logger(__name__)

WAIT_SECONDS_MAX = 25.0
ASK_AGAIN_SECONDS = 10.0
WAITS_PER_CALLER_MAX = 250
BODY_BYTES_MAX = 64_000
SPREAD = 0.2
"""Waits that began together are asked again, and end, at different moments: up to this part of the time earlier."""
SPREAD_FROM_SECONDS = 5.0
THREADS = 2
"""A decision is work for the interpreter, not waiting: more threads would only take it from pages."""
KINDS = frozenset({"change", "approval", "freeze", "generation", "ci_relation"})
"""Records whose change may change a decision."""
_encode = msgspec.json.Encoder().encode


class Decider(Protocol):
    """Answers one gate check.

    `asked` is the question, or `{"token"}` of an earlier request: then `actor` may be None, and the token
    is the permission. Returns the decision as JSON-able data with the key `decision` (`allow`, `deny` or `wait`). Unless
    `last`, a `wait` must not be recorded: the same question is asked again. Every other decision is.
    Runs in a thread, with the scope of the actor's organisations open (of none without an actor); raises
    the kernel's errors.
    """

    def __call__(
        self, actor: Actor | None, asked: dict[str, Any], now: Instant, *, last: bool
    ) -> dict[str, Any]:
        """Return the decision."""
        ...


_decider: list[Decider] = []


def register_decider(decide: Decider) -> None:
    """Say who decides; called once from the `ready` of change enablement."""
    if _decider and _decider[0] is not decide:
        raise Bug("Two parts want to decide at the gate.")
    _decider[:] = [decide]


class GateWait:
    """The ASGI application for `/gate/wait`."""

    def __init__(self, tail: Tail) -> None:
        self._tail = tail
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="gate")
        self._open: Counter[str] = Counter()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one check, at the latest after 25 seconds."""
        try:
            body = await read_body(receive, BODY_BYTES_MAX)
        except BodyTooLarge:
            await _refuse(send, 413, "size", f"The question exceeds {BODY_BYTES_MAX} bytes.")
            return
        except HungUp:
            return
        request = parse_qs(scope.get("query_string", b"").decode("latin-1")).get("token", [""])[0]
        headers = dict(scope["headers"])
        token = headers.get(b"authorization", b"").decode("latin-1").removeprefix("Bearer ").strip()
        actor = await self._in_thread(lambda: tokens.authenticate(token, source.now()) if token else None)
        if actor is None and (token or not request):
            await _refuse(
                send, 401, "unauthenticated", "The token is not valid.", remedy="Send a current Bearer token."
            )
            return
        try:
            asked = msgspec.json.decode(body or b"{}", type=dict[str, Any])
        except msgspec.DecodeError as fault:
            await _refuse(
                send,
                422,
                "rejected",
                "The question is no JSON object.",
                problems=(Problem(path="", message=str(fault)),),
            )
            return
        if request:
            asked["token"] = request
        who = "" if actor is None else actor.id
        if self._open[who] >= WAITS_PER_CALLER_MAX:
            await _refuse(
                send, 429, "waits", "Too many checks of this caller wait.", remedy="Ask fewer at once."
            )
            return
        self._open[who] += 1
        metrics.GATES.inc()
        try:
            await answer(send, 200, _encode(await self._decided(actor, asked)))
        except IsthmusError as fault:
            status = _STATUS.get(type(fault), 503)
            problems = fault.problems if isinstance(fault, Rejected) else ()
            await _refuse(send, status, "gate", fault.text, remedy=fault.remedy, problems=problems)
        except Exception:  # noqa: BLE001 - told as an error, never as an allow
            _log.exception("gate_failed")
            await _refuse(
                send, 503, "gate", "The decision could not be made.", remedy="Ask again; nothing was allowed."
            )
        finally:
            self._open[who] -= 1
            if not self._open[who]:
                del self._open[who]
            metrics.GATES.dec()

    async def _decided(self, actor: Actor | None, asked: dict[str, Any]) -> dict[str, Any]:
        loop = asyncio.get_running_loop()
        seconds = asked.pop("wait_seconds", WAIT_SECONDS_MAX)
        patience = min(
            float(seconds) if isinstance(seconds, int | float) else WAIT_SECONDS_MAX, WAIT_SECONDS_MAX
        )
        until = loop.time() + _spread(max(patience, 0.0))
        # Without an actor the request's own organisation is not known here: any change only asks again.
        with self._tail.watch(None if actor is None else actor.organisations) as watcher:
            while True:
                last = loop.time() >= until
                decision = await self._in_thread(partial(_ask, actor, asked, last=last))
                if last or decision.get("decision") != "wait":
                    return decision
                again = min(until, loop.time() + _spread(ASK_AGAIN_SECONDS))
                while (left := again - loop.time()) > 0:
                    try:
                        await asyncio.wait_for(watcher.wake.wait(), left)
                    except TimeoutError:
                        break
                    if watcher.lost or any(each.kind in KINDS for each in watcher.drain()):
                        watcher.lost = False
                        break

    async def _in_thread(self, call: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._threads, call)


def _spread(seconds: float) -> float:
    """Return a little less, unless it is short anyway: two hundred pipelines must not ask in the same instant."""
    if seconds < SPREAD_FROM_SECONDS:
        return seconds
    return seconds * random.uniform(1.0 - SPREAD, 1.0)  # noqa: S311 - spreads load, guards nothing


def _ask(actor: Actor | None, asked: dict[str, Any], *, last: bool) -> dict[str, Any]:
    if not _decider:
        raise Bug("Nobody decides at the gate.", remedy="Install change enablement.")
    close_old_connections()
    with book_scope.within(() if actor is None else actor.organisations):
        return _decider[0](actor, dict(asked), source.now(), last=last)


_STATUS: dict[type[IsthmusError], int] = {Forbidden: 403, NotFound: 404, Rejected: 422}


async def _refuse(
    send: Send, status: int, slug: str, text: str, *, remedy: str = "", problems: tuple[Problem, ...] = ()
) -> None:
    body = problem.encode(status, slug, text, remedy=remedy, problems=problems)
    await answer(send, status, body, problem=True)
