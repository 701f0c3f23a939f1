"""A fake hub for pipelines under test: it decides by the word in the change's number, or as it is told."""

from __future__ import annotations

import asyncio
from typing import Any

from aiohttp import web

from isthmus.connectors.kit.simulator import Simulator

_REASONS = {
    "allow": "The change is approved and its window is open.",
    "deny": "The change is not approved.",
    "wait": "The change awaits one approval.",
}


class GateSimulator(Simulator):
    """`CHG-allow`, `CHG-deny` and `CHG-wait` are answered by their word; `decisions` overrides by number."""

    name = "Gate simulator"

    def __init__(self) -> None:
        super().__init__()
        self.decisions: dict[str, str] = {}
        self.asked: list[dict[str, Any]] = []

    def config(self, url: str) -> dict[str, Any]:
        """Return a connection to this fake hub."""
        return {"url": url, "token": {"secret": "env:ISTHMUS_TOKEN"}}

    def secrets(self) -> dict[str, str]:
        """Return the token."""
        return {"token": self.token}

    def routes(self) -> list[web.RouteDef]:
        """Return both doors of the gate."""
        return [web.post("/api/v1/gate/check", self._check), web.post("/gate/wait", self._wait)]

    async def _check(self, request: web.Request) -> web.Response:
        asked = await request.json()
        self.asked.append(asked)
        decision = self.decisions.get(asked["change"], asked["change"].rpartition("-")[2])
        if decision not in _REASONS:
            decision = "deny"
        reasons = [{"rule": "simulated", "verdict": decision, "text": _REASONS[decision], "remedy": ""}]
        return web.json_response(
            {"id": f"decision-{len(self.asked)}", "decision": decision, "reasons": reasons}
        )

    async def _wait(self, request: web.Request) -> web.Response:
        patience = float((await request.json()).get("wait_seconds", 0))
        await asyncio.sleep(min(patience, 0.1))
        return await self._check(request)
