"""Plays a script at an installation: every step is tried until it is done, whatever happens to the hub."""

from __future__ import annotations

import hashlib
import json
import random
import threading
import time
import urllib.error
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from tests.chaos.installation import UNREACHABLE, Installation
from tests.chaos.script import RAIN_ALERTS, SYSTEMS, Step, Ticket

from isthmus.cli.demo.tickets import Desks
from isthmus.connectors.kit.faults import Fault

LINKED_SECONDS_MAX = 240.0
FAULTS: tuple[tuple[Fault, dict[str, Any]], ...] = (
    (Fault.TIMEOUT_AFTER_COMMIT, {"method": "WRITE", "hang_seconds": 8.0}),
    (Fault.COMMIT_AFTER_TIMEOUT, {"method": "WRITE", "delay_seconds": 4.0, "hang_seconds": 8.0}),
    (Fault.RESET_BEFORE_COMMIT, {}),
    (Fault.RESET_AFTER_COMMIT, {"method": "WRITE"}),
    (Fault.STATUS, {"status": 503}),
    (Fault.STATUS, {"status": 429, "retry_after_seconds": 1.0}),
    (Fault.BAD_JSON, {}),
    (Fault.SLOW, {"delay_seconds": 0.5}),
    (Fault.WEBHOOK_LOST, {}),
    (Fault.WEBHOOK_TWICE, {}),
    (Fault.WEBHOOK_LATE, {"delay_seconds": 2.0}),
    (Fault.WEBHOOK_REORDERED, {}),
    (Fault.WEBHOOK_FIRST, {}),
)


@dataclass
class Played:
    """What was done: incident id and tickets' keys by name, and what was acknowledged at the alert door."""

    incidents: dict[str, str] = field(default_factory=dict)
    keys: dict[str, dict[str, str]] = field(default_factory=dict)
    accepted: dict[str, int] = field(default_factory=dict)
    """Message id → how many alerts it held."""
    rained: dict[str, set[str]] = field(default_factory=dict)
    """Name of a raining alert → its distinct events."""
    kills: list[str] = field(default_factory=list)


class Player:
    """One run. `kills` 0 and `faults` False is the undisturbed one."""

    def __init__(
        self, town: Installation, script: list[Ticket], *, seed: int, kills: int, faults: bool
    ) -> None:
        self.town = town
        self.desks = Desks(town.partners)
        self.script = script
        self.rng = random.Random(seed + 1)
        self.kills = kills
        self.faults = faults
        self.done = Played()
        self._steps_total = sum(len(each.steps) for each in script)
        self._steps_done = 0

    def play(self) -> Played:
        """Play to the end, kill as often as asked, and let the partners behave again."""
        killer = threading.Thread(target=self._kill, name="killer", daemon=True)
        killer.start()
        for ticket in self.script:
            self._bear(ticket)
        self._work()
        killer.join(PATIENCE_OF_THE_KILLER_SECONDS)
        assert len(self.done.kills) == self.kills, f"only {self.done.kills} of {self.kills} kills happened"
        for partner in self.town.partners.all.values():
            self.town.partners.inside(partner.inside.faults.clear)
            self.town.partners.run(partner.inside.settled())
        return self.done

    # Kills and faults

    def _kill(self) -> None:
        """Spread the kills over the run, each at a random instant after its share of the steps is done."""
        rng = random.Random(self.rng.random())
        for number in range(self.kills):
            while (
                self._steps_done < number * self._steps_total / max(1, self.kills)
                and self._steps_done < self._steps_total
            ):
                time.sleep(0.02)
            self._plan_faults(rng)
            time.sleep(rng.random() * 1.5)
            self.done.kills.append(self.town.kill_something(rng))

    def _plan_faults(self, rng: random.Random) -> None:
        if not self.faults:
            return
        for partner in self.town.partners.all.values():
            for fault, how in rng.sample(FAULTS, 2):
                self.town.partners.inside(lambda p=partner, f=fault, h=how: p.inside.faults.plan(f, **h))

    # Births

    def _bear(self, ticket: Ticket) -> None:
        match ticket.born:
            case "alert":
                self._alerts([(ticket.name, "critical", "0")])
            case "here":
                made = self.town.call(
                    "POST",
                    "/incidents",
                    {"title": ticket.name, "impact": "3", "urgency": "2"},
                    key=f"open-{ticket.name}",
                )
                assert made.status == 201, made
                self.done.incidents[ticket.name] = made.body["id"]
            case "snow":
                snow: Any = self.town.partners.all["snow"].inside
                self.town.partners.inside(
                    lambda: snow.instance.insert("incident", {"short_description": ticket.name}, snow.human)
                )
            case _:
                jira: Any = self.town.partners.all["jira"].inside
                self.town.partners.inside(lambda: jira._new({"summary": ticket.name}, [], jira.human))

    def _alerts(self, alerts: list[tuple[str, str, str]]) -> None:
        """Send alerts (name, severity, event) in one webhook; remember what was acknowledged."""
        items = [
            {
                "status": "firing", "labels": {"alertname": name, "instance": f"{name}.example.test", "severity": severity},
                "annotations": {"summary": name}, "startsAt": f"2026-11-20T10:{int(event) // 60:02d}:{int(event) % 60:02d}Z",
                "endsAt": "0001-01-01T00:00:00Z", "generatorURL": "http://am/g", "fingerprint": hashlib.sha256(name.encode()).hexdigest()[:16],
            }
            for name, severity, event in alerts
        ]  # fmt: skip
        body = {
            "receiver": "isthmus", "status": "firing", "alerts": items, "groupLabels": {}, "commonLabels": {},
            "commonAnnotations": {}, "externalURL": "http://am", "version": "4", "groupKey": "{}", "truncatedAlerts": 0,
        }  # fmt: skip
        self.done.accepted[self.town.ingest(json.dumps(body).encode())] = len(alerts)
        for name, severity, event in alerts:
            if severity != "critical":
                self.done.rained.setdefault(name, set()).add(event)

    def _rain(self, number: int) -> None:
        prefix = self.script[0].name.partition("-")[0]
        self._alerts(
            [(f"{prefix}-rain-{index}", "informational", str(number)) for index in range(RAIN_ALERTS)]
        )

    # Work

    def _work(self) -> None:
        """Take the next possible step of a random ticket until all are done."""
        waiting = {each.name: list(each.steps) for each in self.script if each.steps}
        tickets = {each.name: each for each in self.script}
        until = time.monotonic() + LINKED_SECONDS_MAX
        while waiting:
            name = self.rng.choice(sorted(waiting))
            if not self._known(tickets[name], waiting[name][0]):
                assert time.monotonic() < until, f"{name} never appeared at {waiting[name][0].where}"
                time.sleep(0.05)
                continue
            until = time.monotonic() + LINKED_SECONDS_MAX
            self._step(name, waiting[name].pop(0))
            self._steps_done += 1
            if self._steps_done % 10 == 0:
                self._rain(self._steps_done // 20)
            if not waiting[name]:
                del waiting[name]

    def _known(self, ticket: Ticket, step: Step) -> bool:
        if not self.done.incidents.get(ticket.name):
            self._find(ticket)
        incident = self.done.incidents.get(ticket.name)
        if not incident or step.where == "here":
            return bool(incident)
        keys = self.done.keys.setdefault(ticket.name, {})
        if step.where not in keys:
            links = self.town.call("GET", f"/incidents/{incident}/links").body["items"]
            keys.update({each["connection"]: each["external_key"] for each in links if each["external_key"]})
        return step.where in keys

    def _find(self, ticket: Ticket) -> None:
        """Find the incident by its title, before anybody renames it."""
        for each in self.town.call("GET", "/incidents?limit=100").body["items"]:
            if each["title"].split(" ")[0] == ticket.name:
                self.done.incidents[ticket.name] = each["id"]

    def _step(self, name: str, step: Step) -> None:
        if step.where == "here":
            self._here(name, step)
            return
        key = self.done.keys[name][step.where]
        for _ in range(20):
            with suppress(*UNREACHABLE):
                self._there(step, key)
                return
            time.sleep(0.1)
        raise urllib.error.URLError(f"{step} never succeeded")

    def _here(self, name: str, step: Step) -> None:
        path, key = f"/incidents/{self.done.incidents[name]}", f"{step.what}-{step.value}"
        if step.what == "comment":
            found = self.town.call("POST", f"{path}/comments", {"body": step.value, "public": True}, key=key)
        elif step.what == "tag":
            held = self.town.call("GET", path).body
            found = self.town.call(
                "PATCH",
                path,
                {"tags": sorted({*held["tags"], step.value})},
                key=key,
                match=f'"{held["id"]}-{held["version"]}"',
            )
            if found.status == 412:  # somebody was faster: look again
                self._here(name, step)
                return
        else:
            found = self.town.call("PATCH", path, {step.what: step.value}, key=key)
        assert 200 <= found.status < 300, found

    def _there(self, step: Step, key: str) -> None:
        match step.what:
            case "comment":
                self.desks.comment(step.where, key, step.value)
            case "tag":
                self._tag(step.where, key, step.value)
            case _:
                self.desks.edit(step.where, key, **{step.what: step.value})

    def _tag(self, where: str, key: str, tag: str) -> None:
        inside: Any = self.town.partners.all[where].inside
        if where == "tracker":
            # One tag is added, as by its own button: writing the whole set back would undo a tag that came meanwhile.
            inside._provide([tag])
            inside._wait_for_the_next_second(key)
            inside._person().edit(key, **{"@op": "add", "keyword": [tag]})
            return

        def add() -> None:
            labels = [
                each
                for each in inside.project.issue(key)["fields"]["labels"]
                if not each.startswith("isthmus-")
            ]
            inside.human_edit("incident", key, {"tags": [*labels, tag]})

        self.town.partners.inside(add)


PATIENCE_OF_THE_KILLER_SECONDS = 300.0
__all__ = ["SYSTEMS", "Played", "Player"]
