"""A real Roundup behind a proxy that misbehaves on command: how the contract suite meets Roundup.

Nothing of the tracker is imitated. The proxy forwards every call to a fresh `LocalTracker` and only adds the
faults of the kit; a lying success is answered without forwarding.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import time
from collections.abc import Iterator, Mapping
from typing import Any

import aiohttp
from aiohttp import web

from isthmus.connectors.kit.simulator import Simulator
from isthmus.connectors.roundup.local import HUB_USER, PERSON, LocalTracker
from isthmus.connectors.roundup.mapping import DESCRIPTION, INCIDENT, LINK, message_id
from isthmus.connectors.roundup.person import Person

_PASSED_ON = ("Authorization", "Content-Type", "X-Requested-With", "If-Match", "Accept")
_SHOWN = ("Content-Type", "ETag", "Location", "Date")
_NOTHING_HAPPENED = b'{"data": {"id": "0", "link": "", "attribute": {}}}'


class RoundupPeer(Simulator):
    """A tracker of its own per start. People in it are `grace`; the hub is `isthmus`."""

    name = "Roundup"

    def __init__(self) -> None:
        super().__init__()
        self.integration_user = HUB_USER
        self._tracker: LocalTracker | None = None
        self._client: aiohttp.ClientSession | None = None
        self._pretending = False

    @property
    def tracker(self) -> LocalTracker:
        """The tracker, while the peer runs."""
        if self._tracker is None:
            raise RuntimeError("The tracker runs between start and stop only.")
        return self._tracker

    @property
    def human(self) -> str:
        """The name under which people edit here."""
        return PERSON

    async def start(self, port: int = 0, host: str = "127.0.0.1") -> str:
        """Install and start a tracker, then the proxy; return the proxy's URL."""
        self._tracker = LocalTracker.start()
        self._client = aiohttp.ClientSession(auto_decompress=True)
        return await super().start(port, host)

    async def stop(self) -> None:
        """Stop the proxy and the tracker, which is deleted."""
        await super().stop()
        if self._client is not None:
            await self._client.close()
        if self._tracker is not None:
            self._tracker.stop()
        self._client = self._tracker = None

    def routes(self) -> list[web.RouteDef]:
        """Forward everything under the REST root."""
        return [web.route("*", "/rest/{rest:.*}", self._forward)]

    def config(self, url: str) -> dict[str, Any]:
        """Return the configuration of a connection through the proxy."""
        password = {"secret": "env:ROUNDUP_PASSWORD"}
        return {"url": url, "username": HUB_USER, "password": password, "internal_comments": "write"}

    def secrets(self) -> dict[str, str]:
        """Return the secret behind that reference."""
        return {"password": self._tracker.password if self._tracker else LocalTracker.default_password}

    def authorised(self, request: web.Request) -> bool:
        """Leave the judgement to the tracker."""
        del request
        return True

    def seed(self, kind: str, count: int) -> list[str]:
        """Create issues as a person would."""
        del kind
        return [self._person().create("issue", title=f"Seeded {index}") for index in range(count)]

    def human_edit(self, kind: str, key: str, values: Mapping[str, Any]) -> None:
        """Change an issue as a person, in a later second than the last change: Roundup counts in seconds."""
        del kind
        person = self._person()
        wanted: dict[str, object] = {}
        for name, value in values.items():
            external = INCIDENT.fields[name].external
            if external == DESCRIPTION:
                raise NotImplementedError("People do not edit messages in Roundup.")
            wanted[external] = value
            if external == "keyword":
                names = [*self._keywords(key), *value]
                self._provide(names)
                wanted[external] = names
        self._wait_for_the_next_second(key)
        person.edit(key, **wanted)

    def human_comment(self, kind: str, key: str, text: str) -> None:
        """Write a message as a person."""
        del kind
        self._person().comment(key, text)

    def find_all(self, kind: str, correlation: str) -> list[str]:
        """Return the ids of the issues that hold our description message."""
        del kind
        person = self._person()
        found = person.get(f"msg?messageid:={message_id(LINK, correlation)}")["collection"]
        return [
            each["id"]
            for message in found
            for each in person.get(f"issue?messages={message['id']}")["collection"]
        ]

    @contextlib.contextmanager
    def undone(self) -> Iterator[None]:
        """Answer as if it had happened, and let nothing happen."""
        self._pretending = True
        try:
            yield
        finally:
            self._pretending = False

    async def _forward(self, request: web.Request) -> web.Response:
        if self._pretending:
            return web.Response(body=_NOTHING_HAPPENED, content_type="application/json")
        if self._client is None:
            raise RuntimeError("The proxy is not running.")
        headers = {name: request.headers[name] for name in _PASSED_ON if name in request.headers}
        # The tracker checks these against its own address, which is not the proxy's.
        headers |= {"Origin": self.tracker.url, "Referer": self.tracker.url + "/"}
        body, url = await request.read(), self.tracker.url + request.raw_path
        async with self._client.request(request.method, url, data=body, headers=headers) as answer:
            shown = {name: answer.headers[name] for name in _SHOWN if name in answer.headers}
            return web.Response(status=answer.status, body=await answer.read(), headers=shown)

    def _person(self) -> Person:
        return self.tracker.person(PERSON)

    def _keywords(self, key: str) -> list[str]:
        return [
            each["name"] for each in self._person().get(f"issue/{key}?@verbose=2")["attributes"]["keyword"]
        ]

    def _provide(self, names: list[str]) -> None:
        there = {each["name"] for each in self._person().get("keyword?@verbose=2")["collection"]}
        for name in set(names) - there:
            self._person().create("keyword", name=name)

    def _wait_for_the_next_second(self, key: str) -> None:
        text = self._person().get(f"issue/{key}?@protected=true")["attributes"]["activity"]
        last = dt.datetime.strptime(text, "%Y-%m-%d.%H:%M:%S").replace(tzinfo=dt.UTC)
        time.sleep(max(0.0, min(1.05, last.timestamp() + 1.05 - time.time())))
