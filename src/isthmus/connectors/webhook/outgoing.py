"""What the hub tells a receiver of ours: a CloudEvents body, signed in the scheme of Standard Webhooks.

The effect's key is the `webhook-id` and the event's `id`: it stays the same over retries, so that a receiver
that answered too late, or not at all, recognises the repeat.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any, cast

import msgspec

from isthmus.connectors.kit.http import HttpClient
from isthmus.connectors.kit.ports import Context, Probe, Written
from isthmus.connectors.webhook.config import WebhookConfig
from isthmus.kernel.errors import NeedsOperator
from isthmus.kernel.instant import Instant, to_rfc3339
from isthmus.kernel.observation import ExternalRef
from isthmus.kernel.record import Json
from isthmus.kernel.signature import SCHEMES

GATE_DECIDED = "isthmus.gate.decided"
NOTIFICATION = "isthmus.notification"
_SCHEME = SCHEMES["standard_webhooks"]


class Receiver:
    """The client of one receiver."""

    def __init__(self, context: Context) -> None:
        config = cast("WebhookConfig", context.config)
        self._connection, self._url = context.connection, config.url
        self._secret = context.secret("secret")
        self._http = (
            HttpClient(
                config.url,
                limits=context.limits,
                headers={"Accept": "*/*", "User-Agent": "Isthmus"},
                secrets=(self._secret,),
                allow_private_addresses=context.allow_private_addresses,
            )
            if config.url
            else None
        )

    async def probe(self) -> Probe:
        """Say that there is no harmless call: a receiver only takes deliveries."""
        return Probe(product="webhook receiver", version="", notes=("It is called with deliveries only.",))

    async def close(self) -> None:
        """Release the session."""
        if self._http is not None:
            await self._http.close()

    async def gate_decided(self, *, idempotency_key: str, **decision: Json) -> None:
        """Tell what the gate decided about one request; any 2xx is the receiver's receipt."""
        await self._tell(GATE_DECIDED, str(decision.get("change") or ""), idempotency_key, decision)

    async def notify(self, *, message: Mapping[str, Json], idempotency_key: str) -> Written:
        """Tell of something that needs people. A repeat carries the same id: the receiver knows it again."""
        await self._tell(NOTIFICATION, str(message.get("recipient") or ""), idempotency_key, message)
        return Written(ref=ExternalRef(connection=self._connection, kind="message", key=idempotency_key))

    async def _tell(self, kind: str, subject: str, key: str, data: Mapping[str, Any]) -> None:
        if self._http is None:
            raise NeedsOperator(
                f"Connection {self._connection!r} has no url to call.", remedy="Give it one in its config."
            )
        now = Instant(time.time_ns() // 1000)
        body = msgspec.json.encode(
            {
                "specversion": "1.0", "id": key, "source": f"/connections/{self._connection}", "type": kind,
                "subject": subject, "time": to_rfc3339(now), "datacontenttype": "application/json", "data": data,
            }
        )  # fmt: skip
        headers = _SCHEME.sign(body, self._secret, now, key)
        await self._http.call(
            "POST", "", data=body, headers={**headers, "Content-Type": "application/cloudevents+json"}
        )
