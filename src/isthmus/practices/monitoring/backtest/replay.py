"""One replay: past events and the waits between them, through the decisions that live processing uses."""

from __future__ import annotations

import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final

from isthmus.connectors.kit.ports import decode_observations
from isthmus.hub import due
from isthmus.hub.models import Due
from isthmus.hub.observing import Seen
from isthmus.kernel.actor import Origin, system
from isthmus.kernel.errors import IsthmusError, Rejected
from isthmus.kernel.instant import SECOND, Instant
from isthmus.ledger.door import perform
from isthmus.ledger.work import Work, register_preparer
from isthmus.practices.incident.models import Incident
from isthmus.practices.monitoring import expecting, service, watch
from isthmus.practices.monitoring.backtest.scratch import Clock
from isthmus.practices.monitoring.backtest.shapes import Event, Handover, Made, Shown, Side
from isthmus.practices.monitoring.models import Alert

TEXT_MAX: Final = 300
AT_ONCE: Final = 500
FAULTS_MAX: Final = 20
_NOT_REPLAYED: Final = frozenset({expecting.LOOK, watch.SAMPLE})
"""Waits that decide nothing about past events: nobody is listened to, and nobody judges samples."""


class TooLong(Rejected):
    """The replay takes longer than it may."""


def batches(events: Sequence[Event]) -> Iterator[list[Event]]:
    """Return runs of events of one connection and one second, as the pump would take them together."""
    held: list[Event] = []
    for each in events:
        first = held[0] if held else each
        near = (
            each.connection == first.connection and each.received_at // SECOND == first.received_at // SECOND
        )
        if held and (not near or each.door != first.door or len(held) >= AT_ONCE):
            yield held
            held = []
        held.append(each)
    if held:
        yield held


class Replay:
    """Takes the events of a handover in order; `told(share)` is called with how far it is."""

    def __init__(self, given: Handover, clock: Clock, told: Callable[[float], None]) -> None:
        self._given = given
        self._clock = clock
        self._told = told
        self._ends_at = time.monotonic() + given.seconds_max
        self._members: dict[str, set[str]] = defaultdict(set)
        self._timers = 0
        self._faults: list[str] = []
        register_preparer(self._note)

    def run(self) -> Side:
        """Replay everything and return what came of it."""
        done, total = 0, max(1, len(self._given.events))
        for batch in batches(self._given.events):
            self._pass_time(batch[0].received_at)
            self._take(batch)
            done += len(batch)
            self._told(done / total)
        self._pass_time(self._given.until)
        return self._outcome(done)

    def _pass_time(self, until: int) -> None:
        """Let time pass, handling every wait that ends on the way, in order."""
        while True:
            self._in_time()
            row = Due.objects.filter(lane="", due_at__lte=until).order_by("due_at", "id").first()
            if row is None:
                break
            self._clock.forward(row.due_at)
            self._end_wait(row)
        self._clock.forward(until)

    def _end_wait(self, row: Due) -> None:
        handler = None if row.what in _NOT_REPLAYED else due.handler_of(row.what)

        def act(work: Work) -> None:
            work.remove(Due, {"id": row.id})
            if handler is not None:
                handler(work, row, work.now)

        self._timers += handler is not None
        try:
            perform(act, actor=system("due"), origin=Origin(channel="timer"))
        except IsthmusError as fault:
            self._fault(f"{row.what}: {fault.text}")
            perform(
                lambda work: work.remove(Due, {"id": row.id}),
                actor=system("due"),
                origin=Origin(channel="timer"),
            )

    def _take(self, batch: Sequence[Event]) -> None:
        seens = [self._seen(each) for each in batch]
        fresh = [seen for seen, each in zip(seens, batch, strict=True) if not each.repeat]
        repeats = [seen for seen, each in zip(seens, batch, strict=True) if each.repeat]

        def act(work: Work) -> None:
            if fresh:
                service.take(work, fresh, work.now)
            if repeats:
                service.count_repeats(work, repeats, work.now)

        first = batch[0]
        origin = Origin(channel=first.door, connection=first.connection)
        try:
            perform(act, actor=system("pump"), origin=origin, trace=first.trace)
        except IsthmusError as fault:
            if len(batch) > 1:
                for each in batch:
                    self._take([each])
                return
            # Live, it is parked: nothing follows from it.
            self._fault(f"Message {first.position} of {first.connection}: {fault.text}")

    def _seen(self, event: Event) -> Seen:
        return Seen(
            message_position=event.position,
            place=event.place,
            connection=event.connection,
            organisation=self._given.organisation,
            observation=decode_observations(event.body)[0],
            received_at=Instant(event.received_at),
            message_id=event.message_id,
            trace=event.trace,
            door=event.door,
        )

    def _note(self, work: Work) -> None:
        """Remember every alert that ever was part of an incident: an alert may move on to another one."""
        for pending in work.pending.values():
            record = pending.record
            if isinstance(record, Alert) and record.incident:
                self._members[record.incident].add(record.id)

    def _fault(self, text: str) -> None:
        if len(self._faults) < FAULTS_MAX:
            self._faults.append(text[:TEXT_MAX])

    def _in_time(self) -> None:
        if time.monotonic() > self._ends_at:
            raise TooLong(
                f"The replay would take longer than {self._given.seconds_max} seconds.",
                remedy="Choose a shorter window.",
            )

    def _outcome(self, events: int) -> Side:
        keys: dict[str, str] = {}
        alerts: dict[str, Shown] = {}
        episodes: Counter[str] = Counter()
        for each in Alert.objects.order_by("id").iterator(AT_ONCE):
            episodes[each.identity] += 1
            keys[each.id] = key = f"{each.identity}#{episodes[each.identity]}"
            alerts[key] = Shown(
                identity=each.identity,
                summary=each.summary[:TEXT_MAX],
                connection=each.connection,
                decision=each.decision,
                reason=each.decision_reason[:TEXT_MAX],
                starts_at=each.starts_at or each.created_at,
            )
        made = [
            self._made(each, [keys[alert] for alert in sorted(self._members[each.id]) if alert in keys])
            for each in Incident.objects.order_by("id").iterator(AT_ONCE)
        ]
        decisions = Counter(each.decision for each in alerts.values())
        return Side(
            incidents=made,
            alerts=alerts,
            decisions=dict(sorted(decisions.items())),
            events=events,
            timers=self._timers,
            faults=self._faults,
        )

    @staticmethod
    def _made(found: Any, alerts: list[str]) -> Made:
        return Made(
            title=found.title[:TEXT_MAX],
            state=found.state,
            correlation_key=found.correlation_key[:TEXT_MAX],
            reason=found.correlation_reason[:TEXT_MAX],
            opened_at=found.opened_at or found.created_at,
            resolved_at=found.resolved_at,
            alerts=alerts,
        )
