"""A fake Loki: lines with labels, counted over a range by the one form of query that the hub writes."""

from __future__ import annotations

import re
import time
from collections import Counter
from collections.abc import Mapping
from typing import Any

from aiohttp import web

from isthmus.connectors.kit.simulator import Simulator

_HOUR, _NANOSECONDS = 3_600, 1_000_000_000
_COUNT = re.compile(
    r"sum(?: by \((?P<by>[^)]*)\))? \(count_over_time\(\{(?P<selector>[^}]*)\}(?P<filters>(?: \|= \"[^\"]*\")*) \[(?P<length>\d+)s\]\)\)"
)
_PAIR = re.compile(r'(\w+)="([^"]*)"')
_FILTER = re.compile(r'\|= "([^"]*)"')


class LokiSimulator(Simulator):
    """HTTP API v1 as far as the hub asks it."""

    name = "Loki simulator"

    def config(self, url: str) -> dict[str, Any]:
        """Return a connection that counts errors per host."""
        return {
            "url": url,
            "authentication": "bearer",
            "credential": {"secret": "env:LOKI_TOKEN"},
            "tenant": "acme",
            "queries": [
                {
                    "name": "ErrorBurst",
                    "query": '{app="checkout"} |= "error"',
                    "group_by": ["host"],
                    "window_seconds": _HOUR,
                    "lag_seconds": 0,
                    "threshold": {"value": 3},
                    "severity": "error",
                }
            ],
        }

    def secrets(self) -> dict[str, str]:
        """Return the token of the proxy."""
        return {"credential": self.token}

    def authorised(self, request: web.Request) -> bool:
        """Return whether the request carries token and tenant."""
        return super().authorised(request) and request.headers.get("X-Scope-OrgID") == "acme"

    def routes(self) -> list[web.RouteDef]:
        """Return the used part of the API."""
        return [
            web.get("/loki/api/v1/status/buildinfo", self._build),
            web.get("/loki/api/v1/query", self._query),
        ]

    def write(self, at: float, text: str, count: int = 1, **labels: str) -> None:
        """Write `count` lines at a time (seconds since 1970)."""
        for _ in range(count):
            number = self.shelf("line").next_number()
            self.shelf("line").put(str(number), {"at": at, "text": text, "labels": labels})

    def seed(self, kind: str, count: int) -> list[str]:
        """Write a burst of errors of `count` hosts into the last complete window."""
        del kind
        at = time.time() // _HOUR * _HOUR - 1
        first = self.shelf("host").next_number() * 1_000
        for n in range(count):
            self.write(at, "error: it broke", 3, app="checkout", host=f"host-{first + n}")
        return [f"log/ErrorBurst/host=host-{first + n}" for n in range(count)]

    def human_edit(self, kind: str, key: str, values: Mapping[str, Any]) -> None:
        """Write another burst now."""
        del kind, values
        self.write(time.time(), "error: again", 3, app="checkout", host=key.partition("=")[2])

    async def _build(self, request: web.Request) -> web.Response:
        del request
        return web.json_response({"version": "3.1.0", "revision": "935aee77ed"})

    async def _query(self, request: web.Request) -> web.Response:
        asked = _COUNT.fullmatch(request.query["query"])
        if asked is None:
            return web.Response(status=400, text="parse error at line 1, col 1: syntax error")
        end = int(request.query["time"])
        start = end - int(asked["length"]) * _NANOSECONDS
        wanted, texts = dict(_PAIR.findall(asked["selector"])), _FILTER.findall(asked["filters"])
        by = [each.strip() for each in (asked["by"] or "").split(",") if each.strip()]
        counted: Counter[tuple[tuple[str, str], ...]] = Counter()
        for _, line in self.shelf("line").all():
            fits = start < round(line["at"] * _NANOSECONDS) <= end and all(
                text in line["text"] for text in texts
            )
            if fits and wanted.items() <= line["labels"].items():
                counted[tuple((name, line["labels"].get(name, "")) for name in by)] += 1
        result = [
            {"metric": dict(key), "value": [end / _NANOSECONDS, str(number)]}
            for key, number in counted.items()
        ]
        return web.json_response({"status": "success", "data": {"resultType": "vector", "result": result}})
