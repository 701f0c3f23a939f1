"""A whole hub inside the test's process, with the clock in the test's hand.

Messages come through the real door into a real log, the real pump, sweeper, lanes and polls take them further,
and what counts is read inside the partners. Nothing runs by itself: `settle` lets everything happen that can
happen now, `pass_time` moves the clock from wait to wait. (`served.py` runs a hub in processes of its own
instead: slower, and on the world's clock.)
"""

from __future__ import annotations

import asyncio
import datetime as dt
import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from django.conf import settings

from isthmus import django_settings
from isthmus.blueprint import running
from isthmus.blueprint import service as blueprints
from isthmus.blueprint.source import Source
from isthmus.cli.demo.partners import Partners
from isthmus.cli.demo.tickets import Desks, Ticket
from isthmus.hub import connections, polling
from isthmus.hub.intake.appender import Appender
from isthmus.hub.intake.current_entrances import CurrentEntrances
from isthmus.hub.intake.door import Door
from isthmus.hub.intake.keys import RingKeys
from isthmus.hub.intake.log import IntakeLog, open_log
from isthmus.hub.intake.refusals import Refusals
from isthmus.hub.lanes.runner import Lanes
from isthmus.hub.models import Due
from isthmus.hub.pump.pump import Pump
from isthmus.hub.sweeper import sweep
from isthmus.hub.sync.models import Link
from isthmus.kernel.actor import Actor
from isthmus.kernel.instant import HOUR, MINUTE, SECOND, Instant, to_datetime
from isthmus.ledger.ids import source
from isthmus.practices.change import service as changes
from isthmus.practices.change.models import Change
from isthmus.practices.configuration import service as configuration
from isthmus.practices.configuration import snapshot
from isthmus.practices.incident.models import Incident
from isthmus.practices.monitoring import index
from isthmus.practices.monitoring.models import Alert

TOKEN = "the-word-of-alertmanager"
CONNECTORS = {"snow": "servicenow", "jira": "jira", "tracker": "roundup"}
ROUNDS_MAX = 20
"""Rounds after which everything must have settled; more means that two parts keep waking each other."""


@dataclass
class World:
    """One organisation with a map, people, an Alertmanager and partners that hold its tickets."""

    book: Any
    log: IntakeLog
    partners: Partners
    pump: Pump
    sections: dict[str, Any] = field(default_factory=dict)

    # Configuration -------------------------------------------------------------------------------------

    def apply(self, **sections: Any) -> None:
        """Change whole sections of the blueprint and put it in force."""
        self.sections |= sections
        self.book.perform(lambda work: blueprints.apply(work, Source(sections=self.sections)))
        running.forget()
        connections.forget()

    def map(self, items: Iterable[Mapping[str, Any]], relations: Iterable[tuple[str, str]] = ()) -> None:
        """Put items on the map and relate them: (source depends on target), by name."""
        rows: list[dict[str, Any]] = [{"ci_class": "server", **each} for each in items]
        rows += [
            {"kind": "ci_relation", "source_ci": above, "target_ci": below, "type": "depends_on"}
            for above, below in relations
        ]
        report = self.book.perform(
            lambda work: configuration.import_rows(
                work, rows, organisation=self.book.organisation, source="test"
            )
        )
        assert not [each for each in report.results if each.what in {"rejected", "parked"}], report

    def change(self, item: str) -> Change:
        """Raise a normal change on an item for the next hour; nobody has approved it."""
        now = self.book.clock.now()
        values = {
            "title": f"New release on {item}", "cis": [item], "environment": "production", "artefact_hash": "sha256:" + "a1" * 32,
            "implementation_plan": "Roll out.", "backout_plan": "Roll back.", "window_start": now, "window_end": now + HOUR,
        }  # fmt: skip
        return self.do("change_manager", changes.create, values, organisation=self.book.organisation)

    def do(self, role: str, step: Any, *arguments: Any, **more: Any) -> Any:
        """Run one service call as a person who holds `role`."""
        actor: Actor = self.book.actor(role)
        return self.book.perform(lambda work: step(work, *arguments, **more), actor=actor, channel="api")

    # Doors ---------------------------------------------------------------------------------------------

    def post(self, path: str, body: Any, *, token: str = TOKEN, kind: str = "application/json") -> int:
        """Send a message to `/ingest<path>`; return the status that the real door answers."""
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        return asyncio.run(self._post(f"/ingest{path}", raw, token, kind))

    async def _post(self, path: str, raw: bytes, token: str, kind: str) -> int:
        entrances, statuses = CurrentEntrances(), []
        await asyncio.to_thread(_everywhere, entrances.refresh)
        appender = Appender(self.log, queue_max=1_000, loop=asyncio.get_running_loop(), notify=lambda: None)
        appender.start()

        async def receive() -> dict[str, Any]:
            return {"type": "http.request", "body": raw, "more_body": False}

        async def send(message: Any) -> None:
            if message["type"] == "http.response.start":
                statuses.append(message["status"])

        headers = {
            "authorization": f"Bearer {token}",
            "content-type": kind,
            "content-length": str(len(raw)),
        }
        scope = {
            "type": "http",
            "method": "POST",
            "path": path,
            "query_string": b"",
            "client": ("127.0.0.1", 1),
            "headers": [(name.encode(), value.encode()) for name, value in headers.items()],
        }
        try:
            await Door(entrances, lambda: appender, Refusals(), source)(scope, receive, send)
        finally:
            appender.stop()
        return int(statuses[0])

    def alertmanager(self, *alerts: Mapping[str, Any], token: str = TOKEN) -> int:
        """Send one webhook as Alertmanager does."""
        body = {
            "version": "4",
            "status": "firing",
            "receiver": "isthmus",
            "groupKey": "{}:{}",
            "alerts": list(alerts),
        }
        return self.post("/alertmanager/prometheus", body, token=token)

    def fire(self, name: str = "Down", **labels: str) -> int:
        """Have Alertmanager say that one alert fires."""
        return self.alertmanager(self.alert(name, **labels))

    def clear(self, name: str = "Down", **labels: str) -> int:
        """Have Alertmanager say that one alert has resolved."""
        return self.alertmanager(self.alert(name, status="resolved", **labels))

    def alert(
        self, name: str = "Down", *, status: str = "firing", summary: str = "", **labels: str
    ) -> dict[str, Any]:
        """Return one alert as Alertmanager words it, fingerprint included."""
        labels = {"alertname": name, "severity": "critical", **labels}
        now = to_datetime(self.book.clock.now())
        return {
            "status": status,
            "labels": labels,
            "annotations": {"summary": summary or f"{name} on {labels.get('instance', 'somewhere')}"},
            "startsAt": (now - dt.timedelta(seconds=1) if status == "resolved" else now).isoformat(),
            "endsAt": now.isoformat() if status == "resolved" else "0001-01-01T00:00:00Z",
            "fingerprint": hashlib.sha256(repr(sorted(labels.items())).encode()).hexdigest()[:16],
        }

    # Time ----------------------------------------------------------------------------------------------

    def settle(self) -> None:
        """Let everything happen that can happen now: pump, waits, writes to partners, reads from them."""
        for _ in range(ROUNDS_MAX):
            busy = self._pumped() + sweep(self.book.clock.now())
            busy += asyncio.run(self._partnered())
            if not busy:
                return
        raise AssertionError(f"It did not settle in {ROUNDS_MAX} rounds.")

    def pass_time(self, *, minutes: float = 0, seconds: float = 0) -> None:
        """Let time pass; every wait ends when it should, in order, and has its effects at the partners."""
        until = self.book.clock.now() + int(minutes * MINUTE + seconds * SECOND)
        self.settle()
        while (at := self._next()) is not None and at <= until:
            self._wait_for(at)
            while sweep(self.book.clock.now()):
                pass
            self._pumped()
        self._wait_for(Instant(until))
        self.settle()

    def kill(self) -> None:
        """Lose everything that a process holds in memory, as `kill -9` does; what is durable stays."""
        index.forget()
        snapshot.forget()
        running.forget()
        connections.forget()
        self.pump = Pump(self.log)

    def poll(self) -> None:
        """Ask every partner that can be asked for its news, as the polls do after their interval."""
        Due.objects.filter(lane=polling.LANE).update(due_at=self.book.clock.now())
        self.settle()

    def _next(self) -> Instant | None:
        found = Due.objects.filter(lane="").order_by("due_at").values_list("due_at", flat=True).first()
        return None if found is None else Instant(found)

    def _wait_for(self, at: Instant) -> None:
        self.book.clock.forward(seconds=max(0, (at - self.book.clock.now()) / SECOND))

    def _pumped(self) -> int:
        taken = 0
        while more := self.pump.round():
            taken += more
        return taken

    async def _partnered(self) -> int:
        ready = await asyncio.to_thread(_everywhere, self._anything_for_partners)
        if not ready:
            return 0
        lanes = Lanes()
        try:
            for lane in (await lanes.lanes()).values():
                await lane.drain()
                await lane.close()
            await polling.run_due(self.log, self.book.clock.now())
        finally:
            await lanes.close()
        return 1

    def _anything_for_partners(self) -> bool:
        polling.ensure_scheduled(self.book.clock.now())
        return Due.objects.exclude(lane="").filter(due_at__lte=self.book.clock.now()).exists()

    # What came of it -----------------------------------------------------------------------------------

    def alerts(self, **where: Any) -> list[Alert]:
        return list(Alert.objects.filter(**where).order_by("id"))

    def incidents(self, **where: Any) -> list[Incident]:
        return list(Incident.objects.filter(**where).order_by("id"))

    def incident(self) -> Incident:
        """Return the only incident there is."""
        (found,) = self.incidents()
        return found

    def tickets(self, connection: str) -> int:
        """Return how many tickets a partner holds, counted inside it."""
        return Desks(self.partners).count(connection)

    def ticket(self, connection: str, incident: Incident | None = None) -> Ticket:
        """Return the ticket of an incident (the only one by default), read inside the partner."""
        return Desks(self.partners).ticket(connection, self.key(connection, incident))

    def row(self, connection: str, incident: Incident | None = None) -> dict[str, Any]:
        """Return the same ticket with every column that a ServiceNow-shaped partner holds."""
        inside: Any = self.partners.all[connection].inside
        key = self.key(connection, incident)
        return self.partners.inside(lambda: dict(inside.shelf("incident").get(key)))

    def edit(self, connection: str, incident: Incident | None = None, **values: Any) -> None:
        """Change a ticket as a person at the partner would, in that system's words."""
        Desks(self.partners).edit(connection, self.key(connection, incident), **values)

    def key(self, connection: str, incident: Incident | None = None) -> str:
        """Return the partner's key of an incident."""
        record = (incident or self.incident()).id
        return str(Link.objects.get(record=record, connection=connection).external_key)


def _everywhere(call: Any) -> Any:
    from django.db import connections as databases

    from isthmus.ledger import scope

    try:
        with scope.everywhere("a story"):
            return call()
    finally:
        databases.close_all()


@contextmanager
def opened(
    book: Any, monkeypatch: pytest.MonkeyPatch, *, systems: Sequence[str] = ("snow",)
) -> Iterator[World]:
    """Run a world with these partners, and end it afterwards."""
    partners = Partners()
    try:
        for name in systems:
            partners.start(CONNECTORS[name], name)
        for name, value in {**partners.environment(), "STORY_ALERTMANAGER": TOKEN}.items():
            monkeypatch.setenv(name, value)
        changed = replace(django_settings.ISTHMUS, allow_private_addresses=True)
        monkeypatch.setattr(django_settings, "ISTHMUS", changed)
        monkeypatch.setattr(settings, "ISTHMUS", changed)
        log = open_log(changed, RingKeys())
        world = World(book=book, log=log, partners=partners, pump=Pump(log))
        world.kill()
        monitoring = {
            "connector": "alertmanager",
            "config": {"token": {"secret": "env:STORY_ALERTMANAGER"}},
            "polling": {"enabled": False},
        }
        world.apply(
            connections={**partners.connections(), "prometheus": monitoring},
            sync={
                "incident": {
                    "owner": "Desk lead",
                    "system_of_record": "hub",
                    "connections": {name: {} for name in systems},
                }
            },
            routes=[{"id": "everywhere", "kind": "incident", "to": list(systems)}],
        )
        try:
            yield world
        finally:
            world.kill()
            log.close()
    finally:
        partners.stop()
