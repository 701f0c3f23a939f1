"""E2 with real deaths: a hub that is killed around its calls and between the steps tells everybody once per step.

Slack can be asked, so a call that the kill cut short is looked for. Teams and mail cannot be asked: there, and only
where the receipts say that nobody knows, a second copy is better than none.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from typing import Any

import pytest
from tests.stories.served import Served

from isthmus.connectors.kit.faults import Fault
from isthmus.kernel.instant import MINUTE, SECOND, from_rfc3339

SHARES = (50, 75, 100)
STEPS = ("PT0S", "PT5M", "PT10M")
BOTH = [{"channel": "ops"}, {"channel": "cards"}]
ON_CALL = {
    "channels": {
        "ops": {"connection": "slack", "recipient": "C0OPS"},
        "cards": {"connection": "teams", "recipient": "any"},
        "gone": {"connection": "slack", "recipient": "C0GONE", "fallback": "post"},
        "post": {"connection": "mail", "recipient": "ops@example.test"},
    },
    "ladders": {
        "shares": {"steps": [{"percent": each, "notify": BOTH} for each in SHARES]},
        "timed": {"steps": [{"after": each, "notify": BOTH} for each in STEPS]},
        "falling": {"steps": [{"after": each, "notify": [{"channel": "gone"}]} for each in STEPS]},
    },
    "policies": [
        {"name": "promised", "trigger": "sla", "target": "resolution", "ladder": "shares"},
        {"name": "timed", "trigger": "priority", "groups": ["timed"], "ladder": "timed"},
        {"name": "falling", "trigger": "priority", "groups": ["falling"], "ladder": "falling"},
    ],
}  # fmt: skip
LEVELS = [
    {"name": each, "when": f"record.assignment_group == '{each}'", "targets": {"resolution": {"within": within}}}
    for each, within in (("minute", "PT60S"), ("ten minutes", "PT10M"))
]  # fmt: skip


@pytest.fixture(scope="module")
def world(serve: Callable[..., Served]) -> Served:
    sections = {"on_call": ON_CALL, "service_levels": LEVELS}
    return serve(systems=("slack", "teams", "mail"), sections=sections, forwarded=True)


def opened(incident: dict[str, Any]) -> int:
    return from_rfc3339(incident["opened_at"])


def told(world: Served, incident: dict[str, Any], connection: str) -> int:
    return len(world.messages(connection, incident["number"]))


def escalation(world: Served, incident: dict[str, Any]) -> dict[str, Any]:
    """Return the one escalation of an incident, with everybody who was told."""
    (found,) = world.ada.get("/escalations", subject=incident["id"])["items"]
    whole: dict[str, Any] = world.ada.get(f"/escalations/{found['id']}")
    return whole


def taken(world: Served, incident: dict[str, Any]) -> None:
    world.ada.post(f"/escalations/{escalation(world, incident)['id']}/acknowledge", {"comment": "Mine."})


def test_a_minute_is_told_at_half_three_quarters_and_its_end_until_somebody_takes_it(world: Served) -> None:
    left, mine = world.raised(assignment_group="minute"), world.raised(assignment_group="minute")
    for place, seconds in enumerate((30, 45, 60)):
        world.clock.reach(opened(left) + (seconds - 3) * SECOND)
        time.sleep(0.5)
        before = told(world, left, "slack")
        if world.clock.now() < opened(left) + seconds * SECOND:
            assert before == place, "not before its time"
        world.clock.reach(opened(mine) + seconds * SECOND)
        for name in ("slack", "teams"):
            world.until(
                f"{seconds} s at {name}", lambda name=name, place=place: told(world, left, name) > place
            )
        if place == 0:
            world.until(
                "half of the other", lambda: told(world, mine, "slack") and told(world, mine, "teams")
            )
            taken(world, mine)
    world.clock.forward(minutes=5)
    world.quiet()
    assert [told(world, left, name) for name in ("slack", "teams")] == [3, 3]
    assert [told(world, mine, name) for name in ("slack", "teams")] == [1, 1], (
        "it was taken at half of its time"
    )
    first, second, last = (each["text"] for each in world.messages("slack", left["number"]))
    assert [share in text for share, text in (("50 %", first), ("75 %", second), ("100 %", last))] == [
        True
    ] * 3
    spans = [int(re.search(r"(\d+) s left", each)[1]) for each in (first, second)]  # type: ignore[index]
    assert 0 < spans[1] < spans[0] <= 30
    assert "overdue by" in last


@pytest.fixture(scope="module")
def after(world: Served) -> dict[str, dict[str, Any]]:
    """Five deaths: in the middle of a call, after an acknowledgement, and at each of three times to tell."""
    world.fault("slack", Fault.SLOW, path="chat.postMessage", delay_seconds=5)
    tale = {"timed": world.raised(assignment_group="timed")}
    world.until("the message at Slack", lambda: told(world, tale["timed"], "slack"))
    world.killed()  # Slack has it, its answer is still on the way
    tale |= {"mine": world.raised(assignment_group="timed")}
    tale |= {name: world.raised(assignment_group=name) for name in ("ten minutes", "falling")}
    world.until(
        "the other's message",
        lambda: told(world, tale["mine"], "slack") and told(world, tale["mine"], "teams"),
    )
    taken(world, tale["mine"])
    world.killed()
    for minutes in (5, 7.5, 10):
        world.clock.reach(
            int(opened(tale["ten minutes"]) + minutes * MINUTE - world.random.uniform(0, 1) * SECOND)
        )
        world.killed(within_seconds=1.5)
    expected = {"timed": ("slack", "teams"), "ten minutes": ("slack", "teams"), "falling": ("mail",)}
    for name, connections in expected.items():
        for each in connections:
            world.until(
                f"three messages about {name} at {each}",
                lambda name=name, each=each: told(world, tale[name], each) >= 3,
            )
    world.clock.forward(minutes=2)
    world.quiet()
    return tale


def doubtful(held: dict[str, Any], channel: str) -> int:
    """Count the copies that were sent because nobody could say whether the first had arrived."""
    receipts = [each for one in held["notifications"] for each in one["receipts"]]
    return sum(each["state"] == "in doubt" and each["channel"] == channel for each in receipts)


@pytest.mark.parametrize("name", ["timed", "ten minutes"])
def test_each_channel_was_told_once_per_step(world: Served, after: dict[str, Any], name: str) -> None:
    held = escalation(world, after[name])
    assert told(world, after[name], "slack") == 3
    assert 0 <= told(world, after[name], "teams") - 3 <= doubtful(held, "cards")
    assert len(held["notifications"]) == 6, "one record per step and channel"
    assert {each["state"] for each in held["notifications"]} == {"sent"}
    assert (held["state"], len(held["fired"])) == ("finished", 3)


def test_who_took_it_before_the_hub_died_has_it_afterwards(world: Served, after: dict[str, Any]) -> None:
    held = escalation(world, after["mine"])
    assert (held["state"], held["acknowledged_by"]) == ("acknowledged", world.person_ids["ada"])
    assert [told(world, after["mine"], name) for name in ("slack", "teams")] == [1, 1]


def test_a_refused_channel_is_followed_by_the_next_once_per_step(
    world: Served, after: dict[str, Any]
) -> None:
    held = escalation(world, after["falling"])
    assert told(world, after["falling"], "slack") == 0
    assert 0 <= told(world, after["falling"], "mail") - 3 <= doubtful(held, "post")
    assert len(held["notifications"]) == 3
    for each in held["notifications"]:
        # A death between the refusal and its receipt leaves none: the channel's patience ends the attempt then.
        gone = [one["state"] for one in each["receipts"] if one["channel"] == "gone"]
        assert gone in (["refused"], ["no receipt"])
