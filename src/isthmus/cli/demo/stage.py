"""The stage of the demonstration: the hub, the other systems, two people, and what the rows do with them."""

from __future__ import annotations

import datetime as dt
import importlib.resources
import json
import os
import sqlite3
import subprocess
import sys
import urllib.request
from pathlib import Path
from typing import Any

from isthmus.cli.demo.hub_process import HubProcess
from isthmus.cli.demo.narrator import Narrator
from isthmus.cli.demo.partners import Partners
from isthmus.cli.demo.people import Person
from isthmus.cli.demo.tickets import Desks

ARTEFACT = "sha256:" + "4711" * 16
OTHER_ARTEFACT = "sha256:" + "0815" * 16
ALERTS, INCIDENTS = 68, 25
SYSTEMS = ("snow", "jira", "tracker")


def packaged(name: str) -> str:
    """Return a file that ships with the demonstration."""
    return (importlib.resources.files("isthmus.cli.demo") / name).read_text()


class Stage:
    """Who and what takes part. `ada` operates, `grace` authorises; `tokens` are what machines send."""

    def __init__(
        self,
        *,
        narrator: Narrator,
        hub: HubProcess,
        partners: Partners,
        ada: Person,
        grace: Person,
        tokens: dict[str, str],
    ) -> None:
        self.tell = narrator
        self.hub = hub
        self.partners = partners
        self.desks = Desks(partners)
        self.ada = ada
        self.grace = grace
        self.tokens = tokens
        self.main: dict[str, Any] = {}
        self.change: dict[str, Any] = {}
        self.passwords: dict[str, str] = {}

    @staticmethod
    def at_least(items: list[Any], count: int) -> list[Any] | None:
        return items if len(items) >= count else None

    def settled(self) -> list[Any] | None:
        """Return the incidents once every alert of the storm is decided and nothing is under way."""
        if len(self.ada.all("/alerts")) < ALERTS:
            return None
        found = [each for each in self.ada.all("/incidents") if each["state"] != "cancelled"]
        return found if len(found) <= INCIDENTS else None

    def counts(self, at_least: int = 0) -> dict[str, int]:
        """Return the number of tickets per system; nothing until each holds `at_least` that many."""
        found = {name: self.desks.count(name) for name in SYSTEMS}
        return found if min(found.values()) >= at_least else {}

    def ingest(self, path: str, body: bytes, content_type: str, token: str) -> None:
        request = urllib.request.Request(  # noqa: S310 - our own loopback
            f"{self.hub.url}{path}",
            data=body,
            headers={"Content-Type": content_type, "Authorization": f"Bearer {token}"},
        )
        with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310 - our own loopback
            if answer.status != 202:
                raise RuntimeError(f"{path} answered {answer.status}")

    def drop(self, name: str) -> None:
        self.ingest("/ingest/csv/inventory", packaged(name).encode(), "text/csv", self.tokens["csv"])

    def replay(self, *, resolved: bool) -> int:
        """Send the recorded webhooks: those in which something resolved, or the others; return how many alerts."""
        count = 0
        for line in packaged("recorded/storm.jsonl").splitlines():
            message = json.loads(line)
            alerts = message["body"]["alerts"]
            if any(each["status"] == "resolved" for each in alerts) is not resolved:
                continue
            self.ingest(
                "/ingest/alertmanager/prometheus",
                json.dumps(message["body"]).encode(),
                "application/json",
                self.tokens["alertmanager"],
            )
            count += len(alerts)
        return count

    def keys(self, incident: str) -> dict[str, str] | None:
        links = self.ada.get(f"/incidents/{incident}/links")["items"]
        found = {each["connection"]: each["external_key"] for each in links if each["external_key"]}
        return found if set(found) == set(SYSTEMS) else None

    def raise_change(self) -> None:
        now = dt.datetime.now(dt.UTC)
        self.change = self.ada.post(
            "/changes",
            {
                "title": "New consumer release on the message queue host",
                "type": "normal",
                "cis": ["mq-01"],
                "environment": "production",
                "artefact_hash": ARTEFACT,
                "window_start": text_of(now - dt.timedelta(minutes=10)),
                "window_end": text_of(now + dt.timedelta(hours=2)),
                "implementation_plan": "Roll consumers one by one.",
                "backout_plan": "Redeploy the previous release.",
            },
        )
        self.tell.say(f"ada raised {self.change['number']}, a change on mq-01; remember it for row 8.")

    def advance(self, *actions: str) -> None:
        for action in actions:
            self.ada.post(f"/changes/{self.change['id']}/{action}")

    def ask_gate(self, number: str, *, artefact: str = ARTEFACT, url: str = "") -> int:
        command = [sys.executable, "-m", "isthmus.cli.main", "gate", "check", "--change", number]
        command += ["--environment", "production", "--artefact", artefact, "--ci", "mq-01"]
        environment = {**os.environ, "ISTHMUS_URL": url or self.hub.url, "ISTHMUS_TOKEN": self.tokens["gate"]}
        return subprocess.run(command, env=environment, capture_output=True, check=False).returncode

    def sound(self) -> dict[str, Any] | None:
        report: dict[str, Any] = self.ada.post("/audit/verify")
        return report if report["ok"] else None

    def copy_book(self, target: Path) -> None:
        source = sqlite3.connect(self.hub.data_dir / "book.sqlite")
        copy = sqlite3.connect(target)
        with copy:
            source.backup(copy)
        copy.close()
        source.close()

    def tamper(self, book: Path) -> str:
        edited = sqlite3.connect(book)
        with edited:
            edited.execute(
                "UPDATE change_change SET authorisation = 'approved', state = 'scheduled', version = version + 1"
            )
        edited.close()
        command = [sys.executable, "-m", "isthmus.ledger.verify", str(book)]
        return subprocess.run(command, capture_output=True, check=False, text=True).stdout


def text_of(moment: dt.datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")
