"""A connection to a running simulator, for the tests of this folder."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from isthmus.connectors.kit import registry
from isthmus.connectors.servicenow.connector import ServiceNow
from isthmus.connectors.servicenow.simulator import ServiceNowSimulator


@contextlib.asynccontextmanager
async def connected(**settings: Any) -> AsyncIterator[tuple[ServiceNow, ServiceNowSimulator]]:
    """Yield (client, simulator); `settings` are added to the connection's configuration."""
    simulator = ServiceNowSimulator()
    url = await simulator.start()
    context = registry.at(Path(__file__).parents[1]).context(
        "snow",
        {**simulator.config(url), **settings},
        secrets={**simulator.secrets(), "client_secret": simulator.token},
        allow_private_addresses=True,
    )
    client = ServiceNow(context)
    try:
        yield client, simulator
    finally:
        await client.close()
        await simulator.stop()
