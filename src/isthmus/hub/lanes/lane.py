"""One connection's lane: claims what is due, calls within its limits, records results in micro-batches.

A lane shares nothing with other lanes but the thread that writes the store: a partner that hangs holds up
its own calls only.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, TypeVar, cast

import structlog

from isthmus.connectors.kit.ports import TicketSystem
from isthmus.hub import connections, due, health, leases
from isthmus.hub.connections import Connection
from isthmus.hub.lanes import files, terms, turns
from isthmus.hub.lanes.calls import Result, Turn, execute
from isthmus.hub.lanes.limits import CALLS_MAX
from isthmus.hub.lanes.metering import Metered
from isthmus.hub.sync.dialect import Paths
from isthmus.kernel.actor import Origin, system
from isthmus.kernel.errors import IsthmusError
from isthmus.kernel.instant import Instant
from isthmus.ledger.door import perform
from isthmus.ledger.ids import source
from isthmus.ledger.lease import HELD_FOR
from isthmus.ledger.work import Work

T = TypeVar("T")
Store = Callable[[Callable[[], T]], Awaitable[T]]
"""Runs a function in the thread that may use the store, inside a scope."""

CLAIM_SECONDS = 180
"""Longer than any call with its read-back: a lease never runs out under a call that may still answer."""
PARTNER_FAULTS = frozenset({"retryable", "unknown", "bug"})
REST_SECONDS = 0.5
BREATH_SECONDS = 0.01
"""A tenth of what a near partner takes to answer: no call feels it, and a commit carries many results."""
FAULT_SECONDS = 15.0

_log = structlog.get_logger(__name__)


def _no_way(_kind: str, _from_state: str, _to_state: str) -> list[str] | None:
    return None


class Lane:
    """The lane of one connection. `round` does what can be done now; `run` goes on until told to stop.

    `holder`: who this lane is where several processes share the store. It then works only under the lease
    `lane:<connection>`, and nothing that it records counts once another process has taken that over. Empty:
    the store belongs to this process alone.
    """

    def __init__(self, connection: Connection, store: Store[Any], *, holder: str = "") -> None:
        self._connection = connection
        self.name = connection.name
        self.organisation = connection.organisation
        self.generation = connection.generation
        self.wake = asyncio.Event()
        self._store = store
        self._seconds_max = 2 * connection.limits.request_seconds_max
        self.terms = terms.of(connection)
        self._client: TicketSystem | None = None
        self._holder = holder
        self._lease: leases.Held | None = None
        self._lease_sure_until = 0
        self._tasks: dict[asyncio.Task[Result], Turn] = {}

    async def run(self, stop: asyncio.Event) -> None:
        """Work until `stop`; a fault of the lane itself is logged and the lane goes on."""
        while not stop.is_set():
            busy = False
            try:
                busy = await self.round()
            except IsthmusError as fault:
                await self._note_fault(fault)
            except Exception:  # noqa: BLE001 - one fault must not end the lane
                _log.exception("lane_failed", connection=self.name)
            if not busy and not stop.is_set():
                await self._rest()
        await self.close()

    async def _rest(self) -> None:
        try:
            await asyncio.wait_for(self.wake.wait(), REST_SECONDS)
        except TimeoutError:
            return

    async def drain(self, rounds_max: int = 200) -> None:
        """Go on until nothing is due: for tests and orderly ends."""
        for _ in range(rounds_max):
            if not await self.round():
                return

    async def round(self) -> bool:
        """Claim, call, record; return whether anything was done. What is recorded and what is claimed next share
        one Work: a commit is the dearest part of a round."""
        self.wake.clear()
        mine = not self._holder or await self._store(self._leased)
        under = self._lease or "alone"
        if mine and self.terms.restored != under:
            state = await self._store(lambda: health.state_of(self.organisation, self.name))
            terms.restore(self.terms, state, under)
        if not self._tasks:
            self._start(await self._store(lambda: self._turnover([], self._free(mine=mine))))
        if not self._tasks:
            return bool(self._free(mine=mine)) and await self._store(self.anything_due)
        results = await self._gathered(self._free(mine=mine))
        self._judge(results)
        free = self._free(mine=mine)
        if results or free:
            self._start(await self._store(lambda: self._turnover(results, free)))
        return True

    async def _gathered(self, free: int) -> list[Result]:
        """Return what has answered. While more calls could be under way, new work ends the wait as well."""
        waiting: set[asyncio.Future[Any]] = {*self._tasks}
        woken = asyncio.ensure_future(self.wake.wait()) if free else None
        if woken is not None:
            waiting.add(woken)
        await asyncio.wait(
            waiting, return_when=asyncio.FIRST_COMPLETED, timeout=REST_SECONDS if free else None
        )
        if woken is not None:
            woken.cancel()
        self.wake.clear()
        # One short breath gathers what answers at about the same time into one Work.
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=BREATH_SECONDS)
        done = [each for each in self._tasks if each.done()]
        for each in done:
            self._tasks.pop(each)
        return [each.result() for each in done]

    def _free(self, *, mine: bool) -> int:
        return max(0, self._permitted(source.now()) - len(self._tasks)) if mine else 0

    def _permitted(self, now: Instant) -> int:
        """Return how many calls may be under way: none under a pause, an open breaker or `Retry-After`."""
        if now < self.terms.hold_until:
            return 0
        state = self.terms.breaker.permits(now)
        if state == "open":
            return 0
        return 1 if state == "half_open" else min(CALLS_MAX, max(self.terms.bucket.room(now), 0))

    def _start(self, batch: Sequence[Turn]) -> None:
        for turn in batch:
            self._tasks[asyncio.create_task(self._call(turn))] = turn

    async def _call(self, turn: Turn) -> Result:
        metered = Metered(self._opened(), self.terms, self._seconds_max)
        return await execute(metered, turn)

    def _judge(self, results: Sequence[Result]) -> None:
        now = source.now()
        for each in results:
            if each.fault is not None and each.fault.fault in PARTNER_FAULTS:
                self.terms.breaker = self.terms.breaker.failed(now)
            else:
                self.terms.breaker = self.terms.breaker.succeeded()

    def _opened(self) -> TicketSystem:
        if self._client is None:
            # One that is only told things has the verbs of its effects, and is asked for no others.
            self._client = cast("TicketSystem", connections.open(self.name).client)
        return self._client

    async def close(self) -> None:
        """Let calls end, then release the client. What does not answer is looked up after the restart."""
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=5)
            results = [each.result() for each in self._tasks if each.done() and not each.cancelled()]
            for each in self._tasks:
                each.cancel()
            self._tasks.clear()
            if results:
                await self._store(lambda: self._recorded(results))
        if self._client is not None:
            await self._client.close()
            self._client = None
        if (held := self._lease) is not None:
            await self._store(lambda: leases.drop(held))
            self._lease, self._lease_sure_until = None, 0

    # In the store's thread

    def _leased(self) -> bool:
        """Return whether this lane may work, renewing its lease in time. One that was taken over starts with what
        the other process has left: spent calls, breaker."""
        now = source.now()
        if self._lease is not None and now < self._lease_sure_until:
            return True
        before = self._lease
        self._lease = leases.take(f"lane:{self.name}", now=now, holder=self._holder)
        self._lease_sure_until = int(now) + HELD_FOR // 3 if self._lease is not None else 0
        if self._lease is not None and self._lease != before and not self._tasks:
            # Whoever drove the lane before is gone, or fenced off: what it had under way is an unknown outcome,
            # which is looked up after the wait-out, and need not wait for the end of its claim as well.
            due.release(now, lane=self.name)
        return self._lease is not None

    def _turnover(self, results: list[Result], free: int) -> list[Turn]:
        """Record `results`, then claim and begin up to `free` more; return the turns to execute.

        All of it is one Work; if that fails, results are recorded one by one, so that one of them spoils no other.
        """
        if free and self._paused():
            free = 0
        if not results:
            return self._take(free)
        results = files.keep(results)

        def act(work: Work) -> list[Turn]:
            following = self._concluded(work, results)
            return following + self._taken(work, free - len(following), following)

        try:
            return self._perform(act)
        except Exception:  # noqa: BLE001 - told apart below
            _log.exception("results_failed", connection=self.name, count=len(results))
        following = self._singly(results)
        return following + self._take(free - len(following), following)

    def _paused(self) -> bool:
        """Return whether an operator has paused the connection; then nothing goes out for a while."""
        paused = health.state_of(self.organisation, self.name).paused
        if paused:
            self.terms.hold(REST_SECONDS)
        return paused

    def _take(self, limit: int, following: Sequence[Turn] = ()) -> list[Turn]:
        """Claim up to `limit` rows and commit what they intend."""
        return self._perform(lambda work: self._taken(work, limit, following)) if limit > 0 else []

    def _taken(self, work: Work, limit: int, following: Sequence[Turn]) -> list[Turn]:
        """Claim and begin. A row that was asked for again during its own call waits for the end of that: it never
        runs beside it."""
        if limit <= 0:
            return []
        busy = {name for each in (*self._tasks.values(), *following) for name in (each.subject, each.key)}
        rows = due.take(work, seconds=CLAIM_SECONDS, lane=self.name, limit=limit, without=busy)
        return turns.begin(work, rows, self._paths()) if rows else []

    def _paths(self) -> Paths:
        """Return how the partner's states lead to each other; one that holds no tickets has no states to pass."""
        found: Paths = getattr(self._opened(), "path", None) or _no_way
        return found

    def _recorded(self, results: list[Result]) -> list[Turn]:
        """Record results together; if that fails, one by one."""
        results = files.keep(results)
        try:
            return self._perform(lambda work: self._concluded(work, results))
        except Exception:  # noqa: BLE001 - told apart below
            _log.exception("results_failed", connection=self.name, count=len(results))
        return self._singly(results)

    def _singly(self, results: Sequence[Result]) -> list[Turn]:
        """Record each result by itself. What cannot be recorded is found again when its lease has run out: as an
        unknown outcome."""
        found: list[Turn] = []
        for each in results:
            try:
                found += self._perform(lambda work, each=each: self._concluded(work, [each]))  # type: ignore[misc]
            except Exception:  # noqa: BLE001 - the next one must be recorded
                _log.exception("result_failed", connection=self.name, subject=each.turn.subject)
        return found

    def _concluded(self, work: Work, results: Sequence[Result]) -> list[Turn]:
        jitter = random.random()  # noqa: S311 - spreads retries, guards nothing
        self._note(work, results)
        return turns.conclude(work, results, self._paths(), jitter)

    def _note(self, work: Work, results: Sequence[Result]) -> None:
        """Keep health, breaker and spent calls where pages and a restart find them."""
        now = source.now()
        values: dict[str, Any] = {
            "tokens": self.terms.bucket.dump(), "breaker": self.terms.breaker.permits(now), "breaker_until": self.terms.breaker.until,
            "failures": self.terms.breaker.failures,
        }  # fmt: skip
        if any(each.fault is None for each in results):
            values["last_success_at"] = now
        fault = next(
            (each.fault for each in results if each.fault is not None and each.fault.fault != "stale"), None
        )
        if fault is not None:
            values |= {"last_error_at": now, "last_error": fault.cause[: health.TEXT_MAX],
                       "last_error_remedy": fault.remedy[: health.TEXT_MAX]}  # fmt: skip
        health.observed(work, self.organisation, self.name, **values)

    def anything_due(self) -> bool:
        """Return whether something waits for this lane. In the store's thread."""
        at = due.next_at(self.name)
        return at is not None and at <= source.now()

    async def _note_fault(self, fault: IsthmusError) -> None:
        self.terms.hold(FAULT_SECONDS)
        await self._store(
            lambda: self._perform(
                lambda work: health.failed(work, self.organisation, self.name, fault, work.now)
            )
        )

    def _perform(self, act: Callable[[Work], T]) -> T:
        held = self._lease

        def fenced(work: Work) -> T:
            if held is not None:
                leases.prove(work, held)
            return act(work)

        return perform(fenced, actor=system("lane"), origin=Origin(channel="hub", connection=self.name))
