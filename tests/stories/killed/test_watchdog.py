"""E3 with real deaths: a hub that is killed while it waits, asks and alarms still asks first and alarms once."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
from tests.stories.sections import everywhere, flow
from tests.stories.served import Served

from isthmus.connectors.kit.faults import Fault
from isthmus.kernel.instant import MINUTE, SECOND, from_rfc3339

SYSTEMS = ("snow", "jira")
LIMITS = {"snow": 3, "jira": 6}
"""Minutes that each partner has."""
SECTIONS = {
    "sync": flow(SYSTEMS),
    "routes": everywhere(*SYSTEMS),
    "on_call": {
        "channels": {"ops": {"connection": "slack", "recipient": "C0OPS"}},
        "ladders": {"night": {"steps": [{"after": "PT0S", "notify": [{"channel": "ops"}]}]}},
    },
    "waits": {
        "partner_acknowledgement": {
            "limit": f"PT{LIMITS['snow']}M", "partners": {"jira": f"PT{LIMITS['jira']}M"}, "ask_within": "PT2M", "path": "night",
        }
    },
}  # fmt: skip


@pytest.fixture(scope="module")
def world(serve: Callable[..., Served]) -> Served:
    # No polls: what a lost webhook said is learned by asking, or never.
    return serve(systems=(*SYSTEMS, "slack"), sections=SECTIONS, polling={"enabled": False}, forwarded=True)


@pytest.fixture(scope="module")
def after(world: Served) -> dict[str, Any]:
    """Four deaths: while it waits, while it asks, and at each of the two limits."""
    tale: dict[str, Any] = {name: world.raised() for name in ("silent", "moved", "spoken")}
    keys = {name: world.ticketed(each["id"], SYSTEMS) for name, each in tale.items()}
    world.quiet()
    begun = max(from_rfc3339(each["since"]) for each in world.ada.all("/waits"))
    world.killed(within_seconds=1)
    for name in SYSTEMS:
        world.fault(name, Fault.WEBHOOK_LOST)
    world.desks.edit("snow", keys["moved"]["snow"], state="2")
    world.desks.comment("jira", keys["spoken"]["jira"], world.title())
    asked = len(world.calls("snow"))
    world.fault("snow", Fault.SLOW, method="GET", times=2, delay_seconds=5)
    world.clock.reach(begun + LIMITS["snow"] * MINUTE)
    world.until(
        "the watchdog to ask", lambda: any(each["state"] == "asking" for each in world.ada.all("/waits"))
    )
    world.killed(within_seconds=1)
    world.until("ServiceNow to be asked", lambda: len(world.calls("snow")) > asked)
    world.until(
        "its answers", lambda: all(each["state"] != "asking" for each in world.ada.all("/waits")), seconds=60
    )
    world.until("the first alarm", lambda: alarms(world, tale["silent"]))
    tale["first"] = len(alarms(world, tale["silent"]))
    for minutes in (LIMITS["jira"], LIMITS["jira"] + 1):
        world.clock.reach(int(begun + minutes * MINUTE - world.random.uniform(0, 1) * SECOND))
        world.killed(within_seconds=1.5)
    world.until("the second alarm", lambda: len(alarms(world, tale["silent"])) > 1)
    world.clock.forward(minutes=5)
    world.quiet()
    return tale


def alarms(world: Served, incident: dict[str, Any]) -> list[str]:
    return [each["text"] for each in world.messages("slack", incident["number"])]


def waits(world: Served, incident: dict[str, Any], state: str) -> dict[str, dict[str, Any]]:
    """Return partner → its wait in this state."""
    return {each["partner"]: each for each in world.ada.all("/waits", record=incident["id"], state=state)}


def test_each_partner_that_never_moved_is_one_alarm_with_its_name_and_age(
    world: Served, after: dict[str, Any]
) -> None:
    assert after["first"] == 1, "each limit has a time of its own"
    said = alarms(world, after["silent"])
    assert len(said) == 2
    for text, name in zip(said, SYSTEMS, strict=True):
        assert f"{name} owes the move" in text
        assert re.search(r"since \d+ min|for \d+ min", text), text
    found = waits(world, after["silent"], "escalated")
    assert set(found) == set(SYSTEMS)
    for name, each in found.items():
        assert from_rfc3339(each["escalated_at"]) >= from_rfc3339(each["limit_at"]), name


def test_the_partner_was_asked_before_anybody_was_alarmed(world: Served, after: dict[str, Any]) -> None:
    for name, each in waits(world, after["silent"], "escalated").items():
        assert each["asked_at"], name
        assert (
            from_rfc3339(each["limit_at"])
            <= from_rfc3339(each["asked_at"])
            <= from_rfc3339(each["escalated_at"])
        )


def test_a_move_whose_message_was_lost_is_found_by_asking_and_alarms_nobody(
    world: Served, after: dict[str, Any]
) -> None:
    assert not [each for each in alarms(world, after["moved"]) if "snow owes" in each]
    assert not [each for each in alarms(world, after["spoken"]) if "jira owes" in each]
    for incident, name in (("moved", "snow"), ("spoken", "jira")):
        found = waits(world, after[incident], "recovered")
        assert list(found) == [name], "a move, or a word"
        assert "Lost event recovered" in found[name]["found"]
    assert world.ada.get(f"/incidents/{after['moved']['id']}")["state"] == "in_progress"
