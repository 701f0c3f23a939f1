"""C3: two people edit one incident in two systems before either sees the other; nobody's words are lost."""

from __future__ import annotations

import datetime as dt
import json
import time
from collections.abc import Callable
from typing import Any

import pytest
from tests.stories.sections import everywhere, flow
from tests.stories.served import Served

SYSTEMS = ("snow", "jira")


@pytest.fixture(scope="module")
def world(serve: Callable[..., Served]) -> Served:
    rules = strategy("ranked", ranking=["snow", "jira", "hub"])
    return serve(systems=SYSTEMS, sections={"sync": rules, "routes": everywhere(*SYSTEMS)})


def strategy(policy: str, **how: Any) -> dict[str, Any]:
    return flow(SYSTEMS, {"id": f"title.{policy}", "field": "title", "policy": policy, **how})


@pytest.fixture
def shared(world: Served) -> dict[str, Any]:
    """An incident with its tickets, at rest."""
    incident = world.raised()
    keys = world.ticketed(incident["id"], SYSTEMS)
    world.quiet()
    return {"id": incident["id"], "keys": keys}


def title(world: Served, shared: dict[str, Any], name: str) -> str:
    return world.desks.ticket(name, shared["keys"][name]).title


def edit_both(world: Served, shared: dict[str, Any], **edits: str) -> None:
    """Edit in both systems while the hub does not live; it learns of both afterwards, by webhooks resent or polls."""
    world.hub.kill()
    for name, text in edits.items():
        world.desks.edit(name, shared["keys"][name], title=text)
        time.sleep(1.1)  # ServiceNow counts in seconds
    world.hub.start()
    world.fresh()


def conflicts(world: Served, shared: dict[str, Any]) -> list[dict[str, Any]]:
    return world.ada.all("/conflicts", record=shared["id"])


def test_edits_of_different_fields_both_survive(world: Served, shared: dict[str, Any]) -> None:
    world.hub.kill()
    new, text = world.title(), f"Seen by {world.word()}"
    world.desks.edit("snow", shared["keys"]["snow"], title=new)
    world.desks.edit("jira", shared["keys"]["jira"], description=text)
    world.hub.start()
    world.fresh()
    snow: Any = world.partners.all["snow"].inside
    world.until("the title in Jira", lambda: title(world, shared, "jira") == new)
    world.until(
        "the description in ServiceNow",
        lambda: (
            world.partners.inside(lambda: snow.shelf("incident").get(shared["keys"]["snow"])["description"])
            == text
        ),
    )
    world.quiet()
    assert title(world, shared, "snow") == new
    assert conflicts(world, shared) == []


@pytest.mark.parametrize(
    ("ranking", "winner"), [(["snow", "jira", "hub"], "snow"), (["jira", "snow", "hub"], "jira")]
)
def test_the_same_field_leaves_one_conflict_with_both_values_and_the_ranked_winner(
    world: Served, ranking: list[str], winner: str
) -> None:
    world.apply(sync=strategy("ranked", ranking=ranking))
    incident = world.raised()
    shared = {"id": incident["id"], "keys": world.ticketed(incident["id"], SYSTEMS)}
    world.quiet()
    edits = {"snow": world.title(), "jira": world.title()}
    edit_both(world, shared, **edits)
    world.until(
        "one title in both", lambda: {title(world, shared, name) for name in SYSTEMS} == {edits[winner]}
    )
    world.quiet()
    found = conflicts(world, shared)
    assert len(found) == 1
    assert {found[0]["ours"], found[0]["theirs"]} == set(edits.values())
    assert found[0]["field"] == "title"
    assert found[0]["rule"] == "title.ranked"
    assert found[0][found[0]["winner"]] == edits[winner]

    world.ada.post(f"/conflicts/{found[0]['id']}/restore")
    loser = next(text for name, text in edits.items() if name != winner)
    world.until("the loser in both", lambda: {title(world, shared, name) for name in SYSTEMS} == {loser})
    world.quiet()
    assert {title(world, shared, name) for name in SYSTEMS} == {loser}


def test_manual_overwrites_nothing_until_somebody_decides(world: Served) -> None:
    world.apply(sync=strategy("manual"))
    incident = world.raised()
    shared = {"id": incident["id"], "keys": world.ticketed(incident["id"], SYSTEMS)}
    world.quiet()
    edits = {"snow": world.title(), "jira": world.title()}
    edit_both(world, shared, **edits)
    open_ones = world.until(
        "the open conflict", lambda: [each for each in conflicts(world, shared) if each["state"] == "open"]
    )
    world.quiet(seconds=4)
    assert {name: title(world, shared, name) for name in SYSTEMS} == edits, (
        "overwritten before anybody decided"
    )
    refused = world.people["vera"].call(
        "POST", f"/conflicts/{open_ones[0]['id']}/decision", {"winner": "theirs"}
    )
    assert refused.status == 403
    side = world.random.choice(("ours", "theirs"))
    world.ada.post(f"/conflicts/{open_ones[0]['id']}/decision", {"winner": side})
    world.until(
        "the decided title", lambda: {title(world, shared, name) for name in SYSTEMS} == {open_ones[0][side]}
    )
    decided = world.ada.get(f"/conflicts/{open_ones[0]['id']}")
    assert decided["state"] == "decided"
    assert decided["decided_by"] == world.person_ids["ada"]


def test_a_clock_ten_minutes_ahead_is_flagged_and_does_not_win(world: Served) -> None:
    world.apply(sync=strategy("latest", skew_seconds=1))
    snow: Any = world.partners.all["snow"].inside
    incident = world.raised()
    shared = {"id": incident["id"], "keys": world.ticketed(incident["id"], SYSTEMS)}
    world.quiet()
    true_clock = snow.instance.clock
    for name in SYSTEMS:  # the hub hears both, and writes to neither
        world.ada.post(f"/systems/{name}/pause", {"reason": "a conflict is staged"})
    try:
        snow.instance.clock = lambda: dt.datetime.now(dt.UTC) + dt.timedelta(minutes=10)
        early, late = world.title(), world.title()
        world.desks.edit("snow", shared["keys"]["snow"], title=early)
        path = f"/incidents/{shared['id']}"
        world.until("the early title at the hub", lambda: world.ada.get(path)["title"] == early)
        time.sleep(3)  # longer than the bound of skew
        world.desks.edit("jira", shared["keys"]["jira"], title=late)
        for name in SYSTEMS:
            world.ada.post(f"/systems/{name}/resume")
        found = world.until("the conflict", lambda: conflicts(world, shared))
        world.until("the later title", lambda: {title(world, shared, name) for name in SYSTEMS} == {late})
        about = [
            shared["id"],
            found[0]["id"],
            *(each["id"] for each in world.ada.all("/links", record=shared["id"])),
        ]
        entries = [each for one in about for each in world.ada.all("/journal", record=one)]
        flagged = [reason for each in entries for reason in each["why"] if "skewed" in json.dumps(reason)]
        assert flagged, "the clock that runs ahead is not flagged"
        assert {found[0]["ours"], found[0]["theirs"]} == {early, late}
    finally:
        snow.instance.clock = true_clock
