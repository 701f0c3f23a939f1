"""Posts cards to a workflow. One way: no answer names the message, nothing can be read back.

So a card whose answer was lost is never repeated here: the hub takes the next channel, or decides for itself that
a second copy is better than none.
"""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import urlsplit

from isthmus.connectors.kit import doubt
from isthmus.connectors.kit.http import HttpClient
from isthmus.connectors.kit.ports import Context, Probe, Written
from isthmus.connectors.teams import mapping
from isthmus.kernel.errors import NeedsOperator, Rejected
from isthmus.kernel.observation import ExternalRef
from isthmus.kernel.record import Json


class TeamsClient:
    """The client of one workflow."""

    def __init__(self, context: Context) -> None:
        self._connection = context.connection
        self._address = context.secret("url")
        split = urlsplit(self._address)
        self._path = f"{split.path}?{split.query}" if split.query else split.path
        self._http = (
            HttpClient(
                f"{split.scheme}://{split.netloc}",
                limits=context.limits,
                headers={"Accept": "application/json"},
                secrets=(self._address, split.query),
                allow_private_addresses=context.allow_private_addresses,
            )
            if split.scheme in {"http", "https"} and split.hostname
            else None
        )

    async def close(self) -> None:
        """Release the session."""
        if self._http is not None:
            await self._http.close()

    async def probe(self) -> Probe:
        """Say that there is no harmless call: whatever a workflow is sent, it posts."""
        return Probe(
            product="Microsoft Teams workflow", version="", notes=("It is called with messages only.",)
        )

    async def notify(self, *, message: Mapping[str, Json], idempotency_key: str) -> Written:
        """Post a card. 202 means: taken; Teams does not say under which name."""
        if self._http is None:
            raise NeedsOperator(
                f"Connection {self._connection!r} has no usable workflow address.",
                remedy="Copy the address of the workflow into its secret.",
            )
        if doubt.exists():
            raise Rejected(
                "Teams may have the message already, and a workflow cannot be asked.",
                remedy="Give the channel a fall-back that can be asked, such as slack.",
            )
        sent = mapping.body(message, idempotency_key)
        answer = await self._http.call("POST", self._path, json=sent)
        run = answer.headers.get("x-ms-workflow-run-id", "")[:120]
        ref = ExternalRef(connection=self._connection, kind="message", key=run or idempotency_key, label=run)
        return Written(ref=ref)
