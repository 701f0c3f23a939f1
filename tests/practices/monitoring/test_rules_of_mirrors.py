"""What a pager hears of an alert, decided from how it stands."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from isthmus.blueprint import service as blueprints
from isthmus.blueprint.source import Source
from isthmus.kernel.errors import Rejected
from isthmus.practices.monitoring.rules.mirror import Mirror, Subject, concerned, decide

MIRROR = Mirror(connection="pd", severities=frozenset({"critical"}))


def alert(**more: Any) -> Subject:
    plain = {
        "connection": "am",
        "severity": "critical",
        "state": "firing",
        "decision": "opened",
        "taken": False,
    }
    return Subject(**{**plain, **more})


def told(verb: str) -> dict[str, Any]:
    return {"mirror:pd": {"verb": verb}} if verb else {}


@pytest.mark.parametrize(
    ("subject", "last", "hears"),
    [
        (alert(), "", ["notify"]),
        (alert(taken=True), "", ["notify", "acknowledge"]),
        (alert(), "notify", []),
        (alert(taken=True), "notify", ["acknowledge"]),
        (alert(taken=True), "acknowledge", []),
        (alert(state="resolved"), "notify", ["resolve"]),
        (alert(state="resolved", severity="warning", decision="silenced"), "acknowledge", ["resolve"]),
        (alert(state="resolved"), "", []),
        (alert(state="resolved"), "resolve", []),
        (alert(), "resolve", ["notify"]),
        (alert(severity="warning"), "", []),
        (alert(severity="warning"), "notify", []),
        (alert(decision="below_threshold"), "", []),
        (alert(connection="pd"), "", []),
    ],
)
def test_a_pager_hears_what_the_alert_has_come_to(subject: Subject, last: str, hears: list[str]) -> None:
    assert decide(MIRROR, subject, told(last)) == hears


def test_another_pagers_memory_is_not_this_ones() -> None:
    assert decide(MIRROR, alert(), {"mirror:other": {"verb": "notify"}}) == ["notify"]


def test_only_named_sources_are_mirrored() -> None:
    only = Mirror(connection="pd", severities=frozenset({"critical"}), sources=frozenset({"zabbix"}))
    assert decide(only, alert(), None) == []
    assert decide(only, alert(connection="zabbix"), None) == ["notify"]


@pytest.mark.parametrize(
    ("mirrors", "path"),
    [
        ([{"connection": "nowhere"}], "/monitoring/alert_mirrors/0/connection"),
        ([{"connection": "chat"}], "/monitoring/alert_mirrors/0/connection"),
        ([{"connection": "pd", "severities": ["loud"]}], "/monitoring/alert_mirrors/0/severities/0"),
        ([{"connection": "pd"}, {"connection": "pd"}], "/monitoring/alert_mirrors/1/connection"),
    ],
)
def test_a_mirror_needs_a_pager_that_is_there(book: Any, mirrors: list[dict[str, Any]], path: str) -> None:
    connections = {
        "pd": {"connector": "pagerduty", "config": {"routing_key": {"secret": "env:PD"}}},
        "chat": {"connector": "teams", "config": {"url": {"secret": "env:TEAMS"}}},
    }
    sections = {"connections": connections, "monitoring": {"alert_mirrors": mirrors}}
    with pytest.raises(Rejected) as caught:
        book.perform(lambda work: blueprints.apply(work, Source(sections=sections)))
    assert path in {each.path for each in caught.value.problems}


def test_a_mirror_at_a_pager_applies(book: Any) -> None:
    sections = {
        "connections": {"pd": {"connector": "pagerduty", "config": {"routing_key": {"secret": "env:PD"}}}},
        "monitoring": {"alert_mirrors": [{"connection": "pd"}]},
    }
    book.perform(lambda work: blueprints.apply(work, Source(sections=sections)))


def test_a_pager_that_was_taken_out_of_the_blueprint_still_hears_of_the_end() -> None:
    told = {"mirror:pd": {"verb": "notify", "ref": "k"}, "am": {"verb": "acknowledge"}}
    (left,) = concerned([], told)
    firing = Subject(connection="am", severity="critical", state="firing", decision="opened", taken=False)
    assert left.connection == "pd"
    assert decide(left, firing, told) == []
    assert decide(left, replace(firing, state="resolved"), told) == ["resolve"]
    assert decide(left, firing, {"mirror:pd": {"verb": "resolve"}}) == [], "and is not raised again"
    assert concerned([Mirror(connection="pd", severities=frozenset())], told) == [
        Mirror(connection="pd", severities=frozenset())
    ]
