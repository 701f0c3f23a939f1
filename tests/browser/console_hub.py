"""A real `isthmus serve` with two simulated vendors, a real Roundup and a mail server, in the middle of a storm of
alerts. Its clock may be moved ahead, by a few minutes: partners refuse to be minutes apart."""

from __future__ import annotations

import datetime as dt
import hashlib
import importlib.resources
import json
import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from tests.stories.clock import PROGRAM, Clock

from isthmus.cli.demo.hub_process import HubProcess
from isthmus.cli.demo.partners import Partners
from isthmus.cli.demo.people import Person
from isthmus.cli.demo.tickets import Desks

T = TypeVar("T")

PASSWORD = "correct horse battery"
SECRET = "JBSWY3DPEHPK3PXP"
ARTEFACT = "sha256:" + "4711" * 16
SYSTEMS = ("snow", "jira", "tracker")
PEOPLE = {
    "ada": ("agent", "change_manager", "problem_manager", "integration_engineer", "auditor"),
    "grace": ("approver",),
    "olga": ("viewer",),
}
PATIENCE_SECONDS = 90.0


def until(what: str, look: Callable[[], T | None], *, seconds: float = PATIENCE_SECONDS) -> T:
    """Wait until `look` finds something."""
    deadline = time.monotonic() + seconds
    while True:
        found = look()
        if found:
            return found
        assert time.monotonic() < deadline, f"after {seconds:.0f} s still not: {what}"
        time.sleep(0.1)


def sign_in(page: Any, who: str) -> None:
    """Sign in at the form; administrators show the code of their app."""
    page.goto("/accounts/login/")
    page.fill("#id_login", who)
    page.fill("#id_password", PASSWORD)
    page.click("main button.main")
    if who == "root":
        from allauth.mfa.totp.internal.auth import (
            format_hotp_value,
            hotp_value,
            yield_hotp_counters_from_time,
        )

        page.wait_for_url("**/2fa/authenticate/**")
        page.fill(
            "input[name=code]",
            format_hotp_value(hotp_value(SECRET, next(iter(yield_hotp_counters_from_time())))),
        )
        page.click("main button")
    page.wait_for_url("**/")


@dataclass
class Hub:
    """The running hub, its partners, and people who call its API beside the browser."""

    process: HubProcess
    partners: Partners
    desks: Desks
    environment: dict[str, str]
    tokens: dict[str, str]
    clock: Clock
    people: dict[str, Person] = field(default_factory=dict)

    @property
    def url(self) -> str:
        return self.process.url

    @property
    def ada(self) -> Person:
        return self.people["ada"]

    def incident_of(self, alert: str) -> dict[str, Any]:
        """Return the incident that the alerts of this name became, once it stands in every system."""
        found = next(each for each in self.ada.all("/alerts") if each["labels"].get("alertname") == alert)
        until(f"tickets of {alert}", lambda: self.keys(found["incident"]))
        return dict(self.ada.get(f"/incidents/{found['incident']}"))

    def new_incident(self, title: str) -> tuple[dict[str, Any], dict[str, str]]:
        """Open an incident and return it with its keys in every system."""
        made = self.ada.post("/incidents", {"title": title, "impact": "3", "urgency": "3"})
        return made, until(f"tickets of {title}", lambda: self.keys(made["id"]))

    def keys(self, incident: str) -> dict[str, str] | None:
        """Return connection → key once the incident stands in every system."""
        links = self.ada.get(f"/incidents/{incident}/links")["items"]
        found = {each["connection"]: each["external_key"] for each in links if each["external_key"]}
        return found if set(found) == set(SYSTEMS) else None

    def ingest(self, path: str, body: bytes, content_type: str, token: str) -> None:
        request = urllib.request.Request(
            self.url + path,
            data=body,
            headers={"Content-Type": content_type, "Authorization": f"Bearer {token}"},
        )
        with urllib.request.urlopen(request, timeout=30) as answer:
            assert answer.status == 202

    def alert(self, name: str, connection: str = "prometheus", **labels: str) -> None:
        """Send one firing alert, as Alertmanager does."""
        now = dt.datetime.now(dt.UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        alert = {
            "status": "firing", "labels": {"alertname": name, "severity": "warning", **labels},
            "annotations": {"summary": f"{name} on {labels.get('instance', 'nothing')}"}, "startsAt": now,
            "endsAt": "0001-01-01T00:00:00Z", "generatorURL": "http://prometheus.example.test/", "fingerprint": "",
        }  # fmt: skip
        alert["fingerprint"] = hashlib.sha256(json.dumps(alert["labels"]).encode()).hexdigest()[:16]
        body = {
            "version": "4", "groupKey": name, "truncatedAlerts": 0, "status": "firing", "receiver": "isthmus",
            "groupLabels": {}, "commonLabels": {}, "commonAnnotations": {}, "externalURL": "http://am.example.test",
            "alerts": [alert],
        }  # fmt: skip
        self.ingest(
            f"/ingest/alertmanager/{connection}", json.dumps(body).encode(), "application/json", self.tokens["alertmanager"],
        )  # fmt: skip

    def mails(self, about: str) -> list[dict[str, Any]]:
        """Return the mails that name `about`, read inside the mail server."""
        inside = self.partners.all["mail"].inside
        return [each for each in self.partners.inside(inside.messages) if about in str(each)]

    def isthmus(self, *arguments: str, token: str = "") -> subprocess.CompletedProcess[str]:
        """Run the command line, as the local operator or with a token."""
        environment = {**os.environ, **self.environment}
        if token:
            environment |= {"ISTHMUS_URL": self.url, "ISTHMUS_TOKEN": token}
        command = [sys.executable, "-m", "isthmus.cli.main", *arguments]
        return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)

    def mend(self) -> None:
        """Have every partner behave and every lane run."""
        for each in self.partners.all.values():
            faults = getattr(each.inside, "faults", None)
            if faults is not None:
                self.partners.inside(faults.clear)
        for each in self.ada.get("/systems")["items"]:
            if each["paused"]:
                self.ada.post(f"/systems/{each['name']}/resume")

    def stop(self) -> None:
        self.process.kill()
        self.partners.stop()


def start(directory: Path) -> Hub:
    """Start everything, load the map, replay the storm, raise a change; return when it has calmed down."""
    directory.mkdir(parents=True)
    partners = Partners()
    for connector, name in (
        ("servicenow", "snow"), ("jira", "jira"), ("roundup", "tracker"), ("smtp", "mail"),
    ):  # fmt: skip
        partners.start(connector, name)
    tokens = {"alertmanager": "alerts-come-with-this", "csv": "items-come-with-this"}
    clock, port = Clock(directory.with_name("clock")), _free_port()
    environment = {
        "ISTHMUS_DATA_DIR": str(directory), "ISTHMUS_ALLOW_PRIVATE_ADDRESSES": "true",
        "ISTHMUS_BASE_URL": f"http://127.0.0.1:{port}", **clock.environment(),
        "DEMO_ALERTMANAGER_TOKEN": tokens["alertmanager"], "DEMO_CSV_TOKEN": tokens["csv"], **partners.environment(),
    }  # fmt: skip
    made = _seed(environment, partners)
    before = dict(os.environ)
    # The hub's process inherits the environment of this one.
    os.environ.update(environment)
    try:
        process = HubProcess(directory, port, program=PROGRAM)
        process.start()
    finally:
        os.environ.clear()
        os.environ.update(before)
    partners.announce_to(process.url)
    hub = Hub(process=process, partners=partners, desks=Desks(partners), environment=environment, clock=clock,
              tokens={**tokens, "gate": made["gate"]})  # fmt: skip
    hub.people = {name: Person(hub.url, name, PASSWORD) for name in PEOPLE}
    _fill(hub)
    return hub


def _seed(environment: dict[str, str], partners: Partners) -> dict[str, Any]:
    quiet = {"polling": {"enabled": False}}
    # The demonstration keeps to the vendors' rate limits; here nobody wants to wait for them.
    hurried = {
        name: {**entry, "limits": {"requests_per_minute": 6000}}
        for name, entry in partners.connections().items()
    }
    connections = {
        **hurried,
        "prometheus": {
            "connector": "alertmanager",
            "config": {"token": {"secret": "env:DEMO_ALERTMANAGER_TOKEN"}},
            **quiet,
        },
        # Alerts of branches belong to organisations by their label: one of an unknown branch is parked.
        "branches": {
            "connector": "alertmanager",
            "config": {"token": {"secret": "env:DEMO_ALERTMANAGER_TOKEN"}},
            "organisation": {"field": "labels.branch", "table": {"north": "Meridian Retail"}},
            **quiet,
        },
        "inventory": {"connector": "csv", "config": {"token": {"secret": "env:DEMO_CSV_TOKEN"}}, **quiet},
    }
    given = {
        "connections": connections,
        "partners": list(SYSTEMS),
        "people": PEOPLE,
        "password": PASSWORD,
        "totp": SECRET,
    }
    done = subprocess.run(
        [sys.executable, str(Path(__file__).parent / "seed.py")],
        input=json.dumps(given), env={**os.environ, **environment}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-4000:]
    return dict(json.loads(done.stdout.splitlines()[-1]))


def _fill(hub: Hub) -> None:
    for name in ("cis.csv", "relations.csv"):
        hub.ingest("/ingest/csv/inventory", _packaged(name).encode(), "text/csv", hub.tokens["csv"])
    until("the map", lambda: len(hub.ada.all("/relations")) >= 99 or None, seconds=150)
    now = dt.datetime.now(dt.UTC)
    raised = {
        "title": "New consumer release on the message queue host", "type": "normal", "cis": ["mq-01"],
        "environment": "production", "artefact_hash": "sha256:" + "0815" * 16,
        "window_start": instant(now - dt.timedelta(minutes=10)), "window_end": instant(now + dt.timedelta(hours=2)),
        "implementation_plan": "Roll consumers one by one.", "backout_plan": "Redeploy the previous release.",
    }  # fmt: skip
    hub.ada.post("/changes", raised)
    problem = hub.ada.post(
        "/problems", {"title": "Consumers leave the queue alone", "cis": ["mq-01"], "priority": "2"}
    )
    hub.ada.post(
        f"/problems/{problem['id']}/actions",
        {"text": "Alarm on idle consumers", "owner": "Platform engineering"},
    )
    known = {
        "problem": problem["number"], "cis": [], "workaround": "Restart the consumers, one after the other.",
        "link": "https://tracker.example.test/4711",
        "condition": 'labels.alertname == "QueueBacklog" || title.contains("Kiosk")',
    }  # fmt: skip
    hub.ada.post(f"/known-errors/{hub.ada.post('/known-errors', known)['id']}/publish")
    for line in _packaged("recorded/storm.jsonl").splitlines():
        body = json.loads(line)["body"]
        if not any(each["status"] == "resolved" for each in body["alerts"]):
            hub.ingest(
                "/ingest/alertmanager/prometheus", json.dumps(body).encode(), "application/json", hub.tokens["alertmanager"],
            )  # fmt: skip
    until("incidents", lambda: len(hub.ada.all("/incidents")) >= 25 or None, seconds=150)
    # A walk may plan faults: what has to travel before it has travelled.
    until(
        "their tickets",
        lambda: not any(_owed(each) for each in hub.ada.all("/deliveries")) or None,
        seconds=150,
    )


def _owed(delivery: dict[str, Any]) -> bool:
    return bool(delivery["state"] not in {"done", "dead"})


def instant(moment: dt.datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def _packaged(name: str) -> str:
    return (importlib.resources.files("isthmus.cli.demo") / name).read_text()


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])
