"""A fake Grafana: a contact point that signs its webhooks, and the Alertmanager API below its own path."""

from __future__ import annotations

import time
from typing import Any

from aiohttp import web

from isthmus.connectors.kit.alertmanager_simulator import AlertmanagerApiSimulator
from isthmus.kernel.instant import Instant
from isthmus.kernel.signature import SCHEMES

_PERMISSIONS = ("alert.instances:read", "alert.instances:create", "alert.instances:write")


class GrafanaSimulator(AlertmanagerApiSimulator):
    """Version 12 as far as the hub can see it. `permissions` are those of the service account."""

    name = "Grafana simulator"
    prefix = "/api/alertmanager/grafana/api/v2"
    webhook_secret = "simulated-contact-point-secret"  # noqa: S105 - the fake vendor's own password
    scheme = "grafana"

    def __init__(self) -> None:
        super().__init__()
        self.permissions = list(_PERMISSIONS)

    def config(self, url: str) -> dict[str, Any]:
        """Return a connection with webhook and API."""
        return {
            "url": url,
            "secret": {"secret": "env:GRAFANA_WEBHOOK_SECRET"},
            "api_token": {"secret": "env:GRAFANA_API_TOKEN"},
        }

    def secrets(self) -> dict[str, str]:
        """Return the contact point's secret and the service account's token."""
        return {"secret": self.webhook_secret, "api_token": self.token}

    def sign(self, body: bytes) -> dict[str, str]:
        """Sign as the contact point does."""
        return SCHEMES[self.scheme].sign(body, self.webhook_secret, Instant(time.time_ns() // 1_000))

    def routes(self) -> list[web.RouteDef]:
        """Return health, permissions and the Alertmanager API."""
        return [
            web.get("/api/health", self._health),
            web.get("/api/access-control/user/permissions", self._show_permissions),
            *super().routes(),
        ]

    def notify(self, *keys: str, receiver: str = "isthmus") -> dict[str, Any]:
        """Send (and return) one notification about these alerts, or about all, as one group."""
        shelf = self.shelf("alert")
        alerts = [
            {
                **item,
                "silenceURL": "http://grafana.example.test/alerting/silence/new",
                "dashboardURL": "http://grafana.example.test/d/abc",
                "panelURL": "",
                "values": {"A": 250.0, "C": 1.0},
                "valueString": "[ var='A' labels={} value=250 ]",
            }
            for key, item in shelf.all()
            if (not keys or key in keys) and not self.silenced_by(item)
        ]
        firing = sum(each["status"] == "firing" for each in alerts)
        payload: dict[str, Any] = {
            "receiver": receiver,
            "status": "firing" if firing else "resolved",
            "orgId": 1,
            "alerts": alerts,
            "groupLabels": {},
            "commonLabels": {},
            "commonAnnotations": {},
            "externalURL": "http://grafana.example.test/",
            "version": "1",
            "groupKey": "{}:{}",
            "truncatedAlerts": 0,
            "title": f"[{'FIRING' if firing else 'RESOLVED'}:{len(alerts)}]",
            "state": "alerting" if firing else "ok",
            "message": "",
        }
        if alerts:
            self.emit(payload)
        return payload

    async def _health(self, request: web.Request) -> web.Response:
        del request
        return web.json_response({"commit": "simulated", "database": "ok", "version": "12.0.0"})

    async def _show_permissions(self, request: web.Request) -> web.Response:
        del request
        return web.json_response({name: [""] for name in self.permissions})
