"""C2: who may write which field, by rule; a refused write is on record under the rule's id."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from tests.stories.sections import ALERTS, FIELD_OWNER, everywhere, flow, webhook
from tests.stories.served import Served

SYSTEMS = ("snow", "jira")


@pytest.fixture(scope="module")
def world(serve: Callable[..., Served]) -> Served:
    sections = {
        "sync": flow(SYSTEMS),
        "routes": everywhere(*SYSTEMS),
        "monitoring": {"times": {"wait": "PT0S"}},
    }
    return serve(systems=SYSTEMS, receivers={"watch": webhook("watch", ALERTS)}, sections=sections)


def priority(world: Served, keys: dict[str, str], name: str) -> str:
    return world.desks.ticket(name, keys[name]).priority


def from_monitoring(world: Served) -> dict[str, Any]:
    """Return an incident that an alert opened."""
    summary = world.title()
    labels = {"alertname": world.word(), "host": world.word()}
    body = {
        "id": world.word(),
        "event": world.word(),
        "severity": "warning",
        "state": "firing",
        "summary": summary,
        "labels": labels,
    }
    assert world.ingest("/webhook/watch", body, world.bearer("watch")).status == 202
    found = world.until(
        "the alert's incident",
        lambda: [each for each in world.ada.all("/incidents") if each["title"] == summary],
    )
    return dict(found[0])


def blocked(world: Served, record: str, rule: str) -> list[dict[str, Any]]:
    """Return the reasons that name the rule, on record with the incident or one of its links."""
    about = [record, *(each["id"] for each in world.ada.all("/links", record=record))]
    return [
        reason
        for one in about
        for each in world.ada.all("/journal", record=one)
        for reason in each["why"]
        if reason["rule"] == rule
    ]


@pytest.mark.parametrize("allowed", ["webhook", "api"])
def test_priority_passes_from_the_named_origin_only_and_inverts_with_the_rule(
    world: Served, allowed: str
) -> None:
    """0.3.3: priority may be changed where the incident came from monitoring, not where a desk opened it."""
    rule = f"priority.{world.word()}"
    when = f"record.channel == '{allowed}'" if allowed == "webhook" else "record.channel != 'webhook'"
    when = when.replace("record.channel", "channel")
    entry = {"id": rule, "field": "priority", "policy": "latest", "skew_seconds": 0, "when": when}
    world.apply(sync=flow(SYSTEMS, entry))
    opened = {"webhook": from_monitoring(world), "api": world.raised(impact="4", urgency="3")}
    for origin, incident in opened.items():
        keys = world.ticketed(incident["id"], SYSTEMS)
        world.quiet()
        before = priority(world, keys, "jira")
        jira_writes = len(world.calls("jira", writes=True))
        world.desks.edit("snow", keys["snow"], priority="1")
        if origin == allowed:
            world.until("the priority in Jira", lambda k=keys: priority(world, k, "jira") == "Highest")
        else:
            world.until(
                f"the refusal on record under {rule}", lambda i=incident: blocked(world, i["id"], rule)
            )
            world.quiet()
            assert priority(world, keys, "jira") == before
            assert len(world.calls("jira", writes=True)) == jira_writes


def test_a_type_without_master_and_a_field_with_two_are_both_named_and_nothing_is_put_in_force(
    world: Served,
) -> None:
    generation = world.ada.get("/blueprint")["generation"]
    section = flow(
        SYSTEMS,
        {"id": "a", "field": "title", "system_of_record": "snow", "policy": "owner"},
        {"id": "b", "field": "title", "system_of_record": "jira", "policy": "owner"},
        system_of_record="",
    )
    reply = world.applied(sync=section)
    assert reply.status == 422
    said = " ".join(f"{each['pointer']} {each['message']}" for each in reply.body["errors"])
    assert "no master" in said
    assert "two masters" in said
    assert "jira and snow" in said
    assert world.ada.get("/blueprint")["generation"] == generation


def test_a_cycle_of_masters_is_named(world: Served) -> None:
    section = flow(
        SYSTEMS,
        {"id": "a", "field": "title", "connections": ["snow"], "system_of_record": "jira"},
        {"id": "b", "field": "title", "connections": ["jira"], "system_of_record": "snow"},
    )
    reply = world.applied(sync=section)
    assert reply.status == 422
    assert any("cycle" in each["message"] for each in reply.body["errors"])


def test_a_flow_whose_owner_went_shows_a_gap(world: Served) -> None:
    reply = world.applied(sync=flow(SYSTEMS, owner=""))
    assert reply.status == 422
    assert [each["pointer"] for each in reply.body["errors"]] == ["/sync/incident/owner"]
    assert "gap" in reply.body["errors"][0]["message"]
    assert world.applied(sync=flow(SYSTEMS, owner=FIELD_OWNER)).status == 200


def test_a_read_only_direction_is_never_written(world: Served) -> None:
    rule = f"title.{world.word()}"
    world.apply(
        sync=flow(
            SYSTEMS,
            {"id": rule, "field": "title", "connections": ["snow"], "direction": "in", "skew_seconds": 0},
        )
    )
    incident = world.raised()
    keys = world.ticketed(incident["id"], SYSTEMS)
    world.quiet()
    held, new = world.desks.ticket("snow", keys["snow"]).title, world.title()
    writes = len(world.calls("snow", writes=True))
    world.desks.edit("jira", keys["jira"], title=new)
    world.until("the title at the hub", lambda: world.ada.get(f"/incidents/{incident['id']}")["title"] == new)
    world.quiet(seconds=3)
    assert world.desks.ticket("snow", keys["snow"]).title == held
    assert len(world.calls("snow", writes=True)) == writes
    back = world.title()
    world.desks.edit("snow", keys["snow"], title=back)
    world.until("the other way to be open", lambda: world.desks.ticket("jira", keys["jira"]).title == back)


def test_a_field_owned_by_one_system_is_put_back_where_others_change_it(world: Served) -> None:
    rule = f"title.{world.word()}"
    world.apply(
        sync=flow(SYSTEMS, {"id": rule, "field": "title", "policy": "owner", "system_of_record": "snow"})
    )
    incident = world.raised()
    keys = world.ticketed(incident["id"], SYSTEMS)
    world.quiet()
    owned = world.title()
    world.desks.edit("snow", keys["snow"], title=owned)
    world.until("the owner's title in Jira", lambda: world.desks.ticket("jira", keys["jira"]).title == owned)
    world.quiet()
    world.desks.edit("jira", keys["jira"], title=world.title())
    world.until("the refusal on record", lambda: blocked(world, incident["id"], rule))
    world.until(
        "the owner's title back in Jira", lambda: world.desks.ticket("jira", keys["jira"]).title == owned
    )
    assert world.desks.ticket("snow", keys["snow"]).title == owned


def test_only_those_who_may_configure_change_the_boundary(world: Served) -> None:
    assert world.people["vera"].call("POST", "/blueprint/apply", {"sections": {}}).status == 403
    assert world.grace.call("POST", "/blueprint/apply", {"sections": {}}).status == 403
