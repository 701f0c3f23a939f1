"""B2: a crosswalk of the tester's own making, values it does not know, and searching by what stands on the ticket."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest
from tests.stories.sections import everywhere, flow
from tests.stories.served import Served

COUNT = 12
LEVELS = ("1", "2", "3", "4")
DIRECTION = ("High", "Medium", "Low")
"""Priorities that Jira has and the crosswalk uses: four levels to three."""


def crosswalk(world: Served) -> dict[str, str]:
    """Return canonical level → Jira priority, drawn so that three values are used and two levels share one."""
    shared = world.random.choice(DIRECTION)
    values = [*DIRECTION, shared]
    world.random.shuffle(values)
    return dict(zip(LEVELS, values, strict=True))


def overlay(table: dict[str, str]) -> dict[str, Any]:
    inward: dict[str, str] = {}
    for level in LEVELS:
        inward.setdefault(table[level], level)
    return {
        "jira": {
            "incident": {"fields": {"priority": {"external": "priority", "outward": table, "inward": inward}}}
        }
    }


@pytest.fixture(scope="module")
def world(serve: Callable[..., Served]) -> Served:
    return serve(systems=("jira", "snow"))


@pytest.fixture(scope="module")
def table(world: Served) -> dict[str, str]:
    found = crosswalk(world)
    rule = {"id": "incident.priority", "field": "priority", "policy": "may_raise", "system_of_record": "hub"}
    world.apply(sync=flow(("jira",), rule), routes=everywhere("jira"), mappings=overlay(found))
    return found


@pytest.fixture(scope="module")
def tickets(world: Served, table: dict[str, str]) -> dict[str, tuple[str, str]]:
    """Incident → (its level, its key in Jira)."""
    del table
    found: dict[str, tuple[str, str]] = {}
    raised = []
    for _ in range(COUNT):
        incident = world.raised()
        level = world.random.choice(LEVELS)
        world.ada.call("PATCH", f"/incidents/{incident['id']}", {"priority": level})
        raised.append((incident["id"], level))
    for each, level in raised:
        found[each] = (level, world.ticketed(each, ("jira",))["jira"])
    world.quiet()
    return found


def shown(world: Served, key: str) -> str:
    return world.desks.ticket("jira", key).priority


def test_every_record_stands_there_as_the_tester_computes_it(
    world: Served, table: dict[str, str], tickets: dict[str, tuple[str, str]]
) -> None:
    assert {key: shown(world, key) for _, key in tickets.values()} == {
        key: table[level] for level, key in tickets.values()
    }


def test_what_people_there_raise_comes_back_and_what_they_lower_is_refused(
    world: Served, table: dict[str, str], tickets: dict[str, tuple[str, str]]
) -> None:
    inward = overlay(table)["jira"]["incident"]["fields"]["priority"]["inward"]
    ranked = sorted(set(table.values()), key=lambda name: inward[name])
    high, low = ranked[0], ranked[-1]
    incident = world.raised(impact="3", urgency="3")
    # Two levels share a word: one is chosen from which a raise can be said at all.
    level = max(each for each in LEVELS if table[each] != high)
    world.ada.call("PATCH", f"/incidents/{incident['id']}", {"priority": level})
    key = world.ticketed(incident["id"], ("jira",))["jira"]
    world.quiet()
    assert shown(world, key) == table[level]
    if inward[low] > level:
        world.desks.edit("jira", key, priority=low)
        world.until("the lower priority to be put back", lambda: shown(world, key) == table[level])
        assert world.ada.get(f"/incidents/{incident['id']}")["priority"] == level
    world.desks.edit("jira", key, priority=high)
    world.until(
        "the raise", lambda: world.ada.get(f"/incidents/{incident['id']}")["priority"] == inward[high]
    )
    world.desks.edit("jira", key, priority=low)
    world.until(
        "the lowering to be put back",
        lambda: shown(world, key) == high or table[inward[high]] == shown(world, key),
    )
    assert world.ada.get(f"/incidents/{incident['id']}")["priority"] == inward[high]


def test_an_unmapped_value_parks_one_field_and_the_rest_passes(
    world: Served, table: dict[str, str], tickets: dict[str, tuple[str, str]]
) -> None:
    assert "Lowest" not in table.values()
    incident = next(iter(tickets))
    key = tickets[incident][1]
    held = world.ada.get(f"/incidents/{incident}")["priority"]
    title = world.title()
    world.desks.edit("jira", key, priority="Lowest", title=title)
    world.until("the title", lambda: world.ada.get(f"/incidents/{incident}")["title"] == title)
    link = next(each for each in world.ada.all("/links", record=incident) if each["connection"] == "jira")
    parked = world.until("the parked field", lambda: _parked(world, link["id"]))
    assert parked == {"priority": "Lowest"}
    assert world.ada.get(f"/incidents/{incident}")["priority"] == held
    story = [
        reason["text"] for each in world.ada.all("/journal", record=link["id"]) for reason in each["why"]
    ]
    assert any("priority" in text and "Lowest" in text for text in story), story
    others = [each for each in tickets if each != incident]
    assert all(
        not _parked(world, next(link["id"] for link in world.ada.all("/links", record=each)))
        for each in others[:3]
    )


def _parked(world: Served, link: str) -> dict[str, str]:
    parts = (world.ada.get(f"/links/{link}")["parts"] or {}).get("parts", {})
    return {
        name: str(part.get("seen"))
        for name, part in parts.items()
        if isinstance(part, dict) and part.get("flag") == "divergent"
    }


def test_editing_one_row_of_the_table_changes_only_the_records_of_that_row(
    world: Served, table: dict[str, str], tickets: dict[str, tuple[str, str]]
) -> None:
    levels = [level for level, key in tickets.values()]
    level = world.random.choice(levels)
    new = world.random.choice([name for name in ("Highest", *DIRECTION) if name != table[level]])
    before = {each: shown(world, key) for each, (_, key) in tickets.items()}
    changed = {**table, level: new}
    now = {each: world.ada.get(f"/incidents/{each}")["priority"] for each in tickets}
    world.apply(mappings=overlay(changed))
    affected = {each for each in tickets if now[each] == level and before[each] == table[level]}
    world.until(
        "the affected records", lambda: all(shown(world, tickets[each][1]) == new for each in affected)
    )
    world.quiet()
    for each in set(tickets) - affected:
        if now[each] != level:
            assert shown(world, tickets[each][1]) == before[each]


def test_the_value_that_had_no_counterpart_comes_in_once_the_table_names_it(
    world: Served, tickets: dict[str, tuple[str, str]]
) -> None:
    incident = next(iter(tickets))
    key = tickets[incident][1]
    link = next(each for each in world.ada.all("/links", record=incident) if each["connection"] == "jira")
    if shown(world, key) != "Lowest":
        world.desks.edit("jira", key, priority="Lowest")
    world.until("the parked field", lambda: _parked(world, link["id"]) == {"priority": "Lowest"})
    mappings = copy.deepcopy(world.sections["mappings"])
    mappings["jira"]["incident"]["fields"]["priority"]["inward"]["Lowest"] = "1"
    world.apply(mappings=mappings)
    world.until("the value", lambda: world.ada.get(f"/incidents/{incident}")["priority"] == "1")
    world.until("agreement", lambda: not _parked(world, link["id"]))
    assert shown(world, key) == "Lowest"


def test_ours_is_written_over_a_value_without_counterpart_if_a_person_insists(
    world: Served, tickets: dict[str, tuple[str, str]]
) -> None:
    incident = list(tickets)[1]
    key, held = tickets[incident][1], shown(world, tickets[incident][1])
    link = next(each for each in world.ada.all("/links", record=incident) if each["connection"] == "jira")
    world.desks.edit("jira", key, priority="Trivial")
    world.until("the parked field", lambda: _parked(world, link["id"]))
    vera = world.people["vera"].call("POST", f"/links/{link['id']}/insist")
    assert (vera.status, shown(world, key)) == (403, "Trivial")
    done = world.operator("links", "insist", link["id"])
    assert done.returncode == 0, done.stdout + done.stderr
    world.until("ours", lambda: shown(world, key) == held)
    world.until("agreement", lambda: not _parked(world, link["id"]))


def test_the_plan_lists_the_pairs_that_do_not_survive_a_round_trip(world: Served) -> None:
    table = crosswalk(world)
    while overlay(table) == world.sections["mappings"]:
        table = crosswalk(world)
    plan = world.ada.post("/blueprint/plan", {"sections": {**world.sections, "mappings": overlay(table)}})
    shared = next(name for name in DIRECTION if list(table.values()).count(name) == 2)
    first, second = (level for level in LEVELS if table[level] == shared)
    lossy = [each for each in plan["affects"] if "lossy" in each]
    assert lossy == [
        f"jira, incident, lossy: priority: {second!r} goes out as {shared!r} and comes back as {first!r}."
    ]


def test_number_and_item_stand_on_the_ticket_and_find_it(world: Served) -> None:
    world.apply(sync=flow(("snow",)), routes=everywhere("snow"), mappings=None)
    incident = world.raised()
    key = world.ticketed(incident["id"], ("snow",))["snow"]
    snow: Any = world.partners.all["snow"].inside
    row = world.partners.inside(lambda: snow.shelf("incident").get(key))
    assert row["correlation_display"] == incident["number"]
    story = world.ada.get(f"/traces/{row['number']}")
    assert incident["id"] in {each["id"] for each in story["records"]}
    assert incident["id"] in {
        each["id"] for each in world.ada.get(f"/traces/{incident['number']}")["records"]
    }
