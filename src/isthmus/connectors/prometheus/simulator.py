"""A fake Prometheus: rules that fire, rules that fail, series that answer the queries of the connection."""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Mapping
from typing import Any

from aiohttp import web

from isthmus.connectors.kit.simulator import Simulator
from isthmus.connectors.prometheus.mapping import fingerprint

LATENCY = "histogram_quantile(0.99, sum by (le, service) (rate(http_seconds_bucket[5m])))"


class PrometheusSimulator(Simulator):
    """HTTP API v1 as far as the hub asks it. `series` answers a query by its text; others return nothing."""

    name = "Prometheus simulator"

    def __init__(self) -> None:
        super().__init__()
        self.series: dict[str, list[tuple[dict[str, str], str]]] = {}
        self.failing: dict[str, str] = {}
        self.warnings: list[str] = []

    def config(self, url: str) -> dict[str, Any]:
        """Return a connection that watches one latency."""
        return {
            "url": url,
            "authentication": "bearer",
            "api_token": {"secret": "env:PROMETHEUS_TOKEN"},
            "queries": [
                {
                    "name": "CheckoutLatency",
                    "query": LATENCY,
                    "threshold": {"comparison": ">", "value": 0.5, "clear": 0.3},
                    "severity": "error",
                }
            ],
        }

    def secrets(self) -> dict[str, str]:
        """Return the token of the proxy before the API."""
        return {"api_token": self.token}

    def routes(self) -> list[web.RouteDef]:
        """Return the used part of API v1."""
        return [
            web.get("/api/v1/status/buildinfo", self._build),
            web.get("/api/v1/alerts", self._alerts),
            web.get("/api/v1/rules", self._rules),
            web.get("/api/v1/query", self._query),
        ]

    def fire(self, labels: Mapping[str, str], *, state: str = "firing") -> str:
        """Let an alert of a rule fire; return its key."""
        key = fingerprint(labels)
        active = dt.datetime.fromtimestamp(time.time(), dt.UTC).isoformat().replace("+00:00", "123Z")
        annotations = {"summary": f"{labels.get('alertname', '')} on {labels.get('instance', '')}"}
        self.shelf("alert").put(
            key,
            {
                "labels": dict(labels),
                "annotations": annotations,
                "state": state,
                "activeAt": active,
                "value": "1e+00",
            },
        )
        return key

    def resolve(self, key: str) -> None:
        """Let an alert end: it is no longer listed."""
        self.shelf("alert").remove(key)

    def seed(self, kind: str, count: int) -> list[str]:
        """Let `count` alerts fire."""
        del kind
        first = self.shelf("alert").next_number() * 1_000
        return [
            self.fire({"alertname": "Seeded", "instance": f"host-{first + n}", "severity": "warning"})
            for n in range(count)
        ]

    def human_edit(self, kind: str, key: str, values: Mapping[str, Any]) -> None:
        """Change an annotation, as somebody who edits the rule does."""
        alert = self.shelf(kind).get(key)
        if alert is not None:
            self.shelf(kind).put(key, {**alert, "annotations": {"summary": f"edited {dict(values)}"}})

    async def _build(self, request: web.Request) -> web.Response:
        del request
        return self._said({"version": "2.42.0", "revision": "225c61122d88b01d1f0eaaee0e05b6f3e0567ac0"})

    async def _alerts(self, request: web.Request) -> web.Response:
        del request
        return self._said({"alerts": [each for _, each in self.shelf("alert").all()]})

    async def _rules(self, request: web.Request) -> web.Response:
        del request
        rules = [
            {"name": name, "type": "alerting", "query": "up", "health": "err", "lastError": error}
            for name, error in self.failing.items()
        ]
        healthy = {"name": "Fine", "type": "recording", "query": "up", "health": "ok"}
        return self._said(
            {"groups": [{"name": "rules", "file": "/etc/prometheus/rules.yml", "rules": [healthy, *rules]}]}
        )

    async def _query(self, request: web.Request) -> web.Response:
        asked = request.query["query"]
        if asked.count("(") != asked.count(")"):
            error = {
                "status": "error",
                "errorType": "bad_data",
                "error": "parse error: unclosed left parenthesis",
            }
            return web.json_response(error, status=400)
        found = [
            {"metric": metric, "value": [time.time(), value]} for metric, value in self.series.get(asked, [])
        ]
        return self._said({"resultType": "vector", "result": found})

    def _said(self, data: Any) -> web.Response:
        said = {"status": "success", "data": data}
        return web.json_response({**said, "warnings": self.warnings} if self.warnings else said)
