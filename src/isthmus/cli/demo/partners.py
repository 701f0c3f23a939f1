"""The external systems of the demonstration: two simulated vendors and a real Roundup, on a loop of their own."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

from isthmus.connectors.kit import registry
from isthmus.connectors.kit.simulator import Simulator

T = TypeVar("T")

PEOPLE = {"servicenow": "snow", "jira": "jira", "roundup": "tracker"}
"""Connector → name of its connection in the demonstration."""


@dataclass(frozen=True, kw_only=True)
class Partner:
    """One external system: what it is, where it listens, and its inside."""

    connection: str
    connector: str
    url: str
    inside: Simulator


class Partners:
    """Starts the systems on a background thread; `run` calls into their loop from outside."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="partners", daemon=True)
        self._thread.start()
        self.all: dict[str, Partner] = {}

    def run(self, coroutine: Coroutine[Any, Any, T], *, seconds: float = 60.0) -> T:
        """Run a coroutine on the partners' loop and return its result."""
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(seconds)

    def inside(self, call: Callable[[], T], *, seconds: float = 60.0) -> T:
        """Run a plain function on the partners' loop: simulators are not to be touched from elsewhere."""

        async def act() -> T:
            return call()

        return self.run(act(), seconds=seconds)

    def start(self, connector: str, connection: str) -> Partner:
        """Start the fake vendor (for Roundup: the real tracker) that a connector ships."""
        build = registry.find(connector).connector.simulator
        if build is None:
            raise LookupError(f"{connector} ships no simulator")
        simulator = self.inside(build)
        url = self.run(simulator.start())
        found = Partner(connection=connection, connector=connector, url=url, inside=simulator)
        self.all[connection] = found
        return found

    def connections(self) -> dict[str, Any]:
        """Return the blueprint section `connections` for what runs."""
        return {
            each.connection: {
                "connector": each.connector,
                "config": each.inside.config(each.url),
                "polling": {"seconds_min": 2, "seconds_max": 5},
                # These systems are next door: no allowance to keep, and an unknown outcome is waited out soon.
                "limits": {"request_seconds_max": 3, "requests_per_minute": 6000},
            }
            for each in self.all.values()
        }

    def environment(self) -> dict[str, str]:
        """Return the environment variables that the connections' secret references name."""
        found: dict[str, str] = {}
        for each in self.all.values():
            # The configuration first: where the address itself is the secret, it is known only then.
            config, secrets = each.inside.config(each.url), each.inside.secrets()
            for name, reference in config.items():
                if isinstance(reference, dict) and str(reference.get("secret", "")).startswith("env:"):
                    found[reference["secret"].removeprefix("env:")] = secrets[name]
        return found

    def announce_to(self, hub_url: str) -> None:
        """Tell every vendor that pushes where the hub takes its webhooks."""
        for each in self.all.values():
            self.inside(
                partial(
                    setattr, each.inside.outbox, "url", f"{hub_url}/ingest/{each.connector}/{each.connection}"
                )
            )

    def stop(self) -> None:
        """Stop everything."""
        for each in self.all.values():
            self.run(each.inside.stop())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(timeout=5)
