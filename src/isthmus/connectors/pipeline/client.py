"""Asks the hub's deployment gate from a pipeline: once, or until it is decided. Fails closed.

In a program: `verdict = check_sync(url, token, GateQuestion(change="CHG-000042", …))`, then leave with
`verdict.exit_code` (0 allowed, 1 denied or waiting, 3 not reached). Waiting uses the long poll `/gate/wait`,
which the hub answers within 25 seconds; passing faults are asked again until the time is up.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, cast

from isthmus.connectors.kit import manifest
from isthmus.connectors.kit.http import HttpClient
from isthmus.connectors.kit.ports import Context, GateQuestion, GateVerdict
from isthmus.connectors.pipeline.config import PipelineConfig
from isthmus.kernel import wild
from isthmus.kernel.errors import IsthmusError, Rejected, Retryable
from isthmus.kernel.secretref import SecretRef
from isthmus.kernel.wild import Wild

CHECK_PATH = "/api/v1/gate/check"
WAIT_PATH = "/gate/wait"
POLL_SECONDS_MAX = 25.0
PAUSE_SECONDS = 1.0


class GateClient:
    """A `Gate` over HTTP."""

    def __init__(self, context: Context) -> None:
        config = cast("PipelineConfig", context.config)
        token = context.secret("token")
        self._request_seconds = context.limits.request_seconds_max
        self._http = HttpClient(
            config.url,
            limits=context.limits,
            headers={"Authorization": f"Bearer {token}", "Accept": "application/json"},
            secrets=(token,),
            allow_private_addresses=context.allow_private_addresses,
        )

    async def close(self) -> None:
        """Release the session."""
        await self._http.close()

    async def check(self, question: GateQuestion) -> GateVerdict:
        """Ask once; the hub records the decision."""
        return await self._ask(CHECK_PATH, _body(question))

    async def wait(self, question: GateQuestion, *, seconds: float) -> GateVerdict:
        """Ask until the answer is allow or deny, for at most `seconds`."""
        loop = asyncio.get_running_loop()
        until = loop.time() + seconds
        while True:
            left = max(until - loop.time(), 0.0)
            # The hub must answer before our own time limit cuts the call off.
            patience = min(left, POLL_SECONDS_MAX, self._request_seconds * 0.6)
            verdict = await self._ask(WAIT_PATH, {**_body(question), "wait_seconds": patience})
            undecided = (
                verdict.decision == "wait" if verdict.reached else verdict.retry_after_seconds is not None
            )
            if not undecided or loop.time() >= until:
                return verdict
            pause = PAUSE_SECONDS if verdict.retry_after_seconds is None else verdict.retry_after_seconds
            await asyncio.sleep(min(pause, max(until - loop.time(), 0.0)))

    async def _ask(self, path: str, body: dict[str, Any]) -> GateVerdict:
        try:
            # A decision is a record, but asking again only makes another one: faults here are safe to repeat.
            answer = await self._http.call(
                "POST", path, json=body, headers={"Idempotency-Key": uuid.uuid4().hex}, writes=False
            )
            return _verdict(answer.wild())
        except Retryable as fault:
            pause = PAUSE_SECONDS if fault.after_seconds is None else fault.after_seconds
            return GateVerdict(
                decision="deny", reasons=(str(fault),), reached=False, retry_after_seconds=pause
            )
        except IsthmusError as fault:
            reasons = (
                str(fault),
                *(f"{each.path}: {each.message}" for each in getattr(fault, "problems", ())),
            )
            return GateVerdict(decision="deny", reasons=reasons, reached=False)


def check_sync(url: str, token: str, question: GateQuestion, *, private: bool = True) -> GateVerdict:
    """Ask once, for programs without an event loop. `private`: the hub may live on a private address."""
    return _with_client(url, token, lambda client: client.check(question), private=private)


def wait_sync(
    url: str, token: str, question: GateQuestion, *, seconds: float, private: bool = True
) -> GateVerdict:
    """Ask until it is decided, for programs without an event loop."""
    return _with_client(url, token, lambda client: client.wait(question, seconds=seconds), private=private)


def _with_client(
    url: str, token: str, ask: Callable[[GateClient], Awaitable[GateVerdict]], *, private: bool
) -> GateVerdict:
    async def run() -> GateVerdict:
        try:
            client = GateClient(
                Context(
                    connection="pipeline",
                    config=PipelineConfig(url=url, token=SecretRef("env:ISTHMUS_TOKEN")),
                    secrets={"token": token},
                    limits=manifest.load(Path(__file__).with_name("manifest.toml")).limits,
                    allow_private_addresses=private,
                )
            )
        except Rejected as fault:
            return GateVerdict(decision="deny", reasons=(str(fault),), reached=False)
        try:
            return await ask(client)
        finally:
            await client.close()

    return asyncio.run(run())


def _body(question: GateQuestion) -> dict[str, Any]:
    return {
        "change": question.change,
        "environment": question.environment,
        "artefact_hash": question.artefact_hash,
        "cis": list(question.cis),
    }


def _verdict(body: Wild) -> GateVerdict:
    """Read a decision strictly: anything but the three words is refused, and a refusal does not open."""
    decision = body["decision"].tame(wild.one_of("allow", "deny", "wait"))
    reasons: list[str] = [] if body["reasons"].missing else body["reasons"].tame(wild.each(_reason))
    identity = body["id"].tame(wild.optional(wild.text, ""))
    if decision == "allow":
        return GateVerdict(decision="allow", reasons=tuple(reasons), id=identity)
    return GateVerdict(decision="wait" if decision == "wait" else "deny", reasons=tuple(reasons), id=identity)


def _reason(found: Wild) -> str:
    if isinstance(found.raw(), str):
        return found.tame(wild.text)
    remedy = found["remedy"].tame(wild.optional(wild.text, ""))
    return f"{found['text'].tame(wild.text)} {remedy}".strip()
