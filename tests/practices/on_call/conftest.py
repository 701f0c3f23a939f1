"""An on-call world in process: a book, connections to real simulators, lanes, a sweeper and a clock that moves."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from django.conf import settings

import isthmus.blueprint.running
from isthmus import django_settings
from isthmus.blueprint import service as blueprints
from isthmus.blueprint.source import Source
from isthmus.connectors.kit import registry
from isthmus.hub import connections, sweeper
from isthmus.hub.lanes.lane import Lane
from isthmus.hub.lanes.runner import Lanes
from isthmus.hub.observing import Seen, reaction_to
from isthmus.identity import people
from isthmus.kernel.instant import Instant
from isthmus.ledger.ids import source
from isthmus.practices.configuration import snapshot
from isthmus.practices.incident import service as incidents
from isthmus.practices.on_call.models import Escalation, Notification

BASE_URL = "https://hub.example.test"


@dataclass
class World:
    """Everything that an escalation touches. `people` are ids by user name."""

    book: Any
    simulators: dict[str, Any]
    urls: dict[str, str]
    people: dict[str, str] = field(default_factory=dict)
    lanes: dict[str, Lane] = field(default_factory=dict)
    runner: Lanes = field(default_factory=Lanes)
    more: dict[str, Any] = field(default_factory=dict)
    """Further sections of the blueprint."""

    async def apply(self, *, organisations: dict[str, str] | None = None, **on_call: Any) -> None:
        """Put a blueprint in force: the simulators as connections, `on_call` as its section."""
        sections = {
            "connections": {
                name: {
                    "connector": each.connector, "config": each.config(self.urls[name]),
                    "organisation": (organisations or {}).get(name, ""),
                }
                for name, each in self.simulators.items()
            },
            "on_call": on_call,
            **self.more,
        }  # fmt: skip
        await self.store(
            lambda: self.book.perform(lambda work: blueprints.apply(work, Source(sections=sections)))
        )
        await self.reopen()

    async def reopen(self) -> None:
        """Start the lanes anew, as a restarted process does: nothing survives but the store."""
        isthmus.blueprint.running.forget()
        connections.forget()
        for lane in self.lanes.values():
            await lane.close()
        await self.runner.close()
        self.runner = Lanes()
        self.lanes = await self.runner.lanes()

    def store(self, call: Callable[[], Any]) -> Any:
        return self.runner.store(call)

    async def perform(self, act: Callable[[Any], Any], **more: Any) -> Any:
        return await self.store(lambda: self.book.perform(act, **more))

    async def opened(self, **values: Any) -> Any:
        values = {"title": "Till 4 is down", "impact": "1", "urgency": "1", **values}
        where = values.pop("organisation", self.book.organisation)
        return await self.perform(lambda work: incidents.create(work, where, values))

    async def on(self, incident: Any, step: Callable[..., Any], *args: Any, **more: Any) -> Any:
        return await self.perform(lambda work: step(work, incidents.get(work, incident.id), *args, **more))

    async def settle(self) -> None:
        """Handle everything that is due now, in sweeper and lanes, until nothing moves."""
        for _ in range(60):
            moved = bool(await self.store(lambda: sweeper.sweep(source.now())))
            for lane in self.lanes.values():
                while await asyncio.wait_for(lane.round(), 20):
                    moved = True
            if not moved:
                return

    async def forward(self, seconds: float) -> None:
        self.book.clock.forward(seconds=seconds)
        await self.settle()

    async def press(self, connection: str, body: bytes) -> list[Any]:
        """What the pump does with what a partner sends: parse, react."""
        found = await self.store(lambda: connections.get(connection))
        observations = found.connector.source.parse(body, {}, found.pure_context())
        seens = [
            Seen(
                message_position=1, place=place, connection=connection, organisation=found.organisation, observation=each,
                received_at=source.now(), message_id=source.new_id(), trace=source.new_trace(),
            )
            for place, each in enumerate(observations)
        ]  # fmt: skip
        react = reaction_to("acknowledgement")
        assert react is not None
        return list(await self.perform(lambda work: react(work, seens, work.now), channel="webhook"))

    async def notifications(self, **wanted: Any) -> list[Any]:
        return await self.store(lambda: list(Notification.objects.filter(**wanted).order_by("id")))

    async def escalations(self, **wanted: Any) -> list[Any]:
        return await self.store(lambda: list(Escalation.objects.filter(**wanted).order_by("id")))

    def now(self) -> Instant:
        return source.now()


@pytest.fixture
def world(book: Any, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """A context manager: `async with world("slack", "smtp") as found`."""
    changed = replace(django_settings.ISTHMUS, allow_private_addresses=True, base_url=BASE_URL)
    monkeypatch.setattr(django_settings, "ISTHMUS", changed)
    monkeypatch.setattr(settings, "ISTHMUS", changed)
    snapshot.forget()

    @asynccontextmanager
    async def opened(*kinds: str, more: Any = None, **on_call: Any) -> AsyncIterator[World]:
        isthmus.blueprint.running.forget()
        connections.forget()
        simulators, urls = {}, {}
        for kind in kinds:
            each = registry.find(kind).connector.simulator()
            each.connector = kind
            simulators[kind] = each
            urls[kind] = await each.start()
            for name, value in each.config(urls[kind]).items():
                if isinstance(value, dict) and str(value.get("secret", "")).startswith("env:"):
                    monkeypatch.setenv(value["secret"].removeprefix("env:"), each.secrets().get(name, "x"))
        found = World(book=book, simulators=simulators, urls=urls, more=more or {})
        for name in ("ada", "ben", "cai"):
            made = await found.perform(
                lambda work, name=name: people.create_person(
                    work, organisation=book.organisation, username=name, email=f"{name}@example.test"
                )
            )
            found.people[name] = made.id
        if on_call:
            await found.apply(**on_call)
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
            snapshot.forget()

    return opened
