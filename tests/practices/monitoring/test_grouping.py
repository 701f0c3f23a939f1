"""Rules, thresholds, storms and automation levels, on a real book."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from isthmus.kernel.errors import Conflict
from isthmus.practices.incident import service as incidents
from isthmus.practices.monitoring import service
from isthmus.practices.monitoring.blueprint import (
    AutomationSpec,
    CorrelationSpec,
    MonitoringSection,
    RuleSpec,
    SuppressionSpec,
    TimesSpec,
    TopologySpec,
)
from isthmus.practices.monitoring.checks import check


def rules(*specs: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"monitoring": {"correlation": {"rules": list(specs), **more}}}


def test_a_rule_groups_alerts_by_label_across_batches_and_gives_its_reason(monitor: Any) -> None:
    monitor.configure(
        **rules(
            {
                "name": "per cluster",
                "when": "labels.team == 'web' && severity != 'warning'",
                "by": ["cluster"],
            }
        )
    )
    monitor.send(*(monitor.event(host=f"w{n}", team="web", cluster="a") for n in range(3)))
    monitor.fire(host="w9", team="web", cluster="a")
    monitor.fire(host="w1", team="web", cluster="b")
    monitor.fire(host="w2", team="web", cluster="b", severity="warning")
    assert sorted(service.alerts_of(each.id).count() for each in monitor.incidents()) == [1, 1, 4]
    joined = monitor.alerts(decision="joined")
    assert len(joined) == 3
    assert all("per cluster" in alert.decision_reason for alert in joined)


def test_outside_the_window_a_new_incident_is_opened(monitor: Any) -> None:
    monitor.configure(**rules({"name": "r", "match": {"team": "web"}, "window": "PT10M"}))
    monitor.fire(host="a", team="web")
    monitor.pass_time(minutes=9)
    monitor.fire(host="b", team="web")
    monitor.pass_time(minutes=11)
    monitor.fire(host="c", team="web")
    assert len(monitor.incidents()) == 2


def test_below_the_threshold_nothing_opens_and_resolved_alerts_do_not_count(monitor: Any) -> None:
    monitor.configure(**rules({"name": "r", "match": {"team": "web"}, "threshold": 3}))
    monitor.fire(host="a", team="web")
    monitor.clear(host="a", team="web")
    monitor.fire(host="b", team="web")
    monitor.fire(host="c", team="web")
    assert monitor.incidents() == []
    monitor.fire(host="d", team="web")
    (incident,) = monitor.incidents()
    assert sorted(alert.labels["host"] for alert in service.alerts_of(incident.id)) == ["b", "c", "d"]


@pytest.mark.parametrize("children", [2, 12])
def test_a_late_cause_loads_what_follows_it_at_once(monitor: Any, children: int) -> None:
    monitor.configure(monitoring={"times": {"wait": "PT0S"}})
    names = [f"leaf-{number}" for number in range(children)]
    monitor.map([{"name": each} for each in ("db", *names)], [(each, "db") for each in names])
    for each in names:
        monitor.fire(host=each)
    cause = monitor.event(host="db")
    with CaptureQueriesContext(connection) as asked:
        monitor.send(cause)
    assert len(monitor.alerts(decision="attached_to_parent")) == children
    selects = [each["sql"] for each in asked.captured_queries if each["sql"].startswith("SELECT")]
    loads = [each for each in selects if "monitoring_alert" in each and "version" in each]
    assert len(loads) <= 4, [each[:300] for each in loads]


def test_a_storm_opens_one_parent_for_everything_further(monitor: Any) -> None:
    monitor.configure(**rules(storm={"groups": 10, "window": "PT5M"}))
    for start in range(0, 100, 25):
        monitor.send(*(monitor.event(host=f"h{n}") for n in range(start, start + 25)))
    assert len(monitor.incidents()) == 11
    assert len(monitor.alerts(decision="storm")) == 90
    monitor.pass_time(minutes=6)


def test_a_worse_alert_raises_the_incident_and_a_milder_one_does_not_lower_it(monitor: Any) -> None:
    monitor.configure(**rules({"name": "r", "match": {"team": "web"}}))
    monitor.fire(host="a", team="web", severity="warning")
    monitor.fire(host="b", team="web", severity="critical")
    monitor.fire(host="c", team="web", severity="warning")
    (incident,) = monitor.incidents()
    assert incident.urgency == "1"


def test_record_only_bothers_nobody_and_a_draft_waits_for_a_person(monitor: Any) -> None:
    monitor.configure(monitoring={"automation": {"default": "draft", "severities": {"warning": "record"}}})
    monitor.fire(host="a")
    monitor.fire(host="b", severity="warning")
    assert monitor.incidents() == []
    (draft,) = monitor.alerts(decision="drafted")
    monitor.book.perform(lambda work: service.confirm_draft(work, service.get(work, draft.id)))
    (incident,) = monitor.incidents()
    assert monitor.alerts(decision="opened")[0].incident == incident.id
    with pytest.raises(Conflict):
        monitor.book.perform(lambda work: service.confirm_draft(work, service.get(work, draft.id)))


def test_a_flapping_alert_stays_with_its_incident_and_says_so(monitor: Any) -> None:
    for _ in range(4):
        monitor.fire(host="a")
        monitor.pass_time(minutes=1)
        monitor.clear(host="a")
        monitor.pass_time(minutes=1)
    monitor.fire(host="a")
    (alert,), (incident,) = monitor.alerts(), monitor.incidents()
    assert (alert.decision, alert.incident) == ("flapping", incident.id)
    assert alert.occurrences == 5


def test_people_see_alerts_with_reasons_in_the_timeline(monitor: Any) -> None:
    monitor.fire(host="a", summary="It burns")
    (incident,) = monitor.incidents()
    items = incidents.timeline(incident)
    assert [each.what for each in items] == ["entry", "alert"]
    assert "It burns" in items[1].title
    assert items[1].text


@pytest.mark.parametrize(
    ("section", "path"),
    [
        (
            MonitoringSection(correlation=CorrelationSpec(rules=[RuleSpec(name="a", when="labels.x ==")])),
            "/correlation/rules/0/when",
        ),
        (
            MonitoringSection(correlation=CorrelationSpec(rules=[RuleSpec(name="a", when="'x'")])),
            "/correlation/rules/0/when",
        ),
        (MonitoringSection(correlation=CorrelationSpec(rules=[RuleSpec(name="a")])), "/correlation/rules/0"),
        (
            MonitoringSection(correlation=CorrelationSpec(rules=[RuleSpec(name="a", match={"x": "y"})] * 2)),
            "/correlation/rules/1/name",
        ),
        (MonitoringSection(automation=AutomationSpec(default="all")), "/automation/default"),
        (
            MonitoringSection(correlation=CorrelationSpec(topology=TopologySpec(enabled=False))),
            "/automation/default",
        ),
        (MonitoringSection(suppression=SuppressionSpec(maintenance=False)), "/automation/default"),
        (MonitoringSection(times=TimesSpec(stable=dt.timedelta(minutes=-5))), "/times/stable"),
        (MonitoringSection(times=TimesSpec(wait=dt.timedelta(minutes=11))), "/times/wait"),
        (MonitoringSection(times=TimesSpec(flap=dt.timedelta(milliseconds=1500))), "/times/flap"),
    ],
)
def test_a_section_that_cannot_work_is_refused_where_it_is_wrong(
    section: MonitoringSection, path: str
) -> None:
    (problem,) = check(section, None)
    assert problem.path == path
    assert problem.remedy


def test_the_defaults_are_sound() -> None:
    assert check(MonitoringSection(), None) == []
