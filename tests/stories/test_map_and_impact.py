"""G1 and G4: the map keeps its rules, and what depends on what is computed as the tester computes it."""

from __future__ import annotations

import datetime as dt
import itertools
import time
from collections import deque
from collections.abc import Callable, Iterable
from typing import Any

import pytest
from tests.stories.sections import ALERTS, webhook
from tests.stories.served import Served

ITEMS = 200


def later(minutes: float) -> str:
    return (dt.datetime.now(dt.UTC) + dt.timedelta(minutes=minutes)).strftime("%Y-%m-%dT%H:%M:%SZ")


@pytest.fixture(scope="module")
def world(serve: Callable[..., Served]) -> Served:
    section = {
        "classes": [
            {
                "name": "pump",
                "parent": "infrastructure",
                "required": ["owner"],
                "attributes": {"litres": {"type": "integer", "required": True}},
            },
            {"name": "fire_pump", "parent": "pump"},
        ],
        "relations": [{"type": "depends_on", "acyclic": True}],
    }
    receivers = {
        "watch": webhook("watch", ALERTS),
        "inventory": {"connector": "csv", "config": {"token": {"secret": "env:STORY_INVENTORY"}}},
    }
    # What fires again opens a new incident at once, so that one signature recurs within the test.
    monitoring = {"times": {"wait": "PT0S", "stable": "PT1S", "reopen": "PT1S"}}
    incidents = {"default_group": "Service desk", "reopen_within": "PT1S"}
    return serve(
        receivers=receivers,
        sections={"configuration": section, "monitoring": monitoring, "incident": incidents},
    )


Graph = dict[str, set[str]]


@pytest.fixture(scope="module")
def graph(world: Served) -> tuple[Graph, set[str]]:
    """Import a random acyclic graph from the tester's own CSV files: item → what it depends on; and the services."""
    names = [world.word(4) for _ in range(ITEMS)]
    services = set(world.random.sample(names[: ITEMS // 3], 15))
    depends: Graph = {name: set() for name in names}
    for place, name in enumerate(names):
        for _ in range(world.random.randrange(0, 4)):
            if place + 1 < ITEMS:
                depends[name].add(world.random.choice(names[place + 1 :]))
    items = "\n".join(
        [
            "external_key,name,ci_class",
            *(f"{n},{n},{'business_service' if n in services else 'application'}" for n in names),
        ]
    )
    ties = "\n".join(
        [
            "source_ci,target_ci,type",
            *(f"{s},{t},depends_on" for s, held in depends.items() for t in sorted(held)),
        ]
    )
    edges = sum(map(len, depends.values()))
    for text in (ties, items):  # relations first: they wait for their items
        reply = world.ingest(
            "/csv/inventory", text.encode(), {**world.bearer("inventory"), "Content-Type": "text/csv"}
        )
        assert reply.status == 202, reply.body
    world.until("the items", lambda: len(world.ada.all("/cis")) >= ITEMS)
    world.until("the relations", lambda: len(world.ada.all("/relations")) >= edges)
    return depends, services


def reached(depends: Graph, start: str, *, up: bool) -> dict[str, int]:
    """ORC: what `start` depends on (up) or what depends on it, with the hops."""
    back: Graph = {name: set() for name in depends}
    for source, held in depends.items():
        for target in held:
            back[target].add(source)
    ways, found, waiting = depends if up else back, {start: 0}, deque([start])
    while waiting:
        here = waiting.popleft()
        for following in ways[here]:
            if following not in found:
                found[following] = found[here] + 1
                waiting.append(following)
    del found[start]
    return found


def hops(items: Iterable[dict[str, Any]]) -> dict[str, int]:
    return {each["name"]: each["hops"] for each in items}


def test_affected_services_are_those_downstream_with_their_distance(
    world: Served, graph: tuple[Graph, set[str]]
) -> None:
    depends, services = graph
    for start in world.random.sample(sorted(depends), 12):
        told = world.ada.post("/impact", {"cis": [start]})
        down, up = reached(depends, start, up=False), reached(depends, start, up=True)
        own = {start: 0} if start in services else {}
        assert hops(told["dependants"]) == down
        assert hops(told["upstream"]) == up
        assert hops(told["services"]) == own | {name: far for name, far in down.items() if name in services}


def test_one_more_relation_changes_only_what_it_reaches(world: Served, graph: tuple[Graph, set[str]]) -> None:
    depends, _ = graph
    target = next(name for name in reversed(list(depends)) if len(reached(depends, name, up=False)) > 3)
    stranger = world.word(4)
    untouched = world.random.choice(
        [n for n in depends if n != target and n not in reached(depends, target, up=True)]
    )
    before = {name: world.ada.post("/impact", {"cis": [name]}) for name in (target, untouched)}
    world.ada.post("/cis", {"name": stranger, "ci_class": "business_service"})
    tie = world.ada.post("/relations", {"source_ci": stranger, "target_ci": target, "type": "depends_on"})
    after = {name: world.ada.post("/impact", {"cis": [name]}) for name in (target, untouched)}
    assert hops(after[target]["services"]) == hops(before[target]["services"]) | {stranger: 1}
    assert hops(after[untouched]["dependants"]) == hops(before[untouched]["dependants"])
    assert after[target]["graph_version"] != before[target]["graph_version"]
    assert world.ada.call("DELETE", f"/relations/{tie['id']}").status == 200
    assert hops(world.ada.post("/impact", {"cis": [target]})["services"]) == hops(before[target]["services"])


def test_the_map_of_a_past_moment_is_the_map_of_then(world: Served) -> None:
    names = [world.word(4) for _ in range(3)]
    ids = {name: world.ada.post("/cis", {"name": name, "ci_class": "application"})["id"] for name in names}
    tie = world.ada.post("/relations", {"source_ci": names[0], "target_ci": names[1]})
    then = dt.datetime.now(dt.UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    world.ada.call("DELETE", f"/relations/{tie['id']}")
    world.ada.post("/relations", {"source_ci": names[0], "target_ci": names[2]})
    now = world.ada.get("/graph", ci=names[0], hops="1")
    past = world.ada.get("/graph", ci=names[0], hops="1", at=then)
    assert {(e["source"], e["target"]) for e in now["edges"]} == {(ids[names[0]], ids[names[2]])}
    assert {(e["source"], e["target"]) for e in past["edges"]} == {(ids[names[0]], ids[names[1]])}


@pytest.mark.parametrize("ci_class", ["pump", "fire_pump"])
def test_an_item_without_a_required_attribute_is_refused_also_by_inheritance(
    world: Served, ci_class: str
) -> None:
    name = world.word(4)
    whole = {"name": name, "ci_class": ci_class, "owner": world.word(), "attributes": {"litres": 40}}
    for missing in ("owner", "attributes"):
        reply = world.ada.call("POST", "/cis", {key: value for key, value in whole.items() if key != missing})
        assert reply.status == 422, reply.body
        said = str(reply.body["errors"])
        assert ("litres" if missing == "attributes" else "owner") in said
    assert world.ada.get("/cis", name=name)["items"] == []
    assert world.ada.call("POST", "/cis", whole).status == 201


def test_forbidden_pairs_and_cycles_are_refused(world: Served) -> None:
    server, app, top = world.word(4), world.word(4), world.word(4)
    for name, ci_class in ((server, "server"), (app, "application"), (top, "application")):
        world.ada.post("/cis", {"name": name, "ci_class": ci_class})
    wrong = world.ada.call("POST", "/relations", {"source_ci": server, "target_ci": app, "type": "hosted_on"})
    assert wrong.status == 422
    assert wrong.body["errors"]
    assert (
        world.ada.call(
            "POST", "/relations", {"source_ci": app, "target_ci": server, "type": "hosted_on"}
        ).status
        == 201
    )
    assert world.ada.call("POST", "/relations", {"source_ci": top, "target_ci": app}).status == 201
    assert world.ada.call("POST", "/relations", {"source_ci": app, "target_ci": top}).status == 422


def change_on(world: Served, ci: str) -> dict[str, Any]:
    found: dict[str, Any] = world.ada.post(
        "/changes",
        {
            "title": world.title(), "type": "normal", "cis": [ci], "environment": "production",
            "window_start": later(-5), "window_end": later(60), "implementation_plan": "Roll out.", "backout_plan": "Roll back.",
        },
    )  # fmt: skip
    return found


def test_approval_needs_a_report_of_the_present_map(world: Served, graph: tuple[Graph, set[str]]) -> None:
    depends, _ = graph
    ci = world.random.choice(list(depends)[: ITEMS // 2])
    raised = change_on(world, ci)
    path = f"/changes/{raised['id']}"
    early = world.grace.call("POST", f"{path}/approve", {"comment": "blind"})
    assert early.status in {403, 409}
    world.ada.post(f"{path}/submit")
    world.ada.post(f"{path}/assess")
    told = world.ada.get(path)
    assert told["impact_report"]["graph_version"]
    assert not told["report_outdated"]
    world.ada.post(f"{path}/request-approval")
    world.ada.post("/relations", {"source_ci": ci, "target_ci": list(depends)[-1], "type": "member_of"})
    assert world.ada.get(path)["report_outdated"]
    refused = world.grace.call("POST", f"{path}/approve", {"comment": "as before"})
    assert refused.status == 409
    assert "outdated" in refused.body["detail"] + refused.body["remedy"]
    assert world.ada.get(path)["authorisation"] != "approved"
    rebuilt = world.ada.call("POST", f"{path}/assess")
    assert rebuilt.status == 200, rebuilt.body
    if world.ada.get(path)["state"] == "assessment":
        world.ada.post(f"{path}/request-approval")
    assert world.grace.call("POST", f"{path}/approve", {"comment": "seen"}).status == 200


def broken(world: Served, host: str, event: str) -> dict[str, Any]:
    """Have monitoring report the same thing about a host; return the incident that is open for it."""
    labels = {"alertname": event, "host": host}
    body = {
        "id": f"{event}-{host}",
        "event": world.word(4),
        "severity": "critical",
        "state": "firing",
        "summary": event,
        "labels": labels,
    }
    assert world.ingest("/webhook/watch", body, world.bearer("watch")).status == 202

    def found() -> list[dict[str, Any]]:
        return [each for each in world.ada.all("/incidents", open="true") if each["title"].startswith(event)]

    incident = world.until("the incident", found)[0]
    return dict(incident)


@pytest.mark.parametrize("around", ["a pending change", "nothing"])
def test_the_third_of_a_kind_is_diagnosed_only_after_the_changes_around_it_were_looked_at(
    world: Served, around: str
) -> None:
    chain = [world.word(4) for _ in range(3)]
    for name in chain:
        world.ada.post("/cis", {"name": name, "ci_class": "application"})
    for source, target in itertools.pairwise(chain):
        world.ada.post("/relations", {"source_ci": source, "target_ci": target})
    raised = change_on(world, chain[2]) if around == "a pending change" else None
    event = f"Down {world.word(4)}"
    for _ in range(2):
        incident = broken(world, chain[0], event)
        world.ada.post(
            f"/incidents/{incident['id']}/resolve", {"code": "Restarted", "notes": "Restarted it."}
        )
        world.ada.post(f"/incidents/{incident['id']}/close")
        labels = {"alertname": event, "host": chain[0]}
        body = {
            "id": f"{event}-{chain[0]}",
            "event": world.word(4),
            "severity": "critical",
            "state": "resolved",
            "summary": event,
            "labels": labels,
        }
        world.ingest("/webhook/watch", body, world.bearer("watch"))
        world.until(
            "the end of the alert",
            lambda: all(
                a["state"] == "resolved"
                for a in world.ada.all("/alerts")
                if a["labels"].get("alertname") == event
            ),
        )
        time.sleep(2.5)  # longer than what fires again belongs to the same incident
    third = broken(world, chain[0], event)
    path = f"/incidents/{third['id']}"
    refused = world.ada.call("PATCH", path, {"state": "in_progress"})
    assert refused.status == 422, refused.body
    assert "collision" in str(refused.body["errors"])
    assert world.ada.get(path)["state"] == "new"
    checked = world.ada.post(f"{path}/collision-check")["collision_checked"]
    ids = {world.ada.get("/cis", name=name)["items"][0]["id"] for name in chain}
    assert set(checked["cis_searched"]) == ids
    if raised is None:
        assert checked["result"] == "none found"
    else:
        assert raised["number"] in checked["changes"]
        suspects = world.ada.get(f"{path}/suspects")["items"]
        assert [(each["change"], each["hops"]) for each in suspects] == [(raised["id"], 2)]
    assert world.ada.call("PATCH", path, {"state": "in_progress"}).status == 200
