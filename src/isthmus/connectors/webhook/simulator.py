"""A fake sender of a home-made monitor and inventory: signed JSON in the style of Standard Webhooks."""

from __future__ import annotations

import time
from typing import Any

from aiohttp import web

from isthmus.connectors.kit.simulator import Simulator
from isthmus.kernel.instant import SECOND, Instant
from isthmus.kernel.signature import SCHEMES


class WebhookSimulator(Simulator):
    """Sends whatever `emit` is given, signed; receives what the hub tells, each id once."""

    recipient = "operations"
    name = "Generic webhook simulator"
    secret = "whsec_c2ltdWxhdGVkLXNlbmRlcg=="  # noqa: S105 - the fake sender's own secret

    def config(self, url: str) -> dict[str, Any]:
        """Return a connection with one rule per record kind."""
        return {
            "url": f"{url}/hooks/isthmus",
            "authentication": "standard_webhooks",
            "secret": {"secret": "env:WEBHOOK_SECRET"},
            "rules": [
                {
                    "kind": "alert",
                    "when": "has(body.checks)",
                    "items": "/checks",
                    "key": "item.host + '/' + item.check",
                    "event_id": "item.host + '/' + item.check + '@' + item.since + '=' + item.status",
                    "occurred_at": "/since",
                    "fields": {
                        "state": "/status",
                        "severity": "/level",
                        "summary": "/text",
                        "labels": "{'host': item.host, 'check': item.check}",
                        "starts_at": "/since",
                        "external_key": "item.host + '/' + item.check",
                    },
                    "tables": {
                        "state": {"DOWN": "firing", "UP": "resolved"},
                        "severity": {"1": "critical", "2": "error", "3": "warning", "4": "informational"},
                    },
                },
                {
                    "kind": "ci",
                    "when": "has(body.asset)",
                    "key": "/asset/tag",
                    "fields": {
                        "name": "/asset/name",
                        "ci_class": "/asset/type",
                        "addresses": "/asset/addresses",
                        "users": "/asset/users",
                        "shared": "/asset/shared",
                        "attributes": "/asset/more",
                    },
                },
            ],
        }

    def routes(self) -> list[web.RouteDef]:
        """Return the receiver's one address."""
        return [web.post("/hooks/isthmus", self._take)]

    def authorised(self, request: web.Request) -> bool:
        """Let everything in to `_take`, which checks the signature over the body."""
        del request
        return True

    def messages(self) -> list[dict[str, Any]]:
        """Return the events that arrived, oldest first, each once."""
        return [item for _, item in self.shelf("event").all()]

    async def _take(self, request: web.Request) -> web.Response:
        body = await request.read()
        headers = {name.lower(): value for name, value in request.headers.items()}
        now = Instant(int(time.time()) * SECOND)
        if self.revoked or SCHEMES["standard_webhooks"].verify(headers, body, [self.secret], now) is not None:
            return web.Response(status=401)
        event = await request.json()
        self.shelf("event").put(event["id"], event)
        return web.Response(status=204)

    def secrets(self) -> dict[str, str]:
        """Return the shared secret."""
        return {"secret": self.secret}

    def sign(self, body: bytes) -> dict[str, str]:
        """Sign now, with an id per delivery."""
        now = Instant(int(time.time()) * SECOND)
        return SCHEMES["standard_webhooks"].sign(body, self.secret, now, f"msg_{len(self.outbox.sent)}")
