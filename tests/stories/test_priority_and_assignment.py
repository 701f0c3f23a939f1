"""D3, priority and assignment: who is hit decides how soon and by whom."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from typing import Any

import pytest
from tests.stories.sections import ALERTS, webhook
from tests.stories.served import Served

CRITICALITIES = ("gold", "silver", "bronze", "test")
SEVERITIES = ("critical", "error", "warning")
LEVELS = ("1", "2", "3", "4")
URGENCY = {"critical": "1", "error": "2", "warning": "3", "informational": "4"}
IMPACT = {"gold": "1", "silver": "2", "bronze": "3", "test": "4"}


@pytest.fixture(scope="module")
def world(serve: Callable[..., Served]) -> Served:
    return serve(receivers={"watch": webhook("watch", ALERTS)})


@pytest.fixture(scope="module")
def rules(world: Served) -> dict[str, Any]:
    """The tester's own table, groups and targets, drawn per run."""
    matrix = {impact: {urgency: world.random.choice(LEVELS) for urgency in LEVELS} for impact in LEVELS}
    # The ends differ, so that the same severity on a gold and on a test service must too.
    for urgency in LEVELS:
        matrix["1"][urgency], matrix["4"][urgency] = "1", world.random.choice(("3", "4"))
    group = f"Group {world.word()}"
    targets = {
        level: {
            "respond": f"PT{world.random.randrange(5, 30)}M",
            "resolve": f"PT{world.random.randrange(60, 600)}M",
        }
        for level in LEVELS
    }
    incident = {
        "matrix": matrix,
        "default_group": f"Desk {world.word()}",
        "assignment": [{"name": "first class", "group": group, "priorities": ["1"]}],
        "targets": targets,
    }
    world.apply(incident=incident, monitoring={"times": {"wait": "PT0S"}})
    return {**incident, "group": group}


def service(world: Served, criticality: str) -> tuple[dict[str, Any], str]:
    """Return a service and the name of a host that it runs on."""
    name, host = world.word(4), world.word(4)
    made = world.ada.post(
        "/cis",
        {
            "name": name,
            "ci_class": "business_service",
            "criticality": criticality,
            "environment": "production",
        },
    )
    world.ada.post("/cis", {"name": host, "ci_class": "application", "environment": "production"})
    world.ada.post("/relations", {"source_ci": name, "target_ci": host, "type": "depends_on"})
    return dict(made), host


def alerted(world: Served, host: str, severity: str) -> dict[str, Any]:
    """Return the incident that an alert about a host opens."""
    event = f"Down {world.word(4)}"
    labels = {"alertname": event, "host": host}
    body = {
        "id": event,
        "event": world.word(4),
        "severity": severity,
        "state": "firing",
        "summary": event,
        "labels": labels,
    }
    assert world.ingest("/webhook/watch", body, world.bearer("watch")).status == 202

    def opened() -> list[dict[str, Any]]:
        alerts = [each for each in world.ada.all("/alerts") if each["labels"].get("alertname") == event]
        return [world.ada.get(f"/incidents/{each['incident']}") for each in alerts if each["incident"]]

    return dict(world.until("the incident", opened)[0])


@pytest.mark.parametrize("severity", SEVERITIES)
@pytest.mark.parametrize("criticality", CRITICALITIES)
def test_priority_is_impact_by_urgency_as_the_table_says(
    world: Served, rules: dict[str, Any], criticality: str, severity: str
) -> None:
    _, host = service(world, criticality)
    incident = alerted(world, host, severity)
    assert incident["impact"] == IMPACT[criticality]
    assert incident["urgency"] == URGENCY[severity]
    assert incident["priority"] == rules["matrix"][IMPACT[criticality]][URGENCY[severity]]


def test_the_same_severity_hits_gold_and_test_differently(world: Served, rules: dict[str, Any]) -> None:
    del rules
    severity = world.random.choice(SEVERITIES)
    found = [alerted(world, service(world, each)[1], severity)["priority"] for each in ("gold", "test")]
    assert found[0] < found[1]


def test_a_changed_criticality_counts_from_the_next_alert_on(world: Served, rules: dict[str, Any]) -> None:
    del rules
    made, host = service(world, "test")
    before = alerted(world, host, "error")
    world.ada.post(f"/incidents/{before['id']}/resolve", {"code": "Restarted", "notes": "Restarted it."})
    world.ada.post(f"/incidents/{before['id']}/close")
    assert world.ada.call("PATCH", f"/cis/{made['id']}", {"criticality": "gold"}).status == 200
    after = alerted(world, host, "error")
    assert after["id"] != before["id"]
    assert (before["impact"], after["impact"]) == ("4", "1")
    assert world.ada.get(f"/incidents/{before['id']}")["priority"] == before["priority"]


def test_the_first_class_has_its_group_and_targets_and_others_have_not(
    world: Served, rules: dict[str, Any]
) -> None:
    first, last = (
        alerted(world, service(world, "gold")[1], "critical"),
        alerted(world, service(world, "test")[1], "critical"),
    )
    assert first["assignment_group"] == rules["group"]
    assert last["assignment_group"] == rules["default_group"]
    for incident in (first, last):
        target = rules["targets"][incident["priority"]]
        opened = dt.datetime.fromisoformat(incident["opened_at"])
        for name, due in (("respond", "respond_by"), ("resolve", "resolve_by")):
            minutes = int(target[name][2:-1])
            assert abs(
                dt.datetime.fromisoformat(incident[due]) - opened - dt.timedelta(minutes=minutes)
            ) < dt.timedelta(seconds=3)


def test_the_reason_of_priority_and_group_is_written_down(world: Served, rules: dict[str, Any]) -> None:
    incident = alerted(world, service(world, "gold")[1], "critical")
    told = " ".join(
        reason["text"] for each in world.ada.all("/journal", record=incident["id"]) for reason in each["why"]
    )
    assert "gold" in told
    assert rules["group"] in told or "first class" in told
