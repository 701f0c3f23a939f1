"""A fake Slack workspace: channels with history and metadata, people, buttons, and its way of saying no."""

from __future__ import annotations

import time
from typing import Any

from aiohttp import web

from isthmus.connectors.kit.simulator import Simulator
from isthmus.kernel.instant import SECOND, Instant
from isthmus.kernel.signature import SCHEMES


class SlackSimulator(Simulator):
    """`members_of` are the channels that the app may post to; `history` says whether it may read them."""

    name = "Slack simulator"
    token = "xoxb-simulated-bot-token"  # noqa: S105 - the fake workspace's own
    signing_secret = "8f742231b10e8888abcd99yyyzzz85a5"  # noqa: S105

    def __init__(self) -> None:
        super().__init__()
        self.channels = {"C0OPS", "C0OTHER"}
        self.people = {"U0ADA", "U0BEN"}
        self.history = True
        self.recipient = "C0OPS"

    def config(self, url: str) -> dict[str, Any]:
        """Return a connection to this workspace."""
        return {
            "url": f"{url}/api",
            "token": {"secret": "env:SLACK_TOKEN"},
            "signing_secret": {"secret": "env:SLACK_SIGNING_SECRET"},
        }

    def secrets(self) -> dict[str, str]:
        """Return the bot token and the signing secret."""
        return {"token": self.token, "signing_secret": self.signing_secret}

    def sign(self, body: bytes) -> dict[str, str]:
        """Sign now, as Slack does."""
        return SCHEMES["slack"].sign(body, self.signing_secret, Instant(int(time.time()) * SECOND))

    def routes(self) -> list[web.RouteDef]:
        """Return the methods of the Web API that are used."""
        return [
            web.post("/api/chat.postMessage", self._post),
            web.post("/api/conversations.history", self._history),
            web.post("/api/conversations.replies", self._replies),
            web.post("/api/conversations.open", self._open),
            web.post("/api/auth.test", self._test),
        ]

    def refuse(self, request: web.Request) -> web.Response:
        """Slack says no with a 200."""
        del request
        return web.json_response({"ok": False, "error": "invalid_auth"})

    def messages(self) -> list[dict[str, Any]]:
        """Return everything that was posted, oldest first."""
        return [item for _, item in self.shelf("message").all()]

    def seed(self, kind: str, count: int) -> list[str]:
        """Post `count` messages of other people."""
        del kind
        keys = []
        for _ in range(count):
            number = self.shelf("message").next_number()
            keys.append(f"C0OPS/1699999999.{number:06d}")
            self.shelf("message").put(
                keys[-1], {"channel": "C0OPS", "ts": keys[-1].partition("/")[2], "text": "Lunch?"}
            )
        return keys

    def find_all(self, kind: str, correlation: str) -> list[str]:
        """Return the messages that carry a key."""
        del kind
        return [
            f"{each['channel']}/{each['ts']}"
            for each in self.messages()
            if each.get("metadata", {}).get("event_payload", {}).get("key") == correlation
        ]

    def button(
        self, message: dict[str, Any], user: str = "U0ADA", action: str = "acknowledge"
    ) -> dict[str, Any]:
        """Return the payload of somebody pressing a button of a message."""
        elements = next(each["elements"] for each in message["blocks"] if each["type"] == "actions")
        found = next(each for each in elements if each["action_id"] == action)
        return {
            "type": "block_actions", "team": {"id": "T0"}, "user": {"id": user, "username": "somebody"},
            "channel": {"id": message["channel"]}, "message": {"ts": message["ts"], "type": "message"},
            "response_url": "https://hooks.slack.example/actions/T0/1/x", "trigger_id": "1.2.3",
            "actions": [
                {
                    "type": "button", "block_id": "isthmus", "action_id": action, "value": found.get("value", ""),
                    "action_ts": f"{time.time():.6f}",
                }
            ],
        }  # fmt: skip

    async def _post(self, request: web.Request) -> web.Response:
        asked = await request.json()
        channel = asked.get("channel", "")
        if not channel or not (asked.get("text") or asked.get("blocks")):
            return _no("no_text" if channel else "channel_not_found")
        if channel in self.people:
            channel = f"D{channel[1:]}"
        elif channel not in self.channels:
            return _no("channel_not_found")
        ts = f"{1_700_000_000 + len(self.messages())}.{len(self.messages()) + 1:06d}"
        self.shelf("message").put(f"{channel}/{ts}", {**asked, "channel": channel, "ts": ts})
        return web.json_response(
            {"ok": True, "channel": channel, "ts": ts, "message": {"text": asked.get("text", "")}}
        )

    async def _history(self, request: web.Request) -> web.Response:
        asked = await request.json()
        if not self.history:
            return web.json_response({"ok": False, "error": "missing_scope", "needed": "channels:history"})
        return self._shown(asked, [each for each in self.messages() if "thread_ts" not in each])

    async def _replies(self, request: web.Request) -> web.Response:
        asked = await request.json()
        if not self.history:
            return web.json_response({"ok": False, "error": "missing_scope", "needed": "channels:history"})
        return self._shown(
            asked,
            [each for each in self.messages() if asked.get("ts") in {each["ts"], each.get("thread_ts")}],
        )

    def _shown(self, asked: dict[str, Any], found: list[dict[str, Any]]) -> web.Response:
        here = [each for each in found if each["channel"] == asked.get("channel")]
        kept = ("ts", "text", *(("metadata",) if asked.get("include_all_metadata") else ()))
        shown = [{name: each[name] for name in kept if name in each} for each in reversed(here)]
        return web.json_response(
            {"ok": True, "messages": shown[: asked.get("limit", 100)], "has_more": False}
        )

    async def _open(self, request: web.Request) -> web.Response:
        user = (await request.json()).get("users", "")
        if user not in self.people:
            return _no("user_not_found")
        return web.json_response({"ok": True, "channel": {"id": f"D{user[1:]}"}})

    async def _test(self, request: web.Request) -> web.Response:
        del request
        said = {"ok": True, "team": "Simulated", "user": "isthmus"}
        return web.json_response(said, headers={"x-oauth-scopes": "chat:write,channels:history"})


def _no(word: str) -> web.Response:
    return web.json_response({"ok": False, "error": word})
