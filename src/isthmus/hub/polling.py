"""Polls: the partner is asked what changed, at an interval that follows how much does.

Webhooks get lost; polls do not mind. Each page goes into the intake log like every other message before its
watermark is stored, so a crash between the two only repeats a page, and merging a state twice changes
nothing. One poll of a (connection, kind) runs at a time, fenced by the epoch of its due row, whose claim is kept
as long as the poll runs. What a partner holds as messages of people (mail) is kept raw and read by the pump, as if it
had been pushed to us.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, TypeVar, cast

import structlog
from asgiref.sync import sync_to_async

from isthmus.connectors.kit import pacing
from isthmus.connectors.kit.ports import Page, Poller
from isthmus.hub import connections, due, health, metrics, pages
from isthmus.hub.connections import Connection
from isthmus.hub.intake.log import IntakeLog
from isthmus.hub.lanes import terms
from isthmus.hub.models import Due, PollState
from isthmus.kernel.actor import Origin, system
from isthmus.kernel.errors import Conflict, IsthmusError, NeedsOperator
from isthmus.kernel.instant import SECOND, Instant
from isthmus.ledger import scope
from isthmus.ledger.door import perform
from isthmus.ledger.ids import source
from isthmus.ledger.work import Work

_log = structlog.get_logger(__name__)
T = TypeVar("T")

WHAT = "poll"
LANE = "polls"
ACTOR = system("polls")
ORIGIN = Origin(channel="poll")
CLAIM_SECONDS = 30
"""How long the polls of a process that died wait for another. One that lives keeps its claims."""
KEEP_SECONDS = 10.0
POLL_SECONDS_MAX = 240.0
AT_ONCE_MAX = 8
REST_SECONDS = 1.0
OPERATOR_SECONDS = 600
"""How long to wait after a fault that only a person can mend, if nothing came before it: a permission that is missing
for a part must not hold up the rest."""

Key = tuple[str, str]
_running: set[Key] = set()
_again: set[Key] = set()
"""Polls that run, and those of them that were wanted once more meanwhile. Touched on the event loop only."""


@dataclass(frozen=True, kw_only=True)
class Result:
    """What one poll found. `kept`: so many of its pages are durable. `again`: somebody wanted it once more while it
    ran."""

    observations: int
    kept: int = 0
    error: Exception | None = None
    again: bool = False


def kinds_of(connection: Connection) -> list[str]:
    """Return the record kinds that a connection polls; none of one that only receives."""
    if connection.connector.open is None or not connection.entry.polling.enabled:
        return []
    if not connection.config.called:
        return []
    able = [each.kind for each in connection.manifest.able() if each.verb == "read"]
    wanted = connection.entry.polling.kinds
    return [kind for kind in able if not wanted or kind in wanted]


def ensure_scheduled(now: Instant) -> int:
    """Schedule the polls of connections that are new, cancel those of connections that are gone."""
    wanted = {(name, kind): each for name, each in connections.in_force().items() for kind in kinds_of(each)}
    held = {(row.subject, row.key): row for row in Due.objects.filter(what=WHAT, lane=LANE)}
    missing = [key for key in wanted if key not in held]
    gone = [row for key, row in held.items() if key not in wanted]

    def act(work: Work) -> None:
        for name, kind in missing:
            home = wanted[name, kind].organisation
            due.schedule(work, WHAT, name, now, organisation=home, key=kind, lane=LANE)
        for row in gone:
            due.cancel(work, WHAT, row.subject, organisation=row.organisation, key=row.key)

    if missing or gone:
        perform(act, actor=ACTOR, origin=ORIGIN, now=now, exclusive=True)
    return len(missing)


def run_now(work: Work, connection: Connection, kind: str = "") -> None:
    """Have a connection polled at once (a person pressed the button)."""
    for each in kinds_of(connection):
        if kind in {"", each}:
            due.schedule(
                work,
                WHAT,
                connection.name,
                work.now,
                organisation=connection.organisation,
                key=each,
                lane=LANE,
            )


async def hurry(connection: Connection, kind: str) -> None:
    """Have a kind polled at once: a stream rang. A poll that is under way may have looked before, so it is run again."""
    key = (connection.name, kind)
    if key in _running:
        _again.add(key)
        return
    await _in_thread(partial(_bring_forward, connection, kind))


def _bring_forward(connection: Connection, kind: str) -> None:
    now = source.now()
    key = {"organisation": connection.organisation, "what": WHAT, "subject": connection.name, "key": kind}
    row = Due.objects.filter(**key).first()
    if kind not in kinds_of(connection) or (row is not None and row.due_at <= now):
        return
    perform(lambda work: run_now(work, connection, kind), actor=ACTOR, origin=ORIGIN, now=now)


async def run_due(log: IntakeLog, now: Instant) -> int:
    """Run every poll that is due, several partners at once, until all have ended; return how many ran."""
    rows = await _claim(now, AT_ONCE_MAX)
    await asyncio.gather(*(_run(log, row) for row in rows))
    return len(rows)


class Polls:
    """The polls of this process, up to `AT_ONCE_MAX` at a time: a slow partner holds up nobody but itself. `bell` is rung
    when one has ended."""

    def __init__(self, log: IntakeLog, *, bell: Callable[[], object] = lambda: None) -> None:
        self._log, self._bell = log, bell
        self._under_way = 0
        self._ended = asyncio.Event()

    async def run(self, stop: asyncio.Event) -> None:
        """Begin what is due whenever there is room, until `stop`; then wait for what is under way."""
        async with asyncio.TaskGroup() as group:
            while not stop.is_set():
                self._ended.clear()
                try:
                    await self._begin(group, source.now())
                except Exception:  # noqa: BLE001 - polls live as long as the process
                    _log.exception("polls_failed")
                await self._rest(stop)

    async def _begin(self, group: asyncio.TaskGroup, now: Instant) -> None:
        await _in_thread(lambda: ensure_scheduled(now))
        if room := AT_ONCE_MAX - self._under_way:
            for row in await _claim(now, room):
                self._under_way += 1
                group.create_task(self._one(row))

    async def _one(self, row: Due) -> None:
        try:
            await _run(self._log, row)
        except Exception:  # noqa: BLE001 - what became of one must not end the others
            _log.exception("poll_not_settled", connection=row.subject, kind=row.key)
        finally:
            self._under_way -= 1
            self._ended.set()
            self._bell()

    async def _rest(self, stop: asyncio.Event) -> None:
        """Wait for a second, or until there is room again: a poll that was wanted once more is due at its end."""
        waits = [asyncio.create_task(each.wait()) for each in (stop, self._ended)]
        try:
            await asyncio.wait(waits, timeout=REST_SECONDS, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for each in waits:
                each.cancel()


async def _claim(now: Instant, limit: int) -> list[Due]:
    return await _in_thread(lambda: due.claim(now, seconds=CLAIM_SECONDS, lane=LANE, limit=limit))


async def _run(log: IntakeLog, row: Due) -> None:
    key = (row.subject, row.key)
    _running.add(key)
    try:
        await _run_one(log, row, key)
    finally:
        _running.discard(key)
        _again.discard(key)


async def _run_one(log: IntakeLog, row: Due, key: Key) -> None:
    connection: Connection | None = None
    try:
        found = connection = await _in_thread(lambda: connections.get(row.subject))
        now = source.now()
        begin = (await terms_of(found)).poll_at(now)
        if begin > now:
            await _in_thread(partial(_put_off, row, begin))
            return
        paused = await _in_thread(lambda: health.state_of(found.organisation, found.name).paused)
        result = Result(observations=0) if paused else await _claimed(row, _poll(log, found, row.key))
    except Exception as fault:  # noqa: BLE001 - one partner's fault must not stop the others' polls
        _log.exception("poll_failed", connection=row.subject, kind=row.key)
        connection = (await _in_thread(connections.in_force)).get(row.subject)
        result = Result(observations=0, error=fault)
    metrics.POLLS.labels(row.subject, "failed" if result.error else "done").inc()
    # From here on whoever hurries sets the wait anew by itself; what came before is settled with this poll.
    _running.discard(key)
    result = replace(result, again=key in _again)
    _again.discard(key)
    if connection is not None:
        await _in_thread(partial(_settle, connection, row, result))


async def _claimed(row: Due, poll: Coroutine[Any, Any, Result]) -> Result:
    """Return what a poll found, keeping its claim as long as it runs. If the claim is lost nevertheless, another
    poll may overlap this one: pages are merged twice then, which changes nothing."""
    running = asyncio.create_task(poll)
    try:
        while not (await asyncio.wait({running}, timeout=KEEP_SECONDS))[0]:
            await _in_thread(partial(_keep_claim, row))
        return running.result()
    finally:
        running.cancel()


def _keep_claim(row: Due) -> None:
    try:
        perform(lambda work: due.hold(work, row, seconds=CLAIM_SECONDS), actor=ACTOR, origin=ORIGIN)
    except IsthmusError as fault:
        _log.info("poll_claim_lost", connection=row.subject, kind=row.key, error=fault.text)


async def _poll(log: IntakeLog, connection: Connection, kind: str) -> Result:
    """Ask for everything since the stored watermark; a fault after some pages keeps those pages."""
    client = (await _in_thread(lambda: connections.open(connection.name))).client
    shared = await terms_of(connection)
    pacing.pace(shared.turn)
    watermark = await _in_thread(lambda: _state(connection, kind).watermark)
    found = kept = 0
    try:
        async with asyncio.timeout(POLL_SECONDS_MAX):
            # The contract suite holds every connector to its manifest: what declares a read can be asked.
            async for page in cast("Poller", client).changed_since(kind, watermark):
                await _in_thread(partial(_keep, log, connection, kind, page))
                found += len(page.observations) + len(page.messages)
                kept += 1
    except Exception as fault:  # noqa: BLE001 - told to health, and to the next interval
        shared.hold(getattr(fault, "after_seconds", None))
        return Result(observations=found, kept=kept, error=fault)
    finally:
        await client.close()
    return Result(observations=found, kept=kept)


async def terms_of(connection: Connection) -> terms.Terms:
    """Return what the partner allows, shared with the lane that writes to it. A poll may be the first to ask."""
    found = terms.of(connection)
    if found.restored is None:
        state = await _in_thread(lambda: health.state_of(connection.organisation, connection.name))
        if found.restored is None:  # nobody else has meanwhile
            terms.restore(found, state, LANE)
    return found


def _put_off(row: Due, until: Instant) -> None:
    """Poll later: the partner asked to be left alone, or is too sick for more than probes."""
    try:
        perform(lambda work: due.postpone(work, row, until, attempts=0), actor=ACTOR, origin=ORIGIN)
    except Conflict:
        _log.info("poll_set_anew", connection=row.subject, kind=row.key)


def _keep(log: IntakeLog, connection: Connection, kind: str, page: Page) -> None:
    """Make a page durable in the log, then its watermark in the book: this order loses nothing."""
    now = source.now()
    pages.append(log, connection, kind, page)
    perform(
        lambda work: work.upsert(
            PollState,
            key=_key(connection, kind),
            values={"watermark": page.watermark, "interval": _state(connection, kind).interval},
        ),
        actor=ACTOR,
        origin=ORIGIN,
        now=now,
    )


def _settle(connection: Connection, row: Due, result: Result) -> None:
    """Store how it went and when to ask again: sooner if much changed, later if nothing did, now if that is wanted."""
    now = source.now()
    state = _state(connection, row.key)
    interval = _interval(connection, state, result)
    blocked = isinstance(result.error, NeedsOperator) and not result.kept
    wait = max(interval, OPERATOR_SECONDS * SECOND) if blocked else interval
    wait = max(wait, int((getattr(result.error, "after_seconds", None) or 0) * SECOND))
    wait = 0 if result.again and result.error is None else wait

    def act(work: Work) -> None:
        failures = state.failures + 1 if result.error else 0
        values = {
            "interval": interval, "finished_at": now, "observations": result.observations, "failures": failures,
            "watermark": _state(connection, row.key).watermark,
        }  # fmt: skip
        work.upsert(PollState, key=_key(connection, row.key), values=values)
        if result.error is not None:
            health.failed(work, connection.organisation, connection.name, result.error, now)
        else:
            health.succeeded(work, connection.organisation, connection.name, now)
        # A restart finds what polls have spent of the allowance, not only what the lane noted.
        spent = terms.of(connection).bucket.dump()
        health.observed(work, connection.organisation, connection.name, tokens=spent)
        due.postpone(work, row, Instant(now + wait), attempts=0)

    try:
        perform(act, actor=ACTOR, origin=ORIGIN, now=now)
    except Conflict:
        _log.info("poll_set_anew", connection=connection.name, kind=row.key)


def _interval(connection: Connection, state: PollState, result: Result) -> int:
    bounds = connection.entry.polling
    least, most = bounds.seconds_min * SECOND, bounds.seconds_max * SECOND
    held = min(max(state.interval, least), most)
    if result.error is not None:
        return min(held * 2, most)
    return max(held // 2, least) if result.observations else min(held * 3 // 2, most)


def _state(connection: Connection, kind: str) -> PollState:
    found = PollState.objects.filter(**_key(connection, kind)).first()
    return found or PollState(
        **_key(connection, kind), interval=connection.entry.polling.seconds_min * SECOND
    )


def _key(connection: Connection, kind: str) -> dict[str, str]:
    return {"organisation": connection.organisation, "connection": connection.name, "kind": kind}


async def _in_thread(call: Callable[[], T]) -> T:
    def scoped() -> T:
        with scope.everywhere("polls"):
            return call()

    return await sync_to_async(scoped, thread_sensitive=False)()
