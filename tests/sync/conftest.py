"""The small model of hostile partners (`linkworld`), and a hub with two real connectors on their simulators."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings

sys.path.insert(0, str(Path(__file__).parent))

import isthmus.blueprint.running
from isthmus import django_settings
from isthmus.blueprint import service as blueprints
from isthmus.blueprint.source import Source
from isthmus.connectors.kit import registry
from isthmus.connectors.kit.simulator import Simulator
from isthmus.hub import connections
from isthmus.hub.lanes.lane import Lane
from isthmus.hub.lanes.runner import Lanes
from isthmus.hub.observing import Seen
from isthmus.hub.sync import reactions
from isthmus.hub.sync.models import Link, LinkRun
from isthmus.kernel.observation import ExternalRef, Observation
from isthmus.ledger.ids import source
from isthmus.practices.incident.models import Incident

FLOW: dict[str, Any] = {
    "incident": {
        "owner": "Service desk",
        "system_of_record": "hub",
        "connections": {"snow": {}, "jira": {}},
        "fields": [],
    }
}


@dataclass
class Desk:
    """A book, its lanes, and the simulators that stand for ServiceNow (`snow`) and Jira (`jira`)."""

    book: Any
    simulators: dict[str, Simulator]
    urls: dict[str, str]
    lanes: dict[str, Lane] = field(default_factory=dict)
    runner: Lanes = field(default_factory=Lanes)
    positions: int = 0
    flow: dict[str, Any] = field(default_factory=lambda: FLOW)

    async def apply(self, **sections: Any) -> None:
        found: dict[str, Any] = {
            "connections": {
                name: {"connector": each, "config": self.simulators[name].config(self.urls[name])}
                for name, each in (("snow", "servicenow"), ("jira", "jira"))
            },
            "sync": self.flow,
            "routes": [{"id": "all", "kind": "incident", "to": ["snow", "jira"]}],
        } | sections
        await self.store(
            lambda: self.book.perform(lambda work: blueprints.apply(work, Source(sections=found)))
        )
        isthmus.blueprint.running.forget()
        connections.forget()
        for lane in self.lanes.values():
            await lane.close()
        self.lanes = await self.runner.lanes()

    def store(self, call: Callable[[], Any]) -> Awaitable[Any]:
        return self.runner.store(call)

    async def perform(self, act: Callable[[Any], Any], **more: Any) -> Any:
        return await self.store(lambda: self.book.perform(act, **more))

    async def opened(self, **values: Any) -> str:
        """Open an incident here and return its id."""

        def act(work: Any) -> str:
            return work.create(Incident, organisation=self.book.organisation, why=[],
                               values={"title": "Till 4 is down", "state": "new", "priority": "3", **values}).id  # fmt: skip

        return str(await self.perform(act))

    async def edit(self, record_id: str, **values: Any) -> None:
        await self.perform(lambda work: work.change(Incident.objects.get(id=record_id), values, why=[]))

    async def incident(self, record_id: str) -> Any:
        return await self.store(lambda: Incident.objects.get(id=record_id))

    async def link(self, record_id: str, connection: str) -> Any:
        return await self.store(lambda: Link.objects.get(record=record_id, connection=connection))

    async def run_of(self, record_id: str, connection: str) -> Any:
        return await self.store(lambda: LinkRun.objects.get(record=record_id, connection=connection))

    async def settle(self) -> None:
        """Let lanes work and webhooks arrive until nothing moves."""
        for _ in range(30):
            moved = False
            for lane in self.lanes.values():
                while await asyncio.wait_for(lane.round(), 20):
                    moved = True
            if not moved:
                return

    async def observe(self, connection: str, observation: Observation, *, door: str = "webhook") -> list[Any]:
        """What the pump does with one observation."""
        self.positions += 1
        seen = Seen(
            message_position=self.positions, place=0, connection=connection, organisation=self.book.organisation,
            observation=observation, received_at=source.now(), message_id=source.new_id(), trace=source.new_trace(), door=door,
        )  # fmt: skip
        return list(
            await self.perform(lambda work: reactions.react(work, [seen], work.now), channel="webhook")
        )

    async def poll(self, connection: str, since: str = "") -> None:
        """Read everything that changed and hand it in, as the poll does."""
        client = await self.store(lambda: connections.open(connection).client)
        try:
            async for page in client.changed_since("incident", since):
                for each in page.observations:
                    await self.observe(connection, each, door="poll")
        finally:
            await client.close()

    def objects(self, connection: str) -> list[Any]:
        """Return all objects that a simulator holds."""
        simulator: Any = self.simulators[connection]
        shelf = simulator.shelf("incident" if connection == "snow" else "issue")
        return [item for _, item in shelf.all()]

    def human(self, connection: str, key: str, **values: Any) -> None:
        """A person edits the object there, in the partner's spelling."""
        self.simulators[connection].human_edit("incident", key, values)

    async def shown(self, connection: str, key: str) -> Observation:
        """Read an object as the hub would."""
        client: Any = await self.store(lambda: connections.open(connection).client)
        try:
            return await client.read(
                ExternalRef(
                    connection=connection, kind="incident" if connection == "snow" else "issue", key=key
                )
            )
        finally:
            await client.close()


@pytest.fixture
def desk(book: Any, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """A context manager that starts the simulators and gives a `Desk`."""
    changed = replace(django_settings.ISTHMUS, allow_private_addresses=True)
    monkeypatch.setattr(django_settings, "ISTHMUS", changed)
    monkeypatch.setattr(settings, "ISTHMUS", changed)

    @asynccontextmanager
    async def opened(**sections: Any) -> AsyncIterator[Desk]:
        isthmus.blueprint.running.forget()
        connections.forget()
        simulators = {
            "snow": registry.find("servicenow").connector.simulator(),
            "jira": registry.find("jira").connector.simulator(),
        }
        urls = {}
        for name, each in simulators.items():
            urls[name] = await each.start()
            for ref, value in _references(each.config(urls[name])).items():
                monkeypatch.setenv(ref, each.secrets().get(value, "x"))
        found = Desk(book=book, simulators=simulators, urls=urls)
        await found.apply(**sections)
        try:
            yield found
        finally:
            for lane in found.lanes.values():
                await lane.close()
            await found.runner.close()
            for each in simulators.values():
                await each.stop()
            isthmus.blueprint.running.forget()
            connections.forget()

    return opened


def _references(config: dict[str, Any]) -> dict[str, str]:
    """Environment variable → name of the secret field, for every reference in a configuration."""
    return {
        value["secret"].removeprefix("env:"): name
        for name, value in config.items()
        if isinstance(value, dict) and str(value.get("secret", "")).startswith("env:")
    }
