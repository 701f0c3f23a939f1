"""From an alert of a real Alertmanager's shape to one ticket at the service desk, through the real pump."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any

import pytest
from tests.stories import world as worlds

from isthmus.kernel.errors import Forbidden
from isthmus.ledger import reading
from isthmus.practices.configuration.models import Gap
from isthmus.practices.incident import service as incidents
from isthmus.practices.monitoring import events

DESK = {
    "default_group": "Service desk",
    "assignment": [{"name": "payments", "group": "Payments platform", "services": ["payments"]}],
    "targets": {"1": {"respond": "PT10M", "resolve": "PT2H"}},
}
SHOP = [
    {"name": "payments", "ci_class": "service", "criticality": "gold"},
    {"name": "sandbox", "ci_class": "service", "criticality": "test"},
    {"name": "mq-01", "aliases": ["queue-a"], "addresses": ["10.1.2.3"]},
    {"name": "box-01"},
]
ON_TOP = [("payments", "mq-01"), ("sandbox", "box-01")]


@pytest.fixture
def world(book: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[worlds.World]:
    with worlds.opened(book, monkeypatch) as found:
        found.apply(incident=DESK)
        yield found


# D1: binding and creation ----------------------------------------------------------------------------------


@pytest.mark.parametrize("labels", [{"host": "queue-a"}, {"instance": "10.1.2.3:9100"}])
def test_a_host_named_by_alias_or_address_gives_a_ticket_with_all_that_is_known(
    world: worlds.World, labels: dict[str, str]
) -> None:
    world.map(SHOP, ON_TOP)
    change = world.change("mq-01")
    assert world.fire("QueueBacklog", **labels) == 202
    world.settle()
    row = world.row("snow")
    assert row["short_description"].startswith("QueueBacklog on ")
    assert row["short_description"].endswith("(mq-01)")
    for fact in ("Item: mq-01", "Service: payments", "Severity: critical", change.number):
        assert fact in row["description"]
    assert world.incident().assignment_group == "Payments platform"
    assert row["priority"] == "1"


def test_a_host_that_is_on_no_map_gets_its_incident_and_the_gap_is_listed(world: worlds.World) -> None:
    world.fire(host="ghost-77")
    world.settle()
    assert world.tickets("snow") == 1
    assert [each.hint for each in Gap.objects.all()] == ["ghost-77"]


def test_informational_events_are_kept_and_open_nothing(world: worlds.World) -> None:
    world.fire("DeploymentFinished", severity="info", host="box-01")
    world.settle()
    assert (world.incidents(), world.tickets("snow")) == ([], 0)
    assert world.alerts()[0].decision == "informational"


def test_a_wrong_token_is_refused_and_nothing_is_stored(world: worlds.World) -> None:
    assert world.alertmanager(world.alert(), token="guessed") == 401
    world.settle()
    assert world.log.durable("prometheus") == 0
    assert (world.alerts(), world.tickets("snow")) == ([], 0)


def test_what_clears_and_stays_clear_is_resolved_at_the_desk_and_not_before(world: worlds.World) -> None:
    world.fire(host="web-01")
    world.settle()
    assert world.ticket("snow").state == "1"
    world.clear(host="web-01")
    world.pass_time(minutes=4.5)
    assert world.ticket("snow").state == "1"
    world.pass_time(minutes=1)
    assert world.ticket("snow").state == "6"


# D2: one incident for what belongs together ----------------------------------------------------------------


def signature(world: worlds.World, number: int, chance: random.Random) -> dict[str, Any]:
    moment = f"2026-11-20T12:{chance.randrange(60):02d}:{chance.randrange(60):02d}.{chance.randrange(999)}Z"
    return world.alert(
        "Crash", host=f"web-{number:02d}", detail=f"worker 0x{chance.randrange(2**40):x} died at {moment}"
    )


def test_500_alerts_of_20_signatures_are_20_tickets_and_every_event_has_its_decision(
    world: worlds.World,
) -> None:
    chance = random.Random(4)
    sent = [signature(world, number, chance) for number in range(20) for _ in range(25)]
    chance.shuffle(sent)
    for start in range(0, 500, 50):
        assert world.alertmanager(*sent[start : start + 50]) == 202
    world.settle()
    assert world.tickets("snow") == 20
    assert [each.occurrences for each in world.alerts()] == [25] * 20
    outcomes = _outcomes(world)
    assert len(outcomes) == 500
    assert {each.position for each in outcomes} == set(range(1, 11))
    assert all(each.reason and each.records for each in outcomes)


def _outcomes(world: worlds.World) -> list[Any]:
    """Return what became of each of the events that were sent, found by the id that the source gave it."""
    connection = worlds.connections.get("prometheus")
    messages = world.log.read(connection.name, 0, messages_max=99)
    return [
        events.outcome_of(connection.name, each.event_id)
        for message in messages
        for each in connection.connector.source.parse(
            message.body, dict(message.headers), connection.pure_context()
        )
    ]


def test_two_alerts_that_differ_in_one_significant_field_never_merge(world: worlds.World) -> None:
    world.alertmanager(world.alert(host="web-01", device="sda"), world.alert(host="web-01", device="sdb"))
    world.settle()
    assert world.tickets("snow") == 2


def outage(world: worlds.World, *, related: bool) -> list[dict[str, Any]]:
    names = [f"vm-{number:02d}" for number in range(40)]
    items = [{"name": "rack-switch", "ci_class": "network_device"}, *({"name": name} for name in names)]
    world.map(items, [(name, "rack-switch") for name in names] if related else [])
    alerts = [world.alert("Unreachable", host=name, severity="warning") for name in names]
    return [*alerts, world.alert("SwitchDown", host="rack-switch")]


@pytest.mark.parametrize("order", ["parent last", "parent first", "shuffled", "parent last, hub killed"])
def test_an_outage_with_40_dependants_is_one_ticket_in_any_order(world: worlds.World, order: str) -> None:
    alerts = outage(world, related=True)
    if order == "parent first":
        alerts.reverse()
    if order == "shuffled":
        random.Random(7).shuffle(alerts)
    for start in range(0, 41, 20):
        world.alertmanager(*alerts[start : start + 20])
        world.settle()
        world.book.clock.forward(seconds=0.5)
        if order.endswith("killed"):
            world.kill()
    world.pass_time(seconds=10)
    assert world.tickets("snow") == 1
    (parent,) = world.alerts(decision="opened")
    children = world.alerts(decision="attached_to_parent", incident=world.incident().id)
    assert {each.parent for each in children} == {parent.id}
    assert len(children) == 40


def test_without_the_relations_the_same_outage_is_41_incidents(world: worlds.World) -> None:
    world.alertmanager(*outage(world, related=False))
    world.pass_time(seconds=10)
    assert len(world.incidents()) == world.tickets("snow") == 41


def test_a_hub_killed_while_alerts_wait_opens_their_incidents_once(world: worlds.World) -> None:
    world.map([{"name": "vm-01"}, {"name": "switch"}], [("vm-01", "switch")])
    world.fire(host="vm-01")
    world.settle()
    assert world.alerts()[0].decision == "waiting"
    assert world.tickets("snow") == 0
    world.kill()
    world.pass_time(seconds=10)
    world.kill()
    world.pass_time(seconds=10)
    assert world.tickets("snow") == 1


# D3: priority, assignment, major incidents -----------------------------------------------------------------


def test_the_same_severity_on_a_gold_and_on_a_test_service_differs_at_the_desk(world: worlds.World) -> None:
    world.map(SHOP, ON_TOP)
    world.alertmanager(world.alert(host="mq-01"), world.alert(host="box-01"))
    world.settle()
    gold, test = sorted(world.incidents(), key=lambda each: each.priority)
    assert world.row("snow", gold)["priority"] == "1"
    assert int(world.row("snow", test)["priority"]) > 1
    said = [reason.text for entry in reading.history(gold.id) for reason in entry.why]
    assert any("gold" in text for text in said)


def test_a_changed_criticality_counts_for_the_next_alert(world: worlds.World) -> None:
    world.map(SHOP, ON_TOP)
    world.fire("First", host="box-01")
    world.settle()
    world.map([{"name": "sandbox", "ci_class": "service", "criticality": "gold"}])
    world.fire("Second", host="box-01")
    world.settle()
    before, after = world.incidents()
    assert (int(before.priority) > 1, after.priority) == (True, "1")


def test_priority_1_has_its_group_and_targets_as_configured(world: worlds.World) -> None:
    world.map(SHOP, ON_TOP)
    world.fire(host="mq-01")
    world.settle()
    incident = world.incident()
    assert incident.assignment_group == "Payments platform"
    assert incident.respond_by - incident.opened_at == 10 * worlds.MINUTE
    assert incident.resolve_by - incident.opened_at == 2 * worlds.HOUR


def test_in_a_major_incident_only_the_owner_fires_triggers_until_it_closes(world: worlds.World) -> None:
    world.apply(
        incident={**DESK, "major": {"priorities": ["1"], "owner": "operations"}},
        desks={"operations": {"roles": ["change_manager"]}, "Service desk": {"roles": ["agent"]}},
    )
    world.map(SHOP, ON_TOP)
    world.fire(host="mq-01")
    world.settle()

    def move(role: str, **values: str) -> None:
        world.do(role, lambda work: incidents.update(work, incidents.get(work, world.incident().id), values))

    solved = {"state": "resolved", "resolution_code": "fixed", "resolution_notes": "Restarted."}
    with pytest.raises(Forbidden, match="operations owns the trigger “resolve”, not Service desk"):
        move("agent", **solved)
    with pytest.raises(Forbidden, match="“assign”"):
        move("agent", assignment_group="Service desk")
    assert world.incident().state != "resolved"
    move("change_manager", **solved)
    move("change_manager", state="closed")
    move("agent", assignment_group="Service desk")
    assert world.incident().assignment_group == "Service desk"


# A partner's resolution ------------------------------------------------------------------------------------


def test_what_one_desk_resolves_without_code_or_notes_is_resolved_at_the_stricter_one_too(
    book: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    with worlds.opened(book, monkeypatch, systems=("snow", "jira")) as world:
        world.fire(host="web-01")
        world.settle()
        world.edit("jira", state="Resolved")
        world.pass_time(seconds=10)
        world.poll()
        world.settle()
        assert world.incident().state == "resolved"
        row = world.row("snow")
        assert (row["state"], bool(row["close_code"]), bool(row["close_notes"])) == ("6", True, True)
        assert row["close_code"] == world.incident().resolution_code
