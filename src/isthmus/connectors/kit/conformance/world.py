"""What the contract tests share: the connector under test, its simulator running, its fixtures."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import tomllib
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, NoReturn, TypeVar

import msgspec
import pytest

from isthmus.connectors.kit import registry
from isthmus.connectors.kit.faults import Fault
from isthmus.connectors.kit.manifest import Limits, Manifest
from isthmus.connectors.kit.ports import Client, Connector, Context, Page, Poller, Source, TicketSystem
from isthmus.connectors.kit.simulator import Simulator
from isthmus.kernel.instant import Instant, from_rfc3339
from isthmus.kernel.mapping import RecordMapping
from isthmus.kernel.observation import Observation

T = TypeVar("T")
NOW: Instant = from_rfc3339("2026-11-20T15:02:00Z")
SILENCE_SECONDS = 2.5
"""How long a client waits where the partner is told to say nothing; elsewhere as long as its manifest declares."""
NOT_FIXTURES = (".observations.json", ".headers.json", ".toml", ".md")
_SILENT = frozenset({Fault.TIMEOUT_AFTER_COMMIT, Fault.COMMIT_AFTER_TIMEOUT})
"""Faults in which no answer comes."""
_OVERSIZE_BYTES = 1_000_000
UNREACHABLE_URL = "http://192.0.2.1:9"  # TEST-NET-1: reserved, nothing answers there


@dataclass(frozen=True, kw_only=True)
class Fixture:
    """One recorded or written input: the body, the headers it came with, and its snapshot's path."""

    name: str
    body: bytes
    headers: Mapping[str, str]
    snapshot: Path


@dataclass(frozen=True, kw_only=True)
class Running:
    """A connection to a running simulator."""

    simulator: Simulator
    context: Context
    client: Client
    source: Source | None = None

    @property
    def poller(self) -> Poller:
        """Return the client as one that can be asked; fails if it is none."""
        if not isinstance(self.client, Poller):
            pytest.fail("The manifest declares read, but `open` returns no ports.Poller.")
        return self.client

    def told(self, page: Page) -> list[Observation]:
        """Return everything that a page says: its observations, and what the source reads in its messages."""
        found = list(page.observations)
        for each in page.messages:
            if self.source is None:
                pytest.fail("A page holds messages, but the connector has no source that reads them.")
            found += self.source.parse(each.body, dict(each.headers), self.context)
        return found

    @property
    def tickets(self) -> TicketSystem:
        """Return the client as a ticket system; fails if it is none."""
        if not isinstance(self.client, TicketSystem):
            pytest.fail("The manifest declares write, but `open` returns no ports.TicketSystem.")
        return self.client


class World:
    """The connector of one folder, loaded when the first test asks."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @cached_property
    def installed(self) -> registry.Installed:
        """The connector as the registry finds it."""
        return registry.at(self.folder)

    @property
    def manifest(self) -> Manifest:
        """Its facts."""
        return self.installed.manifest

    @property
    def connector(self) -> Connector:
        """Its parts."""
        return self.installed.connector

    def needs(self, *verbs: str) -> None:
        """Skip the test unless the manifest declares one of the verbs."""
        if not any(self.manifest.can(verb) for verb in verbs):
            pytest.skip(f"the manifest declares no {' or '.join(verbs)}")

    def kinds(self, verb: str) -> list[str]:
        """Return the record kinds with this verb."""
        return [each.kind for each in self.manifest.able() if each.verb == verb]

    def simulator(self) -> Simulator:
        """Return a new simulator."""
        if self.connector.simulator is None:
            self.fail("has no simulator", "write simulator.py and name it in CONNECTOR")
        return self.connector.simulator()

    def limits_under(self, fault: Fault) -> Limits:
        """Return the limits of a connection whose partner makes this fault: the manifest's, but so that silence or size
        reaches them soon."""
        limits = self.manifest.limits
        if fault in _SILENT:
            return msgspec.structs.replace(limits, request_seconds_max=SILENCE_SECONDS)
        if fault is Fault.OVERSIZED:
            size = min(limits.response_bytes_max, _OVERSIZE_BYTES)
            return msgspec.structs.replace(limits, response_bytes_max=size)
        return limits

    def context(
        self, simulator: Simulator, url: str = UNREACHABLE_URL, limits: Limits | None = None
    ) -> Context:
        """Return the context of a connection to `simulator` at `url`, with the limits of the manifest or others."""
        return self.installed.context(
            "under-test",
            simulator.config(url),
            secrets=simulator.secrets(),
            limits=limits or self.manifest.limits,
            allow_private_addresses=True,
        )

    def source(self) -> Source:
        """Return the pushed source."""
        if self.connector.source is None:
            self.fail(
                "declares webhook or import but CONNECTOR has no source", "add source=… in connector.py"
            )
        return self.connector.source

    def sign(self, body: bytes, context: Context, now: Instant = NOW, nonce: str = "n-1") -> dict[str, str]:
        """Return the headers of an authentic request."""
        maker = getattr(self.source(), "sign", None)
        if maker is None:
            self.fail("has a source that cannot sign", "subclass kit.webhook.WebhookSource, or add sign()")
        headers: dict[str, str] = maker(body, context, now, nonce)
        return headers

    def play(self, act: Callable[[Running], Awaitable[T]], *, limits: Limits | None = None) -> T:
        """Run `act` against a running simulator and return its result."""

        async def run() -> T:
            async with self.running(limits) as running:
                return await act(running)

        return asyncio.run(run())

    @contextlib.asynccontextmanager
    async def running(self, limits: Limits | None = None) -> AsyncIterator[Running]:
        """Start the simulator and open a client on it."""
        if self.connector.open is None:
            self.fail("declares read or write but CONNECTOR has no open", "add open=… in connector.py")
        simulator = self.simulator()
        url = await simulator.start()
        context = self.context(simulator, url, limits)
        client = self.connector.open(context)
        try:
            yield Running(simulator=simulator, context=context, client=client, source=self.connector.source)
        finally:
            await client.close()
            await simulator.stop()

    def accepted(self) -> Iterator[Fixture]:
        """Yield the inputs that must be understood."""
        yield from self._fixtures("accepted")

    def refused(self) -> Iterator[tuple[Fixture, dict[str, str]]]:
        """Yield the inputs that must be refused, each with the expected `path` and `says`."""
        expected_file = self.folder / "fixtures" / "refused" / "expected.toml"
        expected = tomllib.loads(expected_file.read_text()) if expected_file.exists() else {}
        for fixture in self._fixtures("refused"):
            if fixture.name not in expected:
                self.fail(
                    f"has no expectation for {fixture.name}", f"add [{fixture.name}] to {expected_file.name}"
                )
            yield fixture, expected[fixture.name]

    def snapshot(self, path: Path, shown: Any) -> None:
        """Compare with the stored snapshot, or write it when asked to."""
        text = json.dumps(shown, indent=2, sort_keys=True, ensure_ascii=False) + "\n"
        if os.environ.get("ISTHMUS_SNAPSHOTS") == "write":
            path.write_text(text, encoding="utf-8")
        if not path.exists():
            self.fail(f"has no snapshot {path.name}", "run once with ISTHMUS_SNAPSHOTS=write and review it")
        assert text == path.read_text(encoding="utf-8"), f"{path.name} differs: review, then write it anew"

    def mapping(self, kind: str) -> RecordMapping:
        """Return the connector's mapping of a kind."""
        if kind not in self.connector.mappings:
            self.fail(f"writes {kind} without a mapping", f"add mappings={{{kind!r}: RecordMapping(…)}}")
        return self.connector.mappings[kind]

    def fail(self, what: str, remedy: str) -> NoReturn:
        """Fail with a sentence that says what to add."""
        pytest.fail(f"The connector {self.folder.name} {what}: {remedy}.", pytrace=False)

    def _fixtures(self, part: str) -> Iterator[Fixture]:
        home = self.folder / "fixtures" / part
        for path in sorted(home.glob("*")):
            if path.name.endswith(NOT_FIXTURES):
                continue
            headers = path.with_name(f"{path.stem}.headers.json")
            yield Fixture(
                name=path.stem,
                body=path.read_bytes(),
                headers=json.loads(headers.read_text()) if headers.exists() else {},
                snapshot=path.with_name(f"{path.stem}.observations.json"),
            )
