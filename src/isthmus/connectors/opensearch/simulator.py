"""A fake OpenSearch: lines in indices, searched by words, time and groups."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping
from fnmatch import fnmatch
from typing import Any

from aiohttp import web

from isthmus.connectors.kit.simulator import Simulator

INDEX = "logs-2026.11"
_HOUR = 3_600


class OpenSearchSimulator(Simulator):
    """The search API as far as the hub asks it. Lines older than `lag` are found; `failed_shards` do not answer."""

    name = "OpenSearch simulator"

    def __init__(self) -> None:
        super().__init__()
        self.failed_shards = 0

    def config(self, url: str) -> dict[str, Any]:
        """Return a connection that counts errors per host."""
        return {
            "url": url,
            "authentication": "api_key",
            "credential": {"secret": "env:OPENSEARCH_KEY"},
            "queries": [
                {
                    "name": "ErrorBurst",
                    "query": "level:error",
                    "index": "logs-*",
                    "group_by": "host",
                    "window_seconds": _HOUR,
                    "lag_seconds": 0,
                    "threshold": {"value": 3},
                    "severity": "error",
                }
            ],
        }

    def secrets(self) -> dict[str, str]:
        """Return the API key."""
        return {"credential": self.token}

    def authorised(self, request: web.Request) -> bool:
        """Return whether the request carries the API key."""
        return request.headers.get("Authorization", "") == f"ApiKey {self.token}"

    def routes(self) -> list[web.RouteDef]:
        """Return the used part of the API."""
        return [web.get("/", self._root), web.post("/{index}/_search", self._search)]

    def write(self, at: float, count: int = 1, *, index: str = INDEX, **fields: str) -> None:
        """Write `count` lines at a time (seconds since 1970)."""
        for _ in range(count):
            number = self.shelf("line").next_number()
            self.shelf("line").put(str(number), {"index": index, "at": at, **fields})

    def seed(self, kind: str, count: int) -> list[str]:
        """Write a burst of errors of `count` hosts into the last complete window."""
        del kind
        at = time.time() // _HOUR * _HOUR - 1
        first = self.shelf("host").next_number() * 1_000
        for n in range(count):
            self.write(at, 3, level="error", host=f"host-{first + n}")
        return [f"log/ErrorBurst/host=host-{first + n}" for n in range(count)]

    def human_edit(self, kind: str, key: str, values: Mapping[str, Any]) -> None:
        """Write another burst now."""
        del kind, values
        self.write(time.time(), 3, level="error", host=key.partition("=")[2])

    async def _root(self, request: web.Request) -> web.Response:
        del request
        return web.json_response({"version": {"distribution": "opensearch", "number": "2.19.1"}})

    async def _search(self, request: web.Request) -> web.Response:
        body = await request.json()
        wanted = request.match_info["index"].split(",")
        lines = [each for _, each in self.shelf("line").all()]
        inside = [each for each in lines if any(fnmatch(each["index"], name) for name in wanted)]
        if lines and not inside:
            error = {"error": {"type": "index_not_found_exception"}, "status": 404}
            return web.json_response(error, status=404)
        for clause in body["query"]["bool"]["filter"]:
            inside = [each for each in inside if _fits(each, clause)]
        said: dict[str, Any] = {
            "timed_out": False,
            "_shards": {"total": 5, "successful": 5 - self.failed_shards, "failed": self.failed_shards},
            "hits": {"total": {"value": len(inside), "relation": "eq"}, "hits": _hits(body, inside)},
        }
        if "aggs" in body:
            terms = body["aggs"]["groups"]["terms"]
            counted = Counter(each.get(terms["field"], "") for each in inside).most_common()
            shown = counted[: terms["size"]]
            said["aggregations"] = {
                "groups": {
                    "buckets": [{"key": key, "doc_count": number} for key, number in shown],
                    "sum_other_doc_count": sum(number for _, number in counted[terms["size"] :]),
                }
            }
        return web.json_response(said)


def _fits(line: Mapping[str, Any], clause: Mapping[str, Any]) -> bool:
    if "range" in clause:
        span = next(iter(clause["range"].values()))
        return bool(span["gte"] <= line["at"] * 1_000 < span["lt"])
    if "term" in clause:
        name, value = next(iter(clause["term"].items()))
        return bool(line.get(name) == value)
    words = clause["query_string"]["query"].split(" AND ")
    pairs = [word.partition(":") for word in words]
    return all(str(line.get(name, "")) == value for name, _, value in pairs)


def _hits(body: Mapping[str, Any], lines: list[dict[str, Any]]) -> list[dict[str, Any]]:
    fields = body.get("fields", [])
    latest = sorted(lines, key=lambda each: -each["at"])[: body["size"]]
    return [{"fields": {name: [each[name]] for name in fields if name in each}} for each in latest]
