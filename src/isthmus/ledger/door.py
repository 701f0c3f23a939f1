"""The door: opens a Work, runs an act in it, commits it, and runs the act again if the book moved on."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import structlog
from django.db import transaction

from isthmus.kernel.actor import Actor, Origin
from isthmus.kernel.errors import Conflict, Forbidden
from isthmus.kernel.instant import Instant
from isthmus.ledger import flush, rendering, turnstile
from isthmus.ledger.ids import source
from isthmus.ledger.work import StaleRecord, Work

T = TypeVar("T")

ATTEMPTS_MAX = 5

_log = structlog.get_logger(__name__)
_listeners: list[Callable[[Work], None]] = []


def register_committed(listen: Callable[[Work], None]) -> None:
    """Have `listen` called in this process with every Work that became durable here."""
    if listen not in _listeners:
        _listeners.append(listen)


def perform(
    act: Callable[[Work], T],
    *,
    actor: Actor,
    origin: Origin,
    trace: str = "",
    now: Instant | None = None,
    exclusive: bool = False,
) -> T:
    """Run `act` with a new Work and commit what it collected; return what it returned.

    The act reads and decides before the turnstile; versions are checked again inside. An act that must
    decide on the very latest rows asks for `exclusive` and runs inside the write transaction: keep it short.
    It may be run up to five times, so it loads what it needs itself and has no effect outside the Work.
    """
    stale: StaleRecord | None = None
    for _ in range(ATTEMPTS_MAX):
        work = Work(
            actor=actor,
            origin=origin,
            now=source.now() if now is None else now,
            trace=trace or source.new_trace(),
        )
        try:
            result = _exclusively(work, act) if exclusive else _optimistically(work, act)
        except StaleRecord as moved:
            stale = moved
            continue
        except Forbidden as refusal:
            if refusal.on_record is not None:
                # The refused act is gone with its Work; that it was refused is a fact of its own.
                perform(refusal.on_record, actor=actor, origin=origin, trace=work.trace, now=now)
            raise
        _tell(work)
        return result
    raise Conflict(
        "Others keep changing the same record.", remedy="Read it again and repeat the request."
    ) from stale


def _optimistically(work: Work, act: Callable[[Work], T]) -> T:
    result = act(work)
    prepared = rendering.prepare(work)
    if not work.empty:
        with turnstile.entered(), transaction.atomic():
            flush.flush(prepared)
    return result


def _exclusively(work: Work, act: Callable[[Work], T]) -> T:
    with turnstile.entered(), transaction.atomic():
        result = act(work)
        flush.flush(rendering.prepare(work))
    return result


def _tell(work: Work) -> None:
    """Call who waits for the commit. It has happened: a listener that fails is logged, never raised."""
    for each in [*work.after, *(lambda listen=listen: listen(work) for listen in _listeners)]:
        try:
            each()
        except Exception:  # noqa: BLE001 - whatever a listener raises, the commit has happened
            _log.exception("after_commit_failed")
