"""D1 to D6 with real deaths: every wait of monitoring ends when it should, once, however often the hub is killed.

One tale with all waits at once (for a cause, for enough alerts, for a settled state, for the end of a flapping, of a
change's window and of a silence, for a sign of life, between two reports), and one look at each afterwards.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest
from tests.stories.sections import ALERTS, everywhere, flow, webhook
from tests.stories.served import Served

from isthmus.kernel.instant import MINUTE, to_rfc3339

MONITORING = {
    "times": {
        "wait": "PT0S", "stable": "PT2M", "reopen": "PT30M", "grace": "PT1M", "flap": "PT8M", "flap_changes": 4,
    },
    "correlation": {
        "rules": [
            {"name": "held", "match": {"class": "held"}, "by": ["alertname"], "wait": "PT2M"},
            {"name": "counted", "match": {"class": "counted"}, "by": ["alertname"], "threshold": 3},
            {"name": "reported", "match": {"class": "reported"}, "by": ["alertname"]},
        ],
        "reports": {"interval": "PT1M", "repeat": "PT4M"},
    },
    "expected": {"beat": {"every": "PT3M"}},
    "automation": {"severities": {"warning": "draft"}},
}  # fmt: skip


@pytest.fixture(scope="module")
def world(serve: Callable[..., Served]) -> Served:
    sections = {"sync": flow(["snow"]), "routes": everywhere("snow"), "monitoring": MONITORING, "change": {}}
    receivers = {name: webhook(name, ALERTS) for name in ("watch", "beat")}
    return serve(systems=["snow"], receivers=receivers, sections=sections, forwarded=True)


class Tale:
    """What monitoring said, and when on the hub's clock: alerts have a name of their own, which is their group's."""

    def __init__(self, world: Served) -> None:
        self.world = world
        self.begun = world.clock.now()
        self.hosts: dict[str, str] = {}
        self.seen: dict[str, Any] = {}

    def host(self, name: str) -> str:
        return self.hosts.setdefault(name, f"{name.replace(' ', '-')}-{self.world.word()}")

    def say(
        self,
        name: str,
        *,
        state: str = "firing",
        severity: str = "error",
        label: str = "",
        connection: str = "watch",
    ) -> None:
        """Have monitoring say that something fires or is over; `label` makes it another alert of the same group."""
        labels = {
            "alertname": self.host(name),
            "host": label or self.host(name),
            "class": name.partition(" ")[0],
        }
        body = {
            "id": f"{self.host(name)}/{label}", "event": self.world.word(), "severity": severity, "state": state,
            "summary": f"{self.host(name)} {label}".strip(), "labels": labels,
        }  # fmt: skip
        answer = self.world.ingest(f"/webhook/{connection}", body, self.world.bearer(connection))
        assert answer.status == 202, answer

    def reach(self, minutes: float) -> None:
        self.world.clock.reach(int(self.begun + minutes * MINUTE))

    def killed_around(self, minutes: float) -> None:
        """Kill the hub about the time when a wait is over: a little before, in the middle of it, or just after."""
        self.reach(minutes - self.world.random.uniform(0, 1) / 60)
        self.world.killed(within_seconds=1.5)

    def waited(self, what: str, read: Callable[[], bool]) -> None:
        """Let minutes pass in small steps: a hub that misses its looks for longer was away itself, and accuses nobody."""

        def come() -> bool:
            self.world.clock.forward(seconds=15)
            time.sleep(0.6)
            return read()

        self.world.until(what, come, instead=lambda: self.world.ada.get("/sources"))

    # What came of it -----------------------------------------------------------------------------------

    def alerts(self, name: str) -> list[dict[str, Any]]:
        listed = self.world.ada.all("/alerts")
        return [each for each in listed if each["labels"].get("alertname") == self.host(name)]

    def incidents(self, name: str) -> list[dict[str, Any]]:
        keys = {each["incident"] for each in self.alerts(name) if each["incident"]}
        return [self.world.ada.get(f"/incidents/{key}") for key in sorted(keys)]

    def incident(self, name: str) -> dict[str, Any]:
        """Return the one incident of an alert, which stands in ServiceNow once as well."""
        (found,) = self.incidents(name)
        inside: Any = self.world.partners.all["snow"].inside
        self.world.ticketed(found["id"], ["snow"])
        titles = self.world.partners.inside(
            lambda: [row["short_description"] for _, row in inside.shelf("incident").all()]
        )
        assert titles.count(found["title"]) == 1, titles
        return found

    def opened(self, name: str) -> bool:
        return bool(self.incidents(name))

    def state(self, name: str) -> str:
        return str(self.incidents(name)[0]["state"])

    def moves(self, name: str) -> list[str]:
        """Return the states that an incident went through, as the book has them."""
        entries = self.world.entries(self.incident(name)["id"])
        return [each["changes"]["state"][1] for each in entries if "state" in each["changes"]]

    def notes(self, name: str, word: str) -> list[str]:
        """Return the hub's notes on an incident that stand in ServiceNow."""
        key = self.world.keys(self.incident(name)["id"])["snow"]
        return [each for each in self.world.desks.ticket("snow", key).comments if word in each]


def changed(world: Served, item: str, minutes: float) -> None:
    """Have a change on an item approved, whose window lasts so many minutes from now."""
    now = world.clock.now()
    world.ada.post("/cis", {"name": item, "ci_class": "application", "environment": "production"})
    raised = world.ada.post(
        "/changes",
        {
            "title": world.title(), "type": "normal", "cis": [item], "environment": "production",
            "artefact_hash": f"sha256:{world.random.getrandbits(256):064x}", "implementation_plan": "Roll out.",
            "backout_plan": "Roll back.", "window_start": to_rfc3339(now - MINUTE),
            "window_end": to_rfc3339(int(now + minutes * MINUTE)),
        },
    )  # fmt: skip
    for action in ("submit", "assess", "request-approval"):
        world.ada.post(f"/changes/{raised['id']}/{action}")
    world.grace.post(f"/changes/{raised['id']}/approve", {"comment": "Rehearsed."})


def silenced(world: Served, tale: Tale, minutes: float) -> None:
    world.ada.post(
        "/silences",
        {
            "matchers": [{"label": "alertname", "op": "=", "value": tale.host("silenced")}], "comment": "Known.",
            "ends_at": to_rfc3339(int(world.clock.now() + minutes * MINUTE)),
        },
    )  # fmt: skip


@pytest.fixture(scope="module")
def tale(world: Served) -> Tale:
    """Seven deaths: as soon as everything is said, in the middle of each wait, and about the end of each."""
    found = Tale(world)
    changed(world, found.host("changed"), 3)
    silenced(world, found, 3)
    found.begun = world.clock.now()
    for name in ("held", "held brief", "steady", "reported", "changed", "silenced"):
        found.say(name)
    found.say("drafted", severity="warning")
    found.say("beat", connection="beat", severity="informational")
    for _ in range(3):
        found.say("flapping")
        found.say("flapping", state="resolved")
    for label in ("one", "two"):
        found.say("counted", label=label)
        found.say("counted few", label=label)
    world.killed(within_seconds=1)
    world.until(
        "the alerts", lambda: found.opened("steady") and found.opened("flapping") and found.opened("reported")
    )
    for label in ("one", "two"):
        found.say("reported", label=label)
    found.say("steady", state="resolved")
    found.say("held brief", state="resolved")
    world.until("the end of the steady one", lambda: found.alerts("steady")[0]["state"] == "resolved")
    found.reach(1)
    world.killed(within_seconds=1)
    found.say("counted", label="three")
    found.seen["early"] = {
        name: found.opened(name) for name in ("held", "changed", "silenced", "counted few")
    }
    found.seen["steady early"] = found.state("steady")
    found.killed_around(2)
    world.until("the end of the wait for a cause", lambda: found.opened("held"))
    found.killed_around(3)
    world.until("the end of the silence", lambda: found.opened("silenced"))
    found.killed_around(4)
    world.until("the end of the window and its grace", lambda: found.opened("changed"))
    world.until("the first reminder", lambda: found.notes("reported", "still fire"))
    world.until("the settled one", lambda: found.state("steady") == "resolved")
    found.seen["flapping early"] = found.state("flapping")
    found.waited("the silent source", lambda: bool(silent(world)))
    found.say("beat", connection="beat", severity="informational")
    found.killed_around(8)
    world.until("the second reminder", lambda: len(found.notes("reported", "still fire")) > 1)
    found.seen["reported for"] = world.clock.now() - found.begun
    found.say("reported", state="resolved")
    found.killed_around(9.5)
    world.until("the end of the flapping", lambda: found.state("flapping") == "resolved")
    world.clock.forward(seconds=30)
    world.quiet()
    return found


def silent(world: Served) -> list[dict[str, Any]]:
    """Return the incidents about sources that are not heard from."""
    alerts = [each for each in world.ada.all("/alerts", connection="isthmus") if each["incident"]]
    return [world.ada.get(f"/incidents/{each['incident']}") for each in alerts]


def test_an_alert_that_waits_for_its_cause_opens_once_when_the_wait_is_over(tale: Tale) -> None:
    assert tale.seen["early"]["held"] is False
    assert tale.moves("held") == ["new"]
    assert not tale.opened("held brief"), "it cleared while it waited"


def test_too_few_of_a_kind_open_nothing_and_enough_open_one(tale: Tale) -> None:
    assert tale.moves("counted") == ["new"]
    assert len({each["incident"] for each in tale.alerts("counted")}) == 1
    assert len(tale.alerts("counted")) == 3
    assert not tale.opened("counted few")


def test_what_cleared_is_resolved_once_when_it_stayed_clear(tale: Tale) -> None:
    assert tale.seen["steady early"] == "new"
    assert tale.moves("steady") == ["new", "resolved"]


def test_what_flapped_is_resolved_once_and_later(tale: Tale) -> None:
    assert tale.seen["flapping early"] == "new"
    assert tale.moves("flapping") == ["new", "resolved"]


def test_what_still_fires_after_the_window_of_a_change_opens_once_after_its_grace(tale: Tale) -> None:
    assert tale.seen["early"]["changed"] is False
    assert tale.moves("changed") == ["new"]


def test_what_still_fires_after_a_silence_opens_once(tale: Tale) -> None:
    assert tale.seen["early"]["silenced"] is False
    assert tale.moves("silenced") == ["new"]


def test_further_alerts_and_reminders_are_noted_once_per_interval_at_the_partner(tale: Tale) -> None:
    joined, still = tale.notes("reported", "joined"), tale.notes("reported", "still fire")
    assert len(joined) == 1, joined
    assert "2 further" in joined[0]
    assert 2 <= len(still) <= tale.seen["reported for"] / (4 * MINUTE), still


def test_a_source_that_is_silent_is_one_incident_that_ends_when_it_is_heard(
    world: Served, tale: Tale
) -> None:
    del tale
    (found,) = silent(world)
    entries = world.entries(found["id"])
    assert [each["changes"]["state"][1] for each in entries if "state" in each["changes"]][:1] == ["new"]
    (alert,) = world.ada.all("/alerts", connection="isthmus")
    assert alert["occurrences"] >= 1


def test_a_draft_waits_for_its_word_and_becomes_one_ticket_though_the_hub_dies(
    world: Served, tale: Tale
) -> None:
    (alert,) = tale.alerts("drafted")
    assert (alert["decision"], alert["incident"]) == ("drafted", "")
    world.ada.post(f"/alerts/{alert['id']}/confirm", {})
    world.killed(within_seconds=0.5)
    world.until("its ticket", lambda: tale.opened("drafted"))
    assert tale.moves("drafted") == ["new"]
