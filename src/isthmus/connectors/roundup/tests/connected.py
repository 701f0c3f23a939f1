"""A connection straight to a real tracker, for the tests of this folder."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from isthmus.connectors.kit import registry
from isthmus.connectors.roundup.connector import Roundup
from isthmus.connectors.roundup.local import LocalTracker


@contextlib.asynccontextmanager
async def connected(tracker: LocalTracker, **settings: Any) -> AsyncIterator[Roundup]:
    """Yield a client of the tracker; `settings` are added to the connection's configuration."""
    config = {"url": tracker.url, "username": tracker.user, "password": {"secret": "env:ROUNDUP_PASSWORD"}}
    context = registry.at(Path(__file__).parents[1]).context(
        "tracker",
        {**config, **settings},
        secrets={"password": tracker.password},
        allow_private_addresses=True,
    )
    client = Roundup(context)
    try:
        yield client
    finally:
        await client.close()
