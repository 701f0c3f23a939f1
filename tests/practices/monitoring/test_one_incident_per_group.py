"""One group has one incident that takes its alerts, also when two writers decide at the same time."""

from __future__ import annotations

from typing import Any

import pytest

from isthmus.kernel.actor import system
from isthmus.practices.incident import service as incidents
from isthmus.practices.monitoring import service

RULE = {"name": "team", "match": {"team": "web"}, "by": ["team"]}


@pytest.fixture
def grouped(monitor: Any) -> Any:
    monitor.configure(monitoring={"correlation": {"rules": [RULE]}})
    return monitor


def test_two_works_at_once_open_one_incident_for_a_group(grouped: Any) -> None:
    mine, theirs = grouped.event(host="a", team="web"), grouped.event(host="b", team="web")
    runs = []

    def act(work: Any) -> None:
        service.take(work, [mine], work.now)
        if not runs:
            # Another process takes its alert and commits, after this one has read and decided.
            grouped.send(theirs)
        runs.append(work)

    grouped.book.perform(act, actor=system("pump"), channel="webhook")
    (incident,) = grouped.incidents()
    assert {each.incident for each in grouped.alerts()} == {incident.id}
    assert sorted(each.decision for each in grouped.alerts()) == ["joined", "opened"]
    assert len(runs) == 2


def test_two_works_at_once_for_different_groups_do_not_disturb_each_other(grouped: Any) -> None:
    mine, theirs = grouped.event(host="a", team="web"), grouped.event(host="b")
    runs = []

    def act(work: Any) -> None:
        service.take(work, [mine], work.now)
        if not runs:
            grouped.send(theirs)
        runs.append(work)

    grouped.book.perform(act, actor=system("pump"), channel="webhook")
    assert len(grouped.incidents()) == 2


def test_a_second_opening_in_the_same_work_joins_what_the_first_opened(grouped: Any) -> None:
    first, second = grouped.event(host="a", team="web"), grouped.event(host="b", team="web")

    def act(work: Any) -> None:
        service.take(work, [first], work.now)
        service.take(work, [second], work.now)

    grouped.book.perform(act, actor=system("pump"), channel="webhook")
    assert len(grouped.incidents()) == 1


def test_beyond_the_window_the_newer_incident_takes_over_and_the_older_stays_open(monitor: Any) -> None:
    monitor.configure(monitoring={"correlation": {"rules": [{**RULE, "window": "PT10M"}]}})
    monitor.fire(host="a", team="web")
    monitor.pass_time(minutes=30)
    monitor.fire(host="b", team="web")
    older, newer = monitor.incidents()
    assert (older.state, older.gathering, newer.gathering) == ("new", False, True)
    monitor.pass_time(minutes=5)
    monitor.fire(host="c", team="web")
    assert monitor.alerts()[-1].incident == newer.id


@pytest.mark.parametrize("state", ["closed", "cancelled"])
def test_an_incident_that_is_over_gathers_nothing(grouped: Any, state: str) -> None:
    grouped.fire(host="a", team="web")
    (over,) = grouped.incidents()
    steps = ["resolved", "closed"] if state == "closed" else ["cancelled"]
    for step in steps:
        grouped.book.perform(
            lambda work, to=step: incidents.update(work, incidents.get(work, over.id), {"state": to})
        )
    grouped.fire(host="b", team="web")
    over, fresh = grouped.incidents()
    assert (over.gathering, fresh.gathering) == (False, True)
    assert grouped.alerts()[-1].incident == fresh.id
