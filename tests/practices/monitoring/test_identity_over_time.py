"""A rule of identity may change while alerts are open: they stay the same alerts."""

from __future__ import annotations

from typing import Any

from isthmus.blueprint import running
from isthmus.ledger import reading
from isthmus.practices.monitoring import checks
from isthmus.practices.monitoring.blueprint import MonitoringSection

OLD = {"fields": ["labels.*"], "version": 1}
COARSER = {"fields": ["labels.alertname", "labels.host"], "version": 2}


def test_an_open_alert_of_the_old_rule_is_found_by_the_new_one(monitor: Any) -> None:
    monitor.configure(monitoring={"identity": OLD})
    monitor.fire(host="web-01", job="node")
    monitor.configure(monitoring={"identity": {**COARSER, "earlier": [OLD]}})
    monitor.fire(host="web-01", job="node")
    (alert,) = monitor.alerts()
    assert (alert.identity_version, alert.occurrences) == (2, 2)
    assert any(
        "changed from version 1 to 2" in reason.text
        for entry in reading.history(alert.id)
        for reason in entry.why
    )
    monitor.clear(host="web-01", job="node")
    monitor.pass_time(minutes=6)
    assert [each.state for each in monitor.incidents()] == ["resolved"]


def test_its_clearing_is_understood_as_well(monitor: Any) -> None:
    monitor.configure(monitoring={"identity": OLD})
    monitor.fire(host="web-01", job="node")
    monitor.configure(monitoring={"identity": {**COARSER, "earlier": [OLD]}})
    assert monitor.clear(host="web-01", job="node").what == "entry"


def test_without_the_earlier_rule_it_is_another_alert(monitor: Any) -> None:
    monitor.configure(monitoring={"identity": OLD})
    monitor.fire(host="web-01", job="node")
    monitor.configure(monitoring={"identity": COARSER})
    monitor.fire(host="web-01", job="node")
    assert len(monitor.alerts()) == 2


def test_where_the_new_rule_is_coarser_several_become_one(monitor: Any) -> None:
    monitor.configure(monitoring={"identity": OLD})
    monitor.send(*(monitor.event(host="web-01", job=job) for job in ("node", "blackbox")))
    assert len(monitor.incidents()) == 2
    monitor.configure(monitoring={"identity": {**COARSER, "earlier": [OLD]}})
    for job in ("node", "blackbox"):
        monitor.fire(host="web-01", job=job)
    (alive,) = monitor.alerts(open=True)
    (ended,) = monitor.alerts(open=False)
    assert (alive.identity_version, ended.state) == (2, "resolved")
    states = {each.id: each.state for each in monitor.incidents()}
    assert states[ended.incident] == "cancelled"
    assert states[alive.incident] == "new"


def section(**identity: Any) -> MonitoringSection:
    found: MonitoringSection = running.typed({"monitoring": {"identity": identity}})["monitoring"]
    return found


def test_the_plan_says_what_becomes_of_open_alerts() -> None:
    (kept,) = checks.affects(section(**OLD), section(**COARSER, earlier=[OLD]))
    assert "still matched" in kept
    (lost,) = checks.affects(section(**OLD), section(**COARSER))
    assert "not matched any more" in lost
    assert checks.affects(section(**OLD), section(**OLD)) == []


def test_an_earlier_rule_is_older_than_the_one_in_force() -> None:
    (problem,) = checks.check(section(fields=["summary"], version=1, earlier=[OLD]), None)
    assert problem.path == "/identity/earlier/0/version"
