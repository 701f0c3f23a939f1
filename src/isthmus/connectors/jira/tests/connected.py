"""A connection to a running simulator, for the tests of this folder."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from isthmus.connectors.jira.connector import Jira
from isthmus.connectors.jira.simulator import JiraSimulator
from isthmus.connectors.kit import registry


@contextlib.asynccontextmanager
async def connected(**settings: Any) -> AsyncIterator[tuple[Jira, JiraSimulator]]:
    """Yield (client, simulator); `settings` are added to the connection's configuration."""
    simulator = JiraSimulator()
    url = await simulator.start()
    context = registry.at(Path(__file__).parents[1]).context(
        "jira",
        {**simulator.config(url), **settings},
        secrets=simulator.secrets(),
        allow_private_addresses=True,
    )
    client = Jira(context)
    try:
        yield client, simulator
    finally:
        await client.close()
        await simulator.stop()
