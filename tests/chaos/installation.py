"""One installation under test: three ticket systems, `isthmus serve` as processes of its own, two doors."""

from __future__ import annotations

import json
import os
import random
import secrets
import signal
import socket
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from http.client import HTTPException
from typing import Any, TypeVar

from isthmus.blueprint import service
from isthmus.blueprint.source import Source, read_text
from isthmus.cli.demo.hub_process import HubProcess
from isthmus.cli.demo.partners import Partners
from isthmus.cli.demo.people import Person, Reply
from isthmus.cli.demo.stage import packaged
from isthmus.web import installation

T = TypeVar("T")

PARTNERS = {"snow": "servicenow", "jira": "jira", "tracker": "roundup"}
REQUEST_SECONDS = 3.0
"""Bound of one request of the hub. What hangs longer, or lands later, has an unknown outcome."""
PATIENCE_SECONDS = 60.0
"""How long a person or a sender tries again while the hub is down."""
UNREACHABLE = (urllib.error.URLError, HTTPException, ConnectionError, TimeoutError, json.JSONDecodeError)


def flow(systems: Iterable[str]) -> dict[str, Any]:
    """Return the boundary register: ServiceNow decides about the priority, everybody about the rest."""
    owned = {"id": "chaos.priority", "field": "priority", "policy": "owner", "system_of_record": "snow"}
    return {
        "incident": {
            "owner": "Service desk lead",
            "system_of_record": "hub",
            "connections": {name: {} for name in systems},
            "fields": [owned],
        }
    }


@dataclass
class Installation:
    """The hub, its partners, an agent (`ada`) and the token of the alert source."""

    book: Any
    partners: Partners
    hub: HubProcess
    token: str
    _ada: Person | None = None
    password: str = field(default_factory=lambda: secrets.token_urlsafe(12))

    @classmethod
    def prepared(cls, book: Any, *, systems: Iterable[str] = tuple(PARTNERS)) -> Installation:
        """Start the partners, apply a blueprint to the book, add the agent; the hub does not run yet."""
        partners = Partners()
        for name in systems:
            partners.start(PARTNERS[name], name)
        found = cls(
            book=book,
            partners=partners,
            hub=HubProcess(book.directory, _free_port()),
            token=secrets.token_urlsafe(24),
        )
        os.environ.update(
            partners.environment() | {"CHAOS_TOKEN": found.token, "ISTHMUS_ALLOW_PRIVATE_ADDRESSES": "true"}
        )
        installation.add_user(
            book.organisation, "ada", found.password, ("agent", "integration_engineer", "auditor"), name="Ada"
        )
        connections = {
            name: {
                **entry,
                # What a partner allows in a minute would decide how long coming to rest takes.
                "limits": {"request_seconds_max": REQUEST_SECONDS, "requests_per_minute": 6_000},
                "polling": {"seconds_min": 1, "seconds_max": 2},
            }
            for name, entry in partners.connections().items()
        }
        connections["prometheus"] = {
            "connector": "alertmanager", "config": {"token": {"secret": "env:CHAOS_TOKEN"}}, "polling": {"enabled": False},
        }  # fmt: skip
        source = Source(sections={
            "connections": connections, "sync": flow(systems),
            "routes": [{"id": "everywhere", "kind": "incident", "to": list(systems)}],
        })  # fmt: skip
        for name in ("monitoring.yaml", "incident.yaml"):
            read_text(packaged(f"blueprint/{name}"), name, source)
        book.perform(lambda work: service.apply(work, source))
        return found

    @property
    def on_postgres(self) -> bool:
        return bool(os.environ.get("ISTHMUS_DATABASE_URL"))

    def start(self) -> None:
        """Start the hub and sign ada in."""
        self.hub.start()
        self.partners.announce_to(self.hub.url)
        self._ada = Person(self.hub.url, "ada", self.password)

    def stop(self) -> None:
        """Stop the hub the polite way, and the partners."""
        self.hub.stop()
        self.partners.stop()

    # Doors, tried again while the hub is down

    def persistently(self, act: Callable[[], T], *, seconds: float = PATIENCE_SECONDS) -> T:
        """Do what a person or sender does whose hub does not answer: the same again, later."""
        until = time.monotonic() + seconds
        while True:
            try:
                return act()
            except UNREACHABLE:
                if time.monotonic() > until:
                    raise
                time.sleep(0.1)

    def call(self, method: str, path: str, body: Any = None, *, key: str = "", match: str = "") -> Reply:
        """Call the API as ada until it answers for good. `match` is the version that the change was made on."""
        headers = ({"Idempotency-Key": key} if key else {}) | ({"If-Match": match} if match else {})
        assert self._ada is not None
        ada = self._ada

        def act() -> Reply:
            found = ada.call(method, path, body, headers=headers)
            if found.status >= 500:
                raise urllib.error.URLError(f"{found.status}: {found.body}")
            return found

        return self.persistently(act)

    def ingest(self, body: bytes) -> str:
        """Send a webhook of the alert source until it is acknowledged; return the message's id."""

        def act() -> str:
            request = urllib.request.Request(
                f"{self.hub.url}/ingest/alertmanager/prometheus", data=body,
                headers={"Content-Type": "application/json", "Authorization": f"Bearer {self.token}"},
            )  # fmt: skip
            with urllib.request.urlopen(request, timeout=10) as answer:
                if answer.status != 202:
                    raise urllib.error.URLError(str(answer.status))
                return str(json.loads(answer.read())["message"])

        return self.persistently(act)

    # Killing

    def kill_something(self, rng: random.Random) -> str:
        """`kill -9` of the whole group, or of one process; return which. The hub runs again afterwards."""
        victim = rng.choice(("all", "all", "front", "pump", "lanes", "keeper"))
        if victim == "all":
            self.hub.kill()
            self.hub.start()
        else:
            self._kill_one(victim)
        return victim

    def pids(self) -> dict[str, int]:
        """Return the processes of the hub by their role."""
        found: dict[str, int] = json.loads((self.hub.data_dir / "run" / "processes.json").read_text())
        return found

    def _kill_one(self, role: str) -> None:
        victim = self.pids()[role]
        with suppress(ProcessLookupError):
            os.kill(victim, signal.SIGKILL)
        until = time.monotonic() + 60
        while time.monotonic() < until:
            with suppress(*UNREACHABLE):
                if self.pids()[role] not in {victim, 0} and self.hub.healthy():
                    return
            time.sleep(0.1)
        raise RuntimeError(f"The supervisor did not bring {role} back.")


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])
