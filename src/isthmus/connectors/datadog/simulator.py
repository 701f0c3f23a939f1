"""A fake Datadog: monitors with groups, webhooks by our template, downtimes and events."""

from __future__ import annotations

import time
import uuid
from collections.abc import Mapping
from typing import Any

from aiohttp import web

from isthmus.connectors.datadog.mapping import key_of, split_key
from isthmus.connectors.kit.simulator import Simulator


class DatadogSimulator(Simulator):
    """The used part of Monitors v1, Downtimes v2 and Events v1. One monitor has one group here."""

    name = "Datadog simulator"
    webhook_token = "simulated-webhook-token"  # noqa: S105 - the fake vendor's own password
    application_key = "simulated-application-key"

    def config(self, url: str) -> dict[str, Any]:
        """Return a connection with webhook and API."""
        return {
            "url": url,
            "token": {"secret": "env:DATADOG_WEBHOOK_TOKEN"},
            "api_key": {"secret": "env:DATADOG_API_KEY"},
            "application_key": {"secret": "env:DATADOG_APPLICATION_KEY"},
        }

    def secrets(self) -> dict[str, str]:
        """Return token and keys."""
        return {
            "token": self.webhook_token,
            "api_key": self.token,
            "application_key": self.application_key,
        }

    def authorised(self, request: web.Request) -> bool:
        """Return whether the request carries both keys."""
        return (
            request.headers.get("DD-API-KEY") == self.token
            and request.headers.get("DD-APPLICATION-KEY") == self.application_key
        )

    def refuse(self, request: web.Request) -> web.Response:
        """Answer as Datadog does."""
        del request
        return web.json_response({"errors": ["Forbidden"]}, status=403)

    def sign(self, body: bytes) -> dict[str, str]:
        """Send the custom header."""
        del body
        return {"X-Isthmus-Token": self.webhook_token}

    def routes(self) -> list[web.RouteDef]:
        """Return the used part of the API."""
        return [
            web.get("/api/v1/validate", self._validate),
            web.get("/api/v1/monitor", self._monitors),
            web.get("/api/v2/downtime", self._downtimes),
            web.post("/api/v2/downtime", self._schedule),
            web.delete("/api/v2/downtime/{id}", self._cancel),
            web.get("/api/v1/events", self._events),
            web.post("/api/v1/events", self._event),
        ]

    def trigger(self, name: str, scope: str = "host:web-01", status: str = "Alert") -> str:
        """Let a group of a new monitor alert, and notify; return the alert's key."""
        number = 1_000 + self.shelf("alert").next_number()
        key = key_of(str(number), scope)
        self.shelf("alert").put(
            key,
            {
                "id": number,
                "name": name,
                "query": "avg(last_5m):avg:system.load.1{*} by {host} > 4",
                "overall_state": status,
                "tags": ["team:payments"],
                "priority": 2,
                "state": {"groups": {scope: self._group(scope, status)}},
                "matching_downtimes": [],
            },
        )
        self.notify(key, "Warn" if status == "Warn" else "Triggered")
        return key

    def recover(self, key: str) -> None:
        """Let the group be OK again, and notify."""
        monitor = self.shelf("alert").get(key)
        if monitor is not None:
            scope = split_key(key)[1]
            groups = {"groups": {scope: self._group(scope, "OK")}}
            self.shelf("alert").put(key, {**monitor, "overall_state": "OK", "state": groups})
            self.notify(key, "Recovered")

    def notify(self, key: str, transition: str) -> dict[str, Any]:
        """Send (and return) the webhook about an alert."""
        monitor, scope = split_key(key)
        held = self.shelf("alert").get(key) or {}
        sent = {
            "version": "1",
            "id": str(uuid.uuid4().int)[:18],
            "monitor": str(monitor),
            "transition": transition,
            "type": "success" if transition == "Recovered" else "error",
            "date": str(round(time.time() * 1_000)),
            "title": held.get("name", ""),
            "scope": scope,
            "cycle": "17",
            "message": "Load is high",
            "tags": "team:payments,monitor",
            "host": "web-01",
            "metric": "system.load.1",
            "query": "",
            "priority": "P2",
            "link": f"https://app.datadoghq.example.test/monitors/{monitor}",
            "organisation": "123456",
        }
        self.emit(sent)
        return sent

    def seed(self, kind: str, count: int) -> list[str]:
        """Let `count` monitors alert."""
        del kind
        return [self.trigger(f"Seeded monitor {n}", f"host:seeded-{n}") for n in range(count)]

    def human_edit(self, kind: str, key: str, values: Mapping[str, Any]) -> None:
        """Rename a monitor."""
        monitor = self.shelf(kind).get(key)
        if monitor is not None:
            self.shelf(kind).put(key, {**monitor, "name": f"Renamed {dict(values)}"})

    def _group(self, scope: str, status: str) -> dict[str, Any]:
        now = int(time.time())
        return {"name": scope, "status": status, "last_triggered_ts": now, "last_nodata_ts": None}

    async def _validate(self, request: web.Request) -> web.Response:
        del request
        return web.json_response({"valid": True})

    async def _monitors(self, request: web.Request) -> web.Response:
        after, size = int(request.query["id_offset"]), int(request.query["page_size"])
        rows = sorted((each for _, each in self.shelf("alert").all()), key=lambda each: int(each["id"]))
        return web.json_response([each for each in rows if each["id"] > after][:size])

    async def _downtimes(self, request: web.Request) -> web.Response:
        del request
        return web.json_response({"data": [each for _, each in self.shelf("downtime").all()]})

    async def _schedule(self, request: web.Request) -> web.Response:
        made = {**(await request.json())["data"], "id": str(uuid.uuid4())}
        self.shelf("downtime").put(made["id"], made)
        return web.json_response({"data": made})

    async def _cancel(self, request: web.Request) -> web.Response:
        if self.shelf("downtime").get(request.match_info["id"]) is None:
            return web.json_response({"errors": ["Downtime not found"]}, status=404)
        self.shelf("downtime").remove(request.match_info["id"])
        return web.Response(status=204)

    async def _events(self, request: web.Request) -> web.Response:
        tag = request.query["tags"]
        return web.json_response(
            {"events": [each for _, each in self.shelf("event").all() if tag in each["tags"]]}
        )

    async def _event(self, request: web.Request) -> web.Response:
        number = self.shelf("event").next_number()
        made = {**await request.json(), "id": 5_000_000_000 + number}
        self.shelf("event").put(str(number), made)
        return web.json_response({"status": "ok", "event": made}, status=202)
