"""A fake service that Apprise reaches: it takes the JSON of Apprise's generic `json://` address."""

from __future__ import annotations

import base64
from typing import Any
from urllib.parse import urlsplit

from aiohttp import web

from isthmus.connectors.kit.simulator import Simulator


class AppriseSimulator(Simulator):
    """`messages` are what arrived."""

    name = "Apprise receiver simulator"
    speaks_http = False
    answers_are_seen = False
    token = "simulated-apprise-password"  # noqa: S105 - the fake service's own

    def __init__(self) -> None:
        super().__init__()
        self.recipient = "ada"
        self._place = "192.0.2.1:9"

    def config(self, url: str) -> dict[str, Any]:
        """Return a connection to this service."""
        self._place = urlsplit(url).netloc
        return {"url": {"secret": "env:APPRISE_URL"}}

    def secrets(self) -> dict[str, str]:
        """Return the address with its credential."""
        return {"url": f"json://hub:{self.token}@{self._place}/notify/{{recipient}}"}

    def authorised(self, request: web.Request) -> bool:
        """Return whether the request carries our credential."""
        wanted = base64.b64encode(f"hub:{self.token}".encode()).decode()
        return request.headers.get("Authorization", "") == f"Basic {wanted}"

    def routes(self) -> list[web.RouteDef]:
        """Return the address that takes messages."""
        return [web.post("/notify/{recipient}", self._take)]

    def messages(self) -> list[dict[str, Any]]:
        """Return what arrived, oldest first."""
        return [item for _, item in self.shelf("message").all()]

    async def _take(self, request: web.Request) -> web.Response:
        asked = await request.json()
        key = f"m{self.shelf('message').next_number()}"
        self.shelf("message").put(key, {**asked, "to": request.match_info["recipient"]})
        return web.json_response({"taken": key})
