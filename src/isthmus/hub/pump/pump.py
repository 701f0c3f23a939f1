"""The pump of one process: reads every connection's log in batches and makes each batch one transaction.

The batch size follows the time for which the last transactions held the turnstile: pages must not wait
longer than about `HOLD_SECONDS_AIM` for it. A batch that raises is taken message by message; a message that still
raises is parked and the offset moves on. A fault that is not the message's (disk, database, lease) moves
nothing: the same messages are read again.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field, replace

import structlog
from django.db import DatabaseError, DataError, InterfaceError

from isthmus.connectors.kit.ports import Context
from isthmus.hub import connections, leases, metrics
from isthmus.hub.connections import Connection
from isthmus.hub.intake.log import IntakeLog
from isthmus.hub.intake.message import Message
from isthmus.hub.leases import Held
from isthmus.hub.pump.deciding import Batch, Moved, Place, decide, react, taken_up_to
from isthmus.hub.pump.stage_one import Taken, take
from isthmus.kernel.actor import Origin, system
from isthmus.kernel.errors import Retryable
from isthmus.kernel.instant import Instant
from isthmus.ledger.door import perform
from isthmus.ledger.ids import source
from isthmus.ledger.work import Work

_log = structlog.get_logger(__name__)

ACTOR = system("pump")
HOLD_SECONDS_AIM = 0.015
"""Aimed at, so that 20 ms are seldom passed."""
BATCH_MIN = 200
BATCH_MAX = 4_000
"""Observations in one batch. Below the least, a slow disk's commits would bound the rate, not the rows."""
STORE = (DatabaseError, InterfaceError)
TRANSIENT = (Retryable, *STORE)
HOLD_BACK_SECONDS_MAX = 30.0


@dataclass
class Partition:
    """What the pump remembers of one connection between batches. `size` counts observations."""

    connection: Connection
    context: Context
    position: int
    size: int = 64
    per_message: float = 1.0
    held: float = field(default=0.0, compare=False)

    @property
    def messages_max(self) -> int:
        """Return how many messages make a batch, as far as the last one tells."""
        return max(1, int(self.size / max(self.per_message, 1.0)))

    def adapt(self, held_seconds: float) -> None:
        """Choose the next batch size so that it would hold the turnstile for most of what is allowed.

        What the last one took is followed half way: a single slow flush of the disk must not halve the rate.
        """
        self.held = held_seconds
        wanted = self.size * HOLD_SECONDS_AIM / max(held_seconds, HOLD_SECONDS_AIM / 4)
        self.size = max(BATCH_MIN, min(BATCH_MAX, int((self.size + wanted) / 2)))


class Pump:
    """Takes messages of all connections in force, a batch of each in turn. One thread uses it."""

    def __init__(self, log: IntakeLog) -> None:
        self._intake = log
        self._partitions: dict[str, Partition] = {}
        self._failing: dict[str, tuple[int, float]] = {}
        self.lease: Held | None = None
        self.busy = False
        """Whether more than a batch waits somewhere: work that may wait should."""

    def round(self) -> int:
        """Take at most one batch of every connection; return how many messages were taken.

        A connection whose log, map or reaction fails is left alone for a while and holds up no other.
        """
        taken, busy = 0, False
        for name, connection in connections.in_force().items():
            if self._held_back(name):
                continue
            try:
                if self._intake.durable(name) == 0:
                    continue
                taken += self.step(connection)
            except STORE:
                raise
            except Exception:  # noqa: BLE001 - the other connections go on
                _log.exception("connection_failed", connection=name)
                self._hold_back(name)
                continue
            self._failing.pop(name, None)
            held = self._partitions.get(name)
            busy = busy or (
                held is not None and self._intake.durable(name) - held.position > held.messages_max
            )
        self.busy = busy
        return taken

    def step(self, connection: Connection) -> int:
        """Take one batch of one connection; return how many messages it had."""
        partition = self._partition(connection)
        if self._intake.durable(connection.name) <= partition.position:
            return 0
        messages = self._intake.read(connection.name, partition.position, messages_max=partition.messages_max)
        messages = _same_door(messages)
        if not messages:
            return 0
        taken = _same_kinds([take(connection, partition.context, each) for each in messages])
        messages = messages[: len(taken)]
        partition.per_message = sum(len(each.items) for each in taken) / len(taken)
        batch = Batch(connection=connection, after=partition.position, taken=taken)
        try:
            partition.adapt(self._commit(batch))
            partition.position = messages[-1].position
        except Moved:
            self._partitions.pop(connection.name)
            return 0
        except Exception as fault:
            if _passing(fault):
                self._partitions.pop(connection.name)
                raise
            _log.exception("batch_failed", connection=connection.name, first=messages[0].position)
            metrics.BATCHES_FAILED.labels(connection.name).inc()
            self._one_by_one(partition, taken)
        metrics.MESSAGES.labels(connection.name).inc(len(messages))
        return len(messages)

    def _held_back(self, name: str) -> bool:
        return time.monotonic() < self._failing.get(name, (0, 0.0))[1]

    def _hold_back(self, name: str) -> None:
        fails = self._failing.get(name, (0, 0.0))[0] + 1
        self._failing[name] = fails, time.monotonic() + min(0.5 * 2**fails, HOLD_BACK_SECONDS_MAX)

    def _partition(self, connection: Connection) -> Partition:
        held = self._partitions.get(connection.name)
        if held is None or held.connection is not connection:
            position = taken_up_to(connection)
            held = Partition(connection=connection, context=connection.pure_context(), position=position)
            self._partitions[connection.name] = held
        return held

    def _commit(self, batch: Batch, *, exclusive: bool = False) -> float:
        """Make a batch one transaction; return for how many seconds it held the turnstile."""
        entered = 0.0

        def inside() -> None:
            nonlocal entered
            entered = time.perf_counter()

        def act(work: Work) -> None:
            if self.lease is not None:
                leases.prove(work, self.lease)
            work.recheck(inside)
            decide(work, batch)

        first = batch.taken[0].message
        perform(
            act,
            actor=ACTOR,
            origin=Origin(channel=first.door, connection=batch.connection.name),
            trace=first.trace,
            exclusive=exclusive,
        )
        held = time.perf_counter() - entered
        metrics.TURNSTILE.observe(held)
        return held

    def _one_by_one(self, partition: Partition, taken: list[Taken]) -> None:
        """Take messages singly; park what fails. `exclusive` rules out that a race is taken for poison."""
        for each in taken:
            batch = Batch(connection=partition.connection, after=partition.position, taken=[each])
            try:
                self._commit(batch, exclusive=True)
            except Exception as fault:
                if _passing(fault):
                    self._partitions.pop(partition.connection.name, None)
                    raise
                _log.exception(
                    "message_failed", connection=partition.connection.name, message=each.message.id
                )
                self._park(batch, each, fault)
            partition.position = each.message.position

    def _park(self, batch: Batch, taken: Taken, fault: Exception) -> None:
        """Find which observations fail, take the others, park those; if that fails too, park them all."""
        everything: dict[Place, Exception] = {
            (taken.message.position, item.place): fault for item in taken.items
        }
        failing = _failing(taken, source.now()) if len(taken.items) > 1 else {}
        for bad in (failing, everything):
            if not bad:
                continue
            try:
                self._commit(replace(batch, bad=bad), exclusive=True)
            except Exception as again:
                if bad is everything or _passing(again):
                    raise
                _log.exception("message_failed_again", message=taken.message.id)
            else:
                metrics.PARKED.labels(batch.connection.name).inc(len(bad))
                return


def _passing(fault: Exception) -> bool:
    """True if the fault is not the message's. A value that the store cannot hold (`DataError`) is: it never will."""
    return isinstance(fault, (Moved, *TRANSIENT)) and not isinstance(fault, DataError)


def _same_door(messages: list[Message]) -> list[Message]:
    """Return the leading messages that came through one door: a Work has one origin."""
    for index, each in enumerate(messages):
        if each.door != messages[0].door:
            return messages[:index]
    return messages


def _same_kinds(taken: list[Taken]) -> list[Taken]:
    """Return the leading messages about the same kinds: a later kind may look for what an earlier one stored,
    and a Work does not see its own pending records (relations that wait for their items)."""
    first = {item.seen.observation.kind for item in taken[0].items if item.seen is not None}
    for index, each in enumerate(taken):
        if {item.seen.observation.kind for item in each.items if item.seen is not None} != first:
            return taken[:index]
    return taken


def _failing(taken: Taken, now: Instant) -> dict[Place, Exception]:
    """Try each observation in a Work that is thrown away; return those that raise."""
    found: dict[Place, Exception] = {}
    origin = Origin(channel=taken.message.door, connection=taken.message.connection)
    for item in taken.items:
        if item.seen is None or item.fault is not None:
            continue
        work = Work(actor=ACTOR, origin=origin, now=now, trace=taken.message.trace)
        try:
            react(work, item.seen.observation.kind, [item.seen])
        except Exception as fault:
            if _passing(fault):
                raise
            found[taken.message.position, item.place] = fault
    return found
