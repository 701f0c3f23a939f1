"""A connector's client at its own simulator: for what the tests of a connector say beside the suite."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from isthmus.kernel.observation import Observation

if TYPE_CHECKING:
    from isthmus.connectors.kit.ports import Context
    from isthmus.connectors.kit.registry import Installed

T = TypeVar("T")
NOWHERE = "http://192.0.2.1:9"
"""An address that nobody answers (RFC 5737): for what calls nobody."""


@dataclass(frozen=True)
class Play:
    """A connector under the name of a connection. `opened` makes the client, if it needs more than a context."""

    installed: Installed
    connection: str
    opened: Callable[[Context], Any] | None = None

    def context(
        self,
        at: str = NOWHERE,
        simulator: Any = None,
        /,
        *,
        secrets: Mapping[str, str] | None = None,
        **config: Any,
    ) -> Context:
        """Return a context for the simulator at the address `at`, with `config` over what it wants."""
        simulator = simulator or self._simulator()
        return self.installed.context(
            self.connection,
            {**simulator.config(at), **config},
            secrets=simulator.secrets() if secrets is None else dict(secrets),
            allow_private_addresses=True,
        )

    @asynccontextmanager
    async def running(self, **config: Any) -> AsyncIterator[tuple[Any, Any]]:
        """Run the simulator; yield it and a client that is connected to it."""
        simulator = self._simulator()
        url = await simulator.start()
        opened = self.opened or self.installed.connector.open
        assert opened is not None, f"{self.connection} opens no client"
        try:
            client: Any = opened(self.context(url, simulator, **config))
            try:
                yield simulator, client
            finally:
                await client.close()
        finally:
            await simulator.stop()

    def play(self, act: Callable[[Any, Any], Awaitable[T]], **config: Any) -> T:
        """Return what `act(simulator, client)` returns."""

        async def run() -> T:
            async with self.running(**config) as (simulator, client):
                return await act(simulator, client)

        return asyncio.run(run())

    def _simulator(self) -> Any:
        simulator = self.installed.connector.simulator
        assert simulator is not None, f"{self.connection} has no simulator"
        return simulator()


async def poll(
    client: Any, watermark: str = "", kind: str = "alert", found: list[Observation] | None = None
) -> tuple[list[Observation], str]:
    """Return what all pages hold, and the last watermark. What `found` gets stays there if a page fails."""
    found = [] if found is None else found
    async for page in client.changed_since(kind, watermark):
        found += page.observations
        watermark = page.watermark
    return found, watermark


@asynccontextmanager
async def hanging_up() -> AsyncIterator[int]:
    """Run a server that hangs up in the middle of a TLS handshake, as one does that is being restarted; yield its port."""

    async def hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        await reader.read(10_000)
        writer.close()

    async with await asyncio.start_server(hang_up, "127.0.0.1", 0) as server:
        yield server.sockets[0].getsockname()[1]
