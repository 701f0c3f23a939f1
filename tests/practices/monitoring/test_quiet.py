"""Alerts that stay quiet, and what ends the quiet."""

from __future__ import annotations

from typing import Any

import pytest

from isthmus.kernel.errors import Rejected
from isthmus.kernel.instant import MINUTE
from isthmus.ledger import reading
from isthmus.practices.change import service as changes
from isthmus.practices.monitoring import silences
from isthmus.practices.monitoring.models import Alert, Silence


def test_inside_an_authorised_window_the_item_and_its_dependants_are_quiet_and_others_are_not(
    monitor: Any, world: Any
) -> None:
    change = world.authorised()
    outcomes = monitor.send(*(monitor.event(host=host) for host in ("db", "shop-app", "leaf")))
    assert [outcome.what for outcome in outcomes] == ["suppressed", "suppressed", "entry"]
    quiet = monitor.alerts(decision="suppressed_maintenance")
    assert {alert.suppressed_by for alert in quiet} == {change.id}
    assert all(change.number in alert.decision_reason for alert in quiet)
    assert len(monitor.incidents()) == 1


def test_an_unauthorised_change_suppresses_nothing(monitor: Any, world: Any) -> None:
    world.planned()
    monitor.fire(host="db")
    assert len(monitor.incidents()) == 1


def test_still_firing_past_the_window_it_becomes_an_incident_after_grace_and_not_before(
    monitor: Any, world: Any
) -> None:
    world.authorised()
    monitor.fire(host="db")
    monitor.pass_time(minutes=64)
    assert monitor.incidents() == []
    monitor.pass_time(minutes=2)
    (incident,) = monitor.incidents()
    (alert,) = monitor.alerts()
    assert (alert.decision, alert.incident) == ("opened", incident.id)
    assert any("still fires" in reason.text for entry in reading.history(alert.id) for reason in entry.why)


def test_cleared_inside_the_window_nothing_follows(monitor: Any, world: Any) -> None:
    world.authorised()
    monitor.fire(host="db")
    monitor.clear(host="db")
    monitor.pass_time(minutes=120)
    assert monitor.incidents() == []
    assert monitor.alerts()[0].open is False


def test_when_the_change_is_cancelled_the_next_word_of_the_source_makes_an_incident(
    monitor: Any, world: Any
) -> None:
    change = world.authorised()
    event = monitor.event(host="db")
    monitor.send(event)
    world.do("ada", changes.cancel, change, "Not today.")
    assert monitor.incidents() == []
    monitor.repeat(event)
    assert len(monitor.incidents()) == 1


def silence(monitor: Any, *matchers: dict[str, str], minutes: int = 60) -> Silence:
    def do(work: Any) -> Silence:
        return silences.create(
            work,
            organisation=monitor.book.organisation,
            matchers=matchers,
            starts_at=work.now,
            ends_at=work.now + minutes * MINUTE,
            comment="Known noise.",
        )

    found: Silence = monitor.book.perform(do, actor=monitor.book.actor("agent"))
    return found


def test_a_silence_mutes_what_it_matches_until_it_ends(monitor: Any) -> None:
    found = silence(monitor, {"label": "host", "op": "=~", "value": "web-.*"})
    monitor.fire(host="web-01")
    monitor.fire(host="db-01")
    (quiet,) = monitor.alerts(decision="suppressed_silence")
    assert (quiet.suppressed_by, found.owner) == (found.id, "person-agent")
    assert len(monitor.incidents()) == 1
    monitor.pass_time(minutes=61)
    assert Silence.objects.get().state == "expired"
    assert len(monitor.incidents()) == 2


def test_a_silence_ended_by_hand_lets_alerts_out_at_once(monitor: Any) -> None:
    found = silence(monitor, {"label": "host", "value": "web-01"})
    monitor.fire(host="web-01")
    monitor.book.perform(lambda work: silences.expire(work, silences.get(work, found.id)))
    assert len(monitor.incidents()) == 1


@pytest.mark.parametrize(
    "matchers",
    [
        [],
        [{"label": "", "value": "x"}],
        [{"label": "a", "op": "~", "value": "x"}],
        [{"label": "a", "op": "=~", "value": "("}],
    ],
)
def test_a_silence_that_cannot_work_is_refused(monitor: Any, matchers: list[dict[str, str]]) -> None:
    with pytest.raises(Rejected) as refusal:
        silence(monitor, *matchers)
    assert refusal.value.problems
    assert Silence.objects.count() == 0


INHIBIT = {
    "monitoring": {
        "suppression": {
            "inhibitions": [
                {
                    "name": "site down",
                    "source": [{"label": "alertname", "value": "SiteDown"}],
                    "target": [{"label": "alertname", "op": "!=", "value": "x"}],
                    "equal": ["site"],
                }
            ]
        }
    }
}


@pytest.mark.parametrize("together", [True, False])
def test_a_worse_alert_keeps_what_it_explains_quiet_until_it_clears(monitor: Any, *, together: bool) -> None:
    monitor.configure(**INHIBIT)
    events = [
        monitor.event("SiteDown", site="ber"),
        monitor.event("HostDown", site="ber", host="a"),
        monitor.event("HostDown", site="muc", host="b"),
    ]
    for chunk in [events] if together else [[each] for each in events]:
        monitor.send(*chunk)
    assert {
        alert.labels["alertname"]: alert.decision for alert in monitor.alerts(labels__contains="ber")
    } == {
        "SiteDown": "opened",
        "HostDown": "suppressed_inhibited",
    }
    assert len(monitor.incidents()) == 2
    monitor.clear("SiteDown", site="ber")
    assert len(monitor.incidents()) == 3
    assert not Alert.objects.filter(decision="suppressed_inhibited").exists()


def test_a_source_that_falls_silent_is_timed_out(monitor: Any) -> None:
    monitor.fire(host="web-01")
    monitor.pass_time(minutes=23 * 60)
    assert monitor.alerts()[0].state == "firing"
    monitor.pass_time(minutes=2 * 60)
    assert monitor.alerts()[0].state == "stale"
    assert monitor.incidents()[0].state == "resolved"
