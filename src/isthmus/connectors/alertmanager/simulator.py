"""A fake Alertmanager: alerts fire and resolve, groups are notified by webhook, API v2 lists what fires."""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Mapping
from typing import Any

from aiohttp import web

from isthmus.connectors.kit.simulator import Simulator

_ZERO_TIME = "0001-01-01T00:00:00Z"
_FNV_OFFSET, _FNV_PRIME = 14695981039346656037, 1099511628211


class AlertmanagerSimulator(Simulator):
    """Version 0.25 as far as the hub can see it."""

    name = "Alertmanager simulator"
    webhook_token = "simulated-webhook-token"  # noqa: S105 - the fake vendor's own password

    def config(self, url: str) -> dict[str, Any]:
        """Return a connection with webhook and API."""
        return {
            "url": url,
            "token": {"secret": "env:ALERTMANAGER_WEBHOOK_TOKEN"},
            "api_authentication": "bearer",
            "api_token": {"secret": "env:ALERTMANAGER_API_TOKEN"},
        }

    def secrets(self) -> dict[str, str]:
        """Return both tokens."""
        return {"token": self.webhook_token, "api_token": self.token}

    def sign(self, body: bytes) -> dict[str, str]:
        """Authenticate as `http_config.authorization` does."""
        del body
        return {"Authorization": f"Bearer {self.webhook_token}", "User-Agent": "Alertmanager/0.25.0"}

    def routes(self) -> list[web.RouteDef]:
        """Return the used part of API v2."""
        return [web.get("/api/v2/status", self._status), web.get("/api/v2/alerts", self._alerts)]

    def fire(self, labels: Mapping[str, str], annotations: Mapping[str, str] | None = None) -> str:
        """Let an alert fire; return its fingerprint. Nothing is notified yet."""
        key = fingerprint(labels)
        self.shelf("alert").put(
            key,
            {
                "labels": dict(labels),
                "annotations": dict(annotations or {}),
                "startsAt": _text(time.time()),
                "endsAt": _ZERO_TIME,
                "fingerprint": key,
                "generatorURL": "http://prometheus.example.test:9090/graph?g0.tab=1",
                "status": "firing",
            },
        )
        return key

    def resolve(self, key: str) -> None:
        """Let an alert end. Nothing is notified yet."""
        alert = self.shelf("alert").get(key)
        if alert is not None:
            self.shelf("alert").put(key, {**alert, "status": "resolved", "endsAt": _text(time.time())})

    def notify(self, *keys: str, receiver: str = "isthmus", truncated: int = 0) -> dict[str, Any]:
        """Send (and return) one notification about these alerts, or about all, as one group."""
        shelf = self.shelf("alert")
        alerts = [item for key, item in shelf.all() if not keys or key in keys]
        common = dict(set.intersection(*(set(each["labels"].items()) for each in alerts))) if alerts else {}
        payload = {
            "version": "4",
            "receiver": receiver,
            "status": "firing" if any(each["status"] == "firing" for each in alerts) else "resolved",
            "alerts": alerts,
            "groupLabels": {name: common[name] for name in ("alertname",) if name in common},
            "commonLabels": common,
            "commonAnnotations": {},
            "externalURL": "http://alertmanager.example.test:9093",
            "groupKey": '{}:{alertname="' + common.get("alertname", "") + '"}',
            "truncatedAlerts": truncated,
        }
        self.emit(payload)
        return payload

    def seed(self, kind: str, count: int) -> list[str]:
        """Let `count` alerts fire."""
        del kind
        first = self.shelf("alert").next_number() * 1_000
        return [
            self.fire(
                {"alertname": "Seeded", "instance": f"host-{first + n}.example.test", "severity": "warning"}
            )
            for n in range(count)
        ]

    def human_edit(self, kind: str, key: str, values: Mapping[str, Any]) -> None:
        """Change an alert's annotations (rules are edited by people; nothing else can be)."""
        alert = self.shelf(kind).get(key)
        if alert is not None:
            self.shelf(kind).put(
                key, {**alert, "annotations": {**alert["annotations"], "note": str(dict(values))}}
            )

    async def _status(self, request: web.Request) -> web.Response:
        del request
        return web.json_response(
            {"cluster": {"status": "ready"}, "versionInfo": {"version": "0.25.0"}, "uptime": _text(0)}
        )

    async def _alerts(self, request: web.Request) -> web.Response:
        del request
        firing = [item for _, item in self.shelf("alert").all() if item["status"] == "firing"]
        state = {"state": "active", "silencedBy": [], "inhibitedBy": []}
        return web.json_response(
            [{**each, "status": state, "receivers": [{"name": "isthmus"}]} for each in firing]
        )


def fingerprint(labels: Mapping[str, str]) -> str:
    """Return Prometheus' fingerprint: FNV-1a over the sorted labels, each name and value closed by 0xFF."""
    total = _FNV_OFFSET
    for name in sorted(labels):
        for byte in (*name.encode(), 0xFF, *labels[name].encode(), 0xFF):
            total = ((total ^ byte) * _FNV_PRIME) & 0xFFFF_FFFF_FFFF_FFFF
    return f"{total:016x}"


def _text(seconds: float) -> str:
    moment = dt.datetime.fromtimestamp(seconds, dt.UTC)
    return moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03d}Z"
