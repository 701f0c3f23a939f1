"""A fake of Alertmanager's API v2 below any prefix: alerts fire and resolve, silences are kept and applied.

Alertmanager's and Grafana's simulators stand on it. As in the real one, a silence's state follows the clock, a
silenced alert is listed as suppressed, and an alert that is silenced is left out of notifications, its end included.
"""

from __future__ import annotations

import datetime as dt
import re
import time
import uuid
from collections.abc import Mapping
from typing import Any

from aiohttp import web

from isthmus.connectors.kit.simulator import Simulator

ZERO_TIME = "0001-01-01T00:00:00Z"
_FNV_OFFSET, _FNV_PRIME = 14695981039346656037, 1099511628211


class AlertmanagerApiSimulator(Simulator):
    """The used part of API v2. `started` is when it came up: what it held before a restart is gone."""

    prefix = "/api/v2"
    api_version = "0.25.0"

    def __init__(self) -> None:
        super().__init__()
        self.started = time.time() - 86_400

    def routes(self) -> list[web.RouteDef]:
        """Return the used part of API v2."""
        return [
            web.get(f"{self.prefix}/status", self._status),
            web.get(f"{self.prefix}/alerts", self._alerts),
            web.get(f"{self.prefix}/silences", self._silences),
            web.post(f"{self.prefix}/silences", self._create),
            web.get(f"{self.prefix}/silence/{{id}}", self._silence),
            web.delete(f"{self.prefix}/silence/{{id}}", self._expire),
        ]

    # What happens there -------------------------------------------------------------------------------

    def fire(self, labels: Mapping[str, str], annotations: Mapping[str, str] | None = None) -> str:
        """Let an alert fire; return its fingerprint. Nothing is notified yet."""
        key = fingerprint(labels)
        self.shelf("alert").put(
            key,
            {
                "labels": dict(labels),
                "annotations": dict(annotations or {}),
                "startsAt": text_of(time.time()),
                "endsAt": ZERO_TIME,
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
            self.shelf("alert").put(key, {**alert, "status": "resolved", "endsAt": text_of(time.time())})

    def restart(self) -> None:
        """Come up anew: alerts are forgotten until their source sends them again, silences are kept."""
        self.state.pop("alert", None)
        self.started = time.time()

    def add_silence(
        self, matchers: Mapping[str, str], *, comment: str = "a person's", by: str = "", minutes: float = 60
    ) -> str:
        """Let a person create a silence; return its id."""
        now = time.time()
        return self._put(
            {
                "matchers": [
                    {"name": name, "value": value, "isRegex": False, "isEqual": True}
                    for name, value in matchers.items()
                ],
                "startsAt": text_of(now),
                "endsAt": text_of(now + minutes * 60),
                "createdBy": by or self.human,
                "comment": comment,
            }
        )

    def expire_silence(self, key: str) -> None:
        """Let a silence end now."""
        held = self.shelf("silence").get(key)
        if held is not None:
            now = text_of(time.time())
            self.shelf("silence").put(key, {**held, "endsAt": now, "updatedAt": now})

    def silenced_by(self, alert: Mapping[str, Any]) -> list[str]:
        """Return the ids of the active silences that an alert fits."""
        return sorted(
            key
            for key, each in self.shelf("silence").all()
            if _state(each) == "active" and all(_fits(m, alert["labels"]) for m in each["matchers"])
        )

    def seed(self, kind: str, count: int) -> list[str]:
        """Let `count` alerts fire, or create as many silences."""
        first = self.shelf(kind).next_number() * 1_000
        if kind == "silence":
            return [self.add_silence({"instance": f"seed-{first + n}.example.test"}) for n in range(count)]
        return [
            self.fire(
                {"alertname": "Seeded", "instance": f"host-{first + n}.example.test", "severity": "warning"}
            )
            for n in range(count)
        ]

    def human_edit(self, kind: str, key: str, values: Mapping[str, Any]) -> None:
        """Change an alert's annotations, or a silence's comment."""
        held = self.shelf(kind).get(key)
        if held is None:
            return
        changed: dict[str, Any]
        if kind == "silence":
            changed = {"comment": str(values.get("comment", "edited")), "updatedAt": text_of(time.time())}
        else:
            changed = {"annotations": {**held["annotations"], "note": str(dict(values))}}
        self.shelf(kind).put(key, {**held, **changed})

    def find_all(self, kind: str, correlation: str) -> list[str]:
        """Return the silences whose comment ends with our mark."""
        return [
            key
            for key, each in self.shelf(kind).all()
            if f"[isthmus:{correlation}]" in each.get("comment", "")
        ]

    # API ----------------------------------------------------------------------------------------------

    async def _status(self, request: web.Request) -> web.Response:
        del request
        return web.json_response(
            {
                "cluster": {"status": "ready"},
                "versionInfo": {"version": self.api_version},
                "uptime": text_of(self.started),
            }
        )

    async def _alerts(self, request: web.Request) -> web.Response:
        del request
        listed = []
        for _, item in self.shelf("alert").all():
            if item["status"] == "firing":
                silences = self.silenced_by(item)
                state = "suppressed" if silences else "active"
                status = {"state": state, "silencedBy": silences, "inhibitedBy": []}
                listed.append({**item, "status": status, "receivers": [{"name": "isthmus"}]})
        return web.json_response(listed)

    async def _silences(self, request: web.Request) -> web.Response:
        del request
        return web.json_response([_shown(key, each) for key, each in self.shelf("silence").all()])

    async def _silence(self, request: web.Request) -> web.Response:
        key = request.match_info["id"]
        held = self.shelf("silence").get(key)
        return web.Response(status=404) if held is None else web.json_response(_shown(key, held))

    async def _create(self, request: web.Request) -> web.Response:
        body = await request.json()
        if not body.get("matchers") or body["endsAt"] <= body["startsAt"]:
            return web.json_response("bad silence", status=400)
        return web.json_response({"silenceID": self._put(body)})

    async def _expire(self, request: web.Request) -> web.Response:
        key = request.match_info["id"]
        held = self.shelf("silence").get(key)
        if held is None:
            return web.Response(status=404)
        if _state(held) == "expired":
            return web.json_response("silence is already expired", status=500)
        self.expire_silence(key)
        return web.Response()

    def _put(self, silence: Mapping[str, Any]) -> str:
        key = str(uuid.uuid4())
        self.shelf("silence").put(key, {**silence, "updatedAt": text_of(time.time())})
        return key


def fingerprint(labels: Mapping[str, str]) -> str:
    """Return Prometheus' fingerprint: FNV-1a over the sorted labels, each name and value closed by 0xFF."""
    total = _FNV_OFFSET
    for name in sorted(labels):
        for byte in (*name.encode(), 0xFF, *labels[name].encode(), 0xFF):
            total = ((total ^ byte) * _FNV_PRIME) & 0xFFFF_FFFF_FFFF_FFFF
    return f"{total:016x}"


def text_of(seconds: float) -> str:
    """Return a time as Go prints it, cut to milliseconds."""
    moment = dt.datetime.fromtimestamp(seconds, dt.UTC)
    return moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03d}Z"


def _state(silence: Mapping[str, Any]) -> str:
    now = text_of(time.time())
    if silence["endsAt"] <= now:
        return "expired"
    return "active" if silence["startsAt"] <= now else "pending"


def _shown(key: str, silence: Mapping[str, Any]) -> dict[str, Any]:
    return {**silence, "id": key, "status": {"state": _state(silence)}}


def _fits(matcher: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
    value, wanted = labels.get(matcher["name"], ""), matcher["value"]
    same = re.fullmatch(wanted, value) is not None if matcher["isRegex"] else value == wanted
    return same is matcher.get("isEqual", True)
