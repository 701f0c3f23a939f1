"""A fake workflow of Power Automate: takes cards at a signed address and answers 202 with a run's name."""

from __future__ import annotations

from typing import Any

from aiohttp import web

from isthmus.connectors.kit.simulator import Simulator

BYTES_MAX = 28_672
PATH = "/workflows/0f0f/triggers/manual/paths/invoke"


class TeamsSimulator(Simulator):
    """`messages` are the cards that arrived in the channel."""

    name = "Teams workflow simulator"
    token = "c2ltdWxhdGVkLXdvcmtmbG93LXNpZ25hdHVyZQ"  # noqa: S105 - the fake workflow's own

    def __init__(self) -> None:
        super().__init__()
        self.recipient = "any"
        self._url = "http://192.0.2.1:9"

    def config(self, url: str) -> dict[str, Any]:
        """Return a connection to this workflow."""
        self._url = url
        return {"url": {"secret": "env:TEAMS_WORKFLOW_URL"}}

    def secrets(self) -> dict[str, str]:
        """Return the workflow's address with its signature."""
        return {"url": f"{self._url}{PATH}?api-version=1&sp=%2Ftriggers&sv=1.0&sig={self.token}"}

    def authorised(self, request: web.Request) -> bool:
        """Return whether the address carries the signature."""
        return request.query.get("sig", "") == self.token

    def routes(self) -> list[web.RouteDef]:
        """Return the one address of the workflow."""
        return [web.post(PATH, self._take)]

    def messages(self) -> list[dict[str, Any]]:
        """Return the cards that arrived, oldest first."""
        return [item for _, item in self.shelf("message").all()]

    def find_all(self, kind: str, correlation: str) -> list[str]:
        """Return the cards with this id."""
        del kind
        return [key for key, item in self.shelf("message").all() if item.get("id") == correlation]

    async def _take(self, request: web.Request) -> web.Response:
        raw = await request.read()
        asked = await request.json()
        cards = [
            each["content"]
            for each in asked.get("attachments", [])
            if each.get("contentType") == "application/vnd.microsoft.card.adaptive"
        ]
        if len(raw) > BYTES_MAX:
            return web.Response(status=413)
        if asked.get("type") != "message" or len(cards) != 1 or cards[0].get("type") != "AdaptiveCard":
            return web.json_response({"error": {"code": "TriggerInputSchemaMismatch"}}, status=400)
        run = f"0858{self.shelf('message').next_number():032d}"
        self.shelf("message").put(run, cards[0])
        return web.Response(status=202, headers={"x-ms-workflow-run-id": run})
