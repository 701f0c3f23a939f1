"""From events to incidents, on a real book."""

from __future__ import annotations

import random
from typing import Any

import pytest

from isthmus.kernel.instant import SECOND, Instant
from isthmus.ledger import reading
from isthmus.practices.configuration.models import Gap


def noisy(monitor: Any, signature: int, occurrence: int) -> Any:
    address, now = random.Random(signature * 100 + occurrence).randrange(2**40), monitor.book.clock.now()
    return monitor.event(
        "Crash",
        host=f"web-{signature:02d}",
        message=f"worker at 0x{address:x} died at 2026-11-20T12:{signature:02d}:{occurrence:02d}.{occurrence}Z",
        starts_at=Instant(now + occurrence * SECOND),
    )


@pytest.mark.parametrize("batch", [500, 37])
def test_500_alerts_of_20_signatures_are_20_incidents_with_25_occurrences(monitor: Any, batch: int) -> None:
    events = [noisy(monitor, signature, occurrence) for signature in range(20) for occurrence in range(25)]
    random.Random(7).shuffle(events)
    outcomes = []
    for start in range(0, len(events), batch):
        outcomes += monitor.send(*events[start : start + batch])
    assert len(monitor.incidents()) == 20
    assert [alert.occurrences for alert in monitor.alerts()] == [25] * 20
    assert len({outcome.event_id for outcome in outcomes}) == 500
    assert all(outcome.reason and outcome.records for outcome in outcomes)
    assert [outcome.what for outcome in outcomes].count("entry") == 20


def test_two_signatures_that_differ_in_one_significant_field_never_merge(monitor: Any) -> None:
    monitor.send(
        monitor.event("DiskFull", host="web-01", device="sda"),
        monitor.event("DiskFull", host="web-01", device="sdb"),
    )
    assert len(monitor.incidents()) == 2


def test_a_repeat_is_counted_and_adds_no_entry(monitor: Any) -> None:
    monitor.fire(host="web-01")
    (alert,) = monitor.alerts()
    assert monitor.fire(host="web-01").what == "repeat"
    (again,) = monitor.alerts()
    assert (again.occurrences, again.notifications, again.version) == (2, 2, alert.version)
    assert len(reading.history(alert.id)) == 1


def outage(monitor: Any, *, related: bool) -> list[Any]:
    names = [f"vm-{index:02d}" for index in range(40)]
    relations = [(name, "rack-switch") for name in names] if related else []
    monitor.map(
        [{"name": "rack-switch", "ci_class": "network_device"}, *({"name": name} for name in names)],
        relations,
    )
    return [
        monitor.event("SwitchDown", host="rack-switch"),
        *(monitor.event("Unreachable", host=name, severity="warning") for name in names),
    ]


@pytest.mark.parametrize(
    "order", ["parent first", "parent last", "one by one, parent last", "one by one, shuffled"]
)
def test_a_parent_outage_with_40_dependants_is_one_incident_with_40_children(
    monitor: Any, order: str
) -> None:
    events = outage(monitor, related=True)
    if order.endswith("last"):
        events = [*events[1:], events[0]]
    if order.endswith("shuffled"):
        random.Random(3).shuffle(events)
    for chunk in [[each] for each in events] if order.startswith("one") else [events]:
        monitor.send(*chunk)
        monitor.pass_time(seconds=0.05)
    monitor.pass_time(seconds=5)
    (incident,) = monitor.incidents()
    parent = monitor.alerts(decision="opened", incident=incident.id)
    children = monitor.alerts(decision="attached_to_parent", incident=incident.id)
    assert (len(parent), len(children)) == (1, 40)
    assert {child.parent for child in children} == {parent[0].id}
    assert all(
        "depends on" in child.decision_reason or "explains" in child.decision_reason for child in children
    )


def test_without_relations_the_same_outage_is_41_incidents(monitor: Any) -> None:
    monitor.send(*outage(monitor, related=False))
    assert len(monitor.incidents(state="new")) == 41


@pytest.mark.parametrize(
    ("labels", "how"),
    [({"host": "shop-db"}, "alias"), ({"instance": "10.0.0.7:9100"}, "address"), ({"host": "db-01"}, "name")],
)
def test_an_alert_that_names_a_host_by_alias_or_address_is_bound(
    monitor: Any, labels: dict[str, str], how: str
) -> None:
    monitor.map(
        [
            {
                "name": "db-01",
                "aliases": ["shop-db"],
                "addresses": ["10.0.0.7"],
                "support_group": "databases",
                "criticality": "gold",
            }
        ]
    )
    monitor.fire(**labels)
    (alert,), (incident,) = monitor.alerts(), monitor.incidents()
    assert (alert.ci, alert.binding) == (monitor.cis["db-01"], how)
    assert (incident.ci, incident.assignment_group, incident.priority) == (alert.ci, "databases", "1")


def test_an_alert_on_an_unknown_host_makes_an_incident_and_a_gap(monitor: Any) -> None:
    monitor.fire(host="nobody-knows-me")
    (incident,) = monitor.incidents()
    (gap,) = Gap.objects.all()
    assert (incident.ci, gap.hint, gap.state) == ("", "nobody-knows-me", "open")


def test_an_informational_alert_makes_none(monitor: Any) -> None:
    outcome = monitor.fire(severity="informational", host="web-01")
    assert monitor.incidents() == []
    assert "informational" in outcome.reason


def test_a_clear_of_something_unknown_opens_nothing(monitor: Any) -> None:
    assert monitor.clear(host="web-01").what == "ignored"
    assert monitor.alerts() == monitor.incidents() == []


def test_clear_then_stable_resolves_and_not_before(monitor: Any) -> None:
    monitor.fire(host="web-01")
    monitor.clear(host="web-01")
    monitor.pass_time(minutes=4.9)
    assert monitor.incidents()[0].state == "new"
    monitor.pass_time(minutes=0.2)
    assert monitor.incidents()[0].state == "resolved"


def test_a_fire_again_before_it_was_stable_keeps_it_open(monitor: Any) -> None:
    monitor.fire(host="web-01")
    monitor.clear(host="web-01")
    monitor.pass_time(minutes=3)
    monitor.fire(host="web-01")
    monitor.pass_time(minutes=30)
    (incident,) = monitor.incidents()
    assert incident.state == "new"


def test_a_fire_again_after_the_resolution_reopens_the_same_incident(monitor: Any) -> None:
    monitor.fire(host="web-01")
    monitor.clear(host="web-01")
    monitor.pass_time(minutes=20)
    monitor.fire(host="web-01")
    (incident,) = monitor.incidents()
    assert incident.state == "in_progress"
    assert any("fired again" in reason.text for entry in reading.history(incident.id) for reason in entry.why)


def test_a_closed_incident_never_absorbs_alerts(monitor: Any) -> None:
    monitor.fire(host="web-01")
    monitor.clear(host="web-01")
    monitor.pass_time(minutes=90)
    monitor.fire(host="web-01")
    assert [each.state for each in monitor.incidents()] == ["resolved", "new"]
    assert len(monitor.alerts()) == 2
    assert len(monitor.alerts(open=True)) == 1


def test_alerts_of_two_organisations_never_meet(monitor: Any) -> None:
    other = monitor.book.add_organisation("Other")
    monitor.send(monitor.event(host="web-01"), monitor.event(host="web-01", organisation=other))
    assert sorted(each.organisation for each in monitor.incidents()) == sorted(
        [monitor.book.organisation, other]
    )
