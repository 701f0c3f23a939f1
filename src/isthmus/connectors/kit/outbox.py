"""The webhooks of a simulated vendor: sent after the response that caused them, or wrongly on command."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from dataclasses import dataclass, field
from typing import Any

import aiohttp
import msgspec

from isthmus.connectors.kit.faults import Fault, FaultQueue

_AFTER_RESPONSE_SECONDS = 0.01
_ROUTING = (
    Fault.WEBHOOK_LOST,
    Fault.WEBHOOK_TWICE,
    Fault.WEBHOOK_LATE,
    Fault.WEBHOOK_REORDERED,
    Fault.WEBHOOK_DRIFT,
)


@dataclass(kw_only=True)
class Webhook:
    """One webhook to send; it is encoded and signed when it is sent, so that timestamps are fresh."""

    payload: Any
    headers: Mapping[str, str] = field(default_factory=dict)


class Outbox:
    """Webhooks waiting, held back and sent. `url` "" sends nowhere; `failures` tells what receivers refused."""

    def __init__(self, faults: FaultQueue, sign: Callable[[bytes], dict[str, str]]) -> None:
        self.url = ""
        self.pending: list[Webhook] = []
        self.sent: list[Webhook] = []
        self.failures: list[str] = []
        self._faults = faults
        self._sign = sign
        self._held: list[Webhook] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._client: aiohttp.ClientSession | None = None

    def flush_soon(self) -> None:
        """Send what is pending once the running response is out. Without an event loop it stays pending."""
        if self.pending:
            self.later(_AFTER_RESPONSE_SECONDS, self.flush)

    async def flush(self) -> None:
        """Send what is pending now, as the planned faults have it."""
        pending, self.pending = self.pending, []
        for each in pending:
            await self._route(each)

    def later(self, seconds: float, act: Callable[[], Awaitable[None]]) -> None:
        """Do something after a while, in the background."""

        async def wait_and_act() -> None:
            await asyncio.sleep(seconds)
            await act()

        self._spawn(wait_and_act())

    async def settled(self) -> None:
        """Wait until everything that is under way has happened."""
        while tasks := [each for each in self._tasks if not each.done()]:
            await asyncio.wait(tasks)

    async def close(self) -> None:
        """Drop what is under way."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        client, self._client = self._client, None
        if client is not None:
            await client.close()

    async def _route(self, webhook: Webhook) -> None:
        planned = self._faults.take_webhook(*_ROUTING)
        fault = planned.fault if planned else None
        if planned and fault is Fault.WEBHOOK_LATE:
            self.later(planned.delay_seconds, lambda: self._send(webhook))
            return
        if fault is Fault.WEBHOOK_REORDERED:
            self._held.append(webhook)
            return
        if planned and fault is Fault.WEBHOOK_DRIFT and planned.drift:
            webhook.payload = planned.drift(webhook.payload)
        for _ in range({Fault.WEBHOOK_LOST: 0, Fault.WEBHOOK_TWICE: 2}.get(fault or Fault.STATUS, 1)):
            await self._send(webhook)
        held, self._held = self._held, []
        for each in held:
            await self._send(each)

    async def _send(self, webhook: Webhook) -> None:
        self.sent.append(webhook)
        if not self.url:
            return
        body = msgspec.json.encode(webhook.payload)
        headers = {"Content-Type": "application/json", **webhook.headers, **self._sign(body)}
        if self._client is None:
            self._client = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=10))
        try:
            async with self._client.post(self.url, data=body, headers=headers) as response:
                if response.status >= 300:
                    self.failures.append(f"{response.status}: {(await response.text())[:300]}")
        except (aiohttp.ClientError, TimeoutError) as fault:
            self.failures.append(type(fault).__name__)

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            work.close()
            return
        task = loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
