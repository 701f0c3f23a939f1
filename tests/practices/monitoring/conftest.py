"""Alerts as a source would send them, taken the way the pump takes them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest

from isthmus import blueprint
from isthmus.blueprint import running
from isthmus.hub import due
from isthmus.hub.models import Due
from isthmus.hub.observing import Outcome, Seen
from isthmus.kernel.actor import Actor, ActorKind, system
from isthmus.kernel.instant import HOUR, MINUTE, SECOND, Instant
from isthmus.kernel.observation import ExternalRef, Observation
from isthmus.practices.change import schedule
from isthmus.practices.change import service as changes
from isthmus.practices.change.models import Change
from isthmus.practices.configuration import service as configuration
from isthmus.practices.configuration import snapshot
from isthmus.practices.incident.models import Incident
from isthmus.practices.monitoring import index, service, watch
from isthmus.practices.monitoring.models import Alert


@dataclass
class Monitor:
    """A monitoring system, its connection and the hub behind it, with the clock in the test's hand."""

    book: Any
    monkeypatch: pytest.MonkeyPatch
    connection: str = "am"
    position: int = 0
    cis: dict[str, str] = field(default_factory=dict)

    def event(
        self,
        name: str = "Down",
        *,
        state: str = "firing",
        severity: str = "critical",
        summary: str = "",
        at: Instant | None = None,
        starts_at: Instant | None = None,
        organisation: str = "",
        **labels: str,
    ) -> Seen:
        now = self.book.clock.now()
        self.position += 1
        started = starts_at or at or now
        values = {
            "state": state,
            "severity": severity,
            "summary": summary or f"{name} on {labels.get('host', 'somewhere')}",
            "labels": {"alertname": name, **labels},
            "annotations": {},
            "starts_at": started,
            "ends_at": now if state == "resolved" else None,
        }
        observation = Observation(
            kind="alert",
            external=ExternalRef(connection=self.connection, kind="alert", key=""),
            values=values,
            event_id=f"e{self.position}",
        )
        return Seen(
            message_position=self.position,
            place=0,
            connection=self.connection,
            organisation=organisation or self.book.organisation,
            observation=observation,
            received_at=now,
            message_id=f"m{self.position}",
            trace=f"{self.position:032x}",
        )

    def send(self, *events: Seen) -> list[Outcome]:
        return list(
            self.book.perform(
                lambda work: service.take(work, events, work.now), actor=system("pump"), channel="webhook"
            )
        )

    def fire(self, name: str = "Down", **more: Any) -> Outcome:
        return self.send(self.event(name, **more))[0]

    def clear(self, name: str = "Down", **more: Any) -> Outcome:
        return self.send(self.event(name, state="resolved", **more))[0]

    def repeat(self, seen: Seen) -> None:
        self.book.perform(
            lambda work: service.count_repeats(work, [seen], work.now),
            actor=system("pump"),
            channel="webhook",
        )

    def pass_time(self, *, minutes: float = 0, seconds: float = 0) -> None:
        """Let time pass, handling every wait that ends on the way, in order."""
        until = self.book.clock.now() + int(minutes * MINUTE + seconds * SECOND)
        while True:
            row = Due.objects.filter(lane="", due_at__lte=until).order_by("due_at").first()
            if row is None:
                break
            self.book.clock.forward(seconds=max(0, (row.due_at - self.book.clock.now()) / 1_000_000))
            self._handle(row)
        self.book.clock.forward(seconds=max(0, (until - self.book.clock.now()) / 1_000_000))

    def _handle(self, row: Due) -> None:
        def act(work: Any) -> None:
            work.remove(Due, {"id": row.id})
            handler = due.handler_of(row.what)
            assert handler is not None
            handler(work, row, work.now)

        self.book.perform(act, actor=system("due"), channel="timer")

    def configure(self, **sections: Any) -> None:
        """Have the blueprint hold these sections (plain data), as an apply would."""
        values = running.typed(sections)
        held = running.Blueprint(generation=1, plain=sections, values=values)
        self.monkeypatch.setattr(blueprint, "current", lambda **_: held)

    def map(self, items: Sequence[dict[str, Any]], relations: Sequence[tuple[str, str]] = ()) -> None:
        """Put items on the map and relate them: (source depends on target), by name."""
        rows = [{"ci_class": "server", **each} for each in items]
        rows += [
            {"kind": "ci_relation", "source_ci": source, "target_ci": target, "type": "depends_on"}
            for source, target in relations
        ]
        report = self.book.perform(
            lambda work: configuration.import_rows(
                work, rows, organisation=self.book.organisation, source="test"
            )
        )
        assert not [each for each in report.results if each.what in {"rejected", "parked"}], report
        self.cis = {
            each.name: key for key, each in configuration.snapshot_of(self.book.organisation).cis.items()
        }

    def alerts(self, **where: Any) -> list[Alert]:
        return list(Alert.objects.filter(**where).order_by("id"))

    def incidents(self, **where: Any) -> list[Incident]:
        return list(Incident.objects.filter(**where).order_by("id"))


def _forget() -> None:
    """Drop what the process holds of another test's book."""
    for each in (index, snapshot, running, watch, schedule):
        each.forget()


@pytest.fixture
def monitor(book: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Monitor]:
    _forget()
    with book.clock.stopped():
        yield Monitor(book=book, monkeypatch=monkeypatch)
    _forget()


class World:
    """A shop on the map, Ada who raises changes and Ben who approves them."""

    def __init__(self, monitor: Any) -> None:
        self.book = monitor.book
        self.people = {
            name: Actor(
                kind=ActorKind.PERSON,
                id=f"person-{name}",
                label=name,
                organisations=frozenset({self.book.organisation}),
                roles=frozenset(roles),
            )
            for name, roles in {"ada": {"agent", "change_manager"}, "ben": {"approver"}}.items()
        }
        monitor.map([{"name": "shop-app"}, {"name": "db"}, {"name": "leaf"}], [("shop-app", "db")])

    def do(self, who: str, step: Any, *arguments: Any, **more: Any) -> Any:
        def inside(work: Any) -> Any:
            given = [changes.load(work, each.id) if isinstance(each, Change) else each for each in arguments]
            return step(work, *given, **more)

        return self.book.perform(inside, actor=self.people[who], channel="api")

    def planned(self) -> Change:
        """Raise a change on the database for the next hour, which nobody has approved."""
        now = self.book.clock.now()
        values = {
            "title": "New release", "cis": ["db"], "environment": "production", "artefact_hash": "sha256:" + "a1" * 32,
            "implementation_plan": "Roll out.", "backout_plan": "Roll back.", "window_start": now, "window_end": now + HOUR,
        }  # fmt: skip
        found: Change = self.do("ada", changes.create, values, organisation=self.book.organisation)
        return found

    def authorised(self) -> Change:
        """Raise the same change and have it approved."""
        change = self.planned()
        self.do("ada", changes.submit, change)
        self.do("ada", changes.request_approval, change)
        self.do("ben", changes.approve, change)
        return change


@pytest.fixture
def world(monitor: Any) -> World:
    return World(monitor)
