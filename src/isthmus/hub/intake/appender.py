"""One thread per process that makes messages durable: whoever waits shares a commit with all who wait.

The queue is bounded; a full queue is an answer (503), not a wait. Futures are resolved in bulk, once per
group, on the loop that made them.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from queue import Empty, SimpleQueue
from typing import NamedTuple

from isthmus.hub.intake.log import IntakeLog, LogUnavailable
from isthmus.hub.intake.message import Draft
from isthmus.kernel.errors import IsthmusError

GROUP_MESSAGES_MAX = 2_000
GROUP_BYTES_MAX = 8_000_000


class Waiting(NamedTuple):
    """A draft and the sender who waits for its position."""

    connection: str
    draft: Draft
    future: asyncio.Future[int]


class QueueFull(LogUnavailable):
    """More senders wait for the disk than the limit allows."""


class Appender:
    """Group commit over an `IntakeLog`. `notify` is called after each durable group (it wakes the pump)."""

    def __init__(
        self, log: IntakeLog, *, queue_max: int, loop: asyncio.AbstractEventLoop, notify: Callable[[], None]
    ) -> None:
        self._log = log
        self._queue_max = queue_max
        self._loop = loop
        self._notify = notify
        self._queue: SimpleQueue[Waiting | None] = SimpleQueue()
        self._put = self._queue.put
        self._thread = threading.Thread(target=self._run, name="intake-appender", daemon=True)
        self.groups = 0
        self.messages = 0

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def stop(self) -> None:
        """Make everything queued durable, then end the thread."""
        self._put(None)
        self._thread.join()

    @property
    def waiting(self) -> int:
        """Return how many messages wait for the disk."""
        return self._queue.qsize()

    def submit(self, connection: str, draft: Draft) -> asyncio.Future[int]:
        """Return a future of the position; raise `QueueFull` at once if too many wait."""
        if self._queue.qsize() >= self._queue_max:
            raise QueueFull(
                "Too many messages wait for the disk.", remedy="Send again shortly.", after_seconds=1.0
            )
        future: asyncio.Future[int] = self._loop.create_future()
        self._put(Waiting(connection, draft, future))
        return future

    def _run(self) -> None:
        running = True
        while running:
            group: dict[str, list[Waiting]] = {}
            first = self._queue.get()
            if first is None:
                return
            group[first.connection] = [first]
            count, total = 1, len(first.draft.body)
            while count < GROUP_MESSAGES_MAX and total < GROUP_BYTES_MAX:
                try:
                    each = self._queue.get_nowait()
                except Empty:
                    break
                if each is None:
                    running = False
                    break
                group.setdefault(each.connection, []).append(each)
                count += 1
                total += len(each.draft.body)
            self._commit(group)

    def _commit(self, group: dict[str, list[Waiting]]) -> None:
        for connection, members in group.items():
            outcome: int | Exception
            try:
                outcome = self._log.append(connection, [each.draft for each in members])
            except IsthmusError as fault:
                outcome = fault
            except Exception as fault:  # noqa: BLE001 - the thread must live on; every waiter is told
                outcome = LogUnavailable(
                    f"The intake log failed ({type(fault).__name__}).", after_seconds=5.0
                )
                outcome.__cause__ = fault
            else:
                self.groups += 1
                self.messages += len(members)
            try:
                self._loop.call_soon_threadsafe(_resolve, members, outcome)
            except RuntimeError:  # the loop is closed: nobody waits any more
                return
        self._notify()


def _resolve(members: list[Waiting], outcome: int | Exception) -> None:
    for index, each in enumerate(members):
        if each.future.done():  # the sender hung up
            continue
        if isinstance(outcome, Exception):
            each.future.set_exception(outcome)
        else:
            each.future.set_result(outcome + index)
