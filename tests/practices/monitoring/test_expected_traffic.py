"""Sources that must be heard from: silence is an alert, a heartbeat counts as life, many silences are one."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from isthmus.hub.models import Due, IntakeOffset
from isthmus.kernel.instant import MINUTE, Instant
from isthmus.kernel.record import Reason
from isthmus.practices.monitoring import expecting
from isthmus.practices.monitoring.rules.expecting import Expectation, judge


@pytest.fixture
def sources(monitor: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    names = ("am", "zabbix", "icinga")
    usable = {name: SimpleNamespace(organisation=monitor.book.organisation) for name in names}
    monkeypatch.setattr(expecting.connections, "in_force", lambda: usable)

    def expect(**expected: Any) -> None:
        monitor.configure(monitoring={"expected": expected, "times": {"stable": "PT1M"}})
        now = monitor.book.clock.now()
        payload = {"since": dict.fromkeys(expected, int(now)), "looked_at": int(now)}
        monitor.book.perform(
            lambda work: expecting.due.schedule(
                work,
                expecting.LOOK,
                expecting.LOOK,
                work.now,
                organisation=monitor.book.organisation,
                payload=payload,
            )
        )

    return expect


def heard(monitor: Any, name: str) -> None:
    """A message of a source is taken, as the pump notes it."""

    def act(work: Any) -> None:
        held = IntakeOffset.objects.filter(connection=name).first()
        why = [Reason(rule="test", text="Taken.")]
        if held is None:
            work.create(
                IntakeOffset,
                organisation=monitor.book.organisation,
                values={"connection": name, "position": 1},
                why=why,
            )
        else:
            work.change(held, {"position": held.position + 1}, why=why)

    monitor.book.perform(act)


def test_a_source_that_falls_silent_becomes_an_incident_and_clears_when_it_is_heard(
    monitor: Any, sources: Any
) -> None:
    sources(am={"every": "PT5M"})
    heard(monitor, "am")
    monitor.pass_time(minutes=4)
    assert monitor.incidents() == []
    heard(monitor, "am")
    monitor.pass_time(minutes=4)
    assert monitor.incidents() == [], "it was heard in time"
    monitor.pass_time(minutes=2)
    (incident,) = monitor.incidents()
    (alert,) = monitor.alerts()
    assert (alert.connection, alert.labels["source"], alert.incident) == ("isthmus", "am", incident.id)
    assert "expected every 5 min" in alert.annotations["description"]
    assert expecting.health(monitor.book.clock.now())["am"].silent
    heard(monitor, "am")
    monitor.pass_time(minutes=3)
    assert monitor.incidents()[0].state == "resolved"
    assert not expecting.health(monitor.book.clock.now())["am"].silent


@pytest.mark.parametrize("left", [{}, {"zabbix": {"every": "PT2H"}}])
def test_what_is_not_expected_any_more_is_no_alert_any_more(
    monitor: Any, sources: Any, left: dict[str, Any]
) -> None:
    sources(am={"every": "PT5M"})
    monitor.pass_time(minutes=6)
    assert len(monitor.alerts(state="firing")) == 1
    monitor.configure(monitoring={"expected": left, "times": {"stable": "PT1M"}})
    monitor.pass_time(minutes=2)
    assert monitor.alerts(state="firing") == []
    assert monitor.incidents()[0].state == "resolved"


def test_a_silence_of_days_is_one_alert_that_fires(monitor: Any, sources: Any) -> None:
    sources(am={"every": "PT5M"})
    monitor.configure(monitoring={"expected": {"am": {"every": "PT5M"}}, "times": {"stale": "PT1H"}})
    monitor.pass_time(minutes=150)
    (alert,) = monitor.alerts()
    assert (alert.state, alert.occurrences) == ("firing", 1)


def test_only_its_heartbeat_counts_where_one_is_declared(monitor: Any, sources: Any) -> None:
    sources(am={"every": "PT5M", "heartbeat": [{"label": "alertname", "value": "Watchdog"}]})
    monitor.fire("Watchdog")
    (beat,) = monitor.alerts()
    assert (beat.decision, beat.incident) == ("heartbeat", "")
    monitor.pass_time(minutes=4)
    monitor.fire("Watchdog")
    monitor.pass_time(minutes=3)
    heard(monitor, "am")
    assert monitor.incidents() == []
    monitor.pass_time(minutes=3)
    assert [each.labels["alertname"] for each in monitor.alerts(decision="opened")] == ["SourceSilent"]


def test_many_silent_sources_are_one_alert(monitor: Any, sources: Any) -> None:
    sources(**{name: {"every": "PT5M"} for name in ("am", "zabbix", "icinga")})
    monitor.pass_time(minutes=6)
    (alert,) = monitor.alerts()
    assert alert.labels["alertname"] == "SourcesSilentTogether"
    assert "am, icinga, zabbix" in alert.annotations["description"]
    assert len(monitor.incidents()) == 1
    heard(monitor, "am")
    heard(monitor, "zabbix")
    monitor.pass_time(minutes=1)
    assert [each.labels["source"] for each in monitor.alerts(state="firing")] == ["icinga"]


def test_a_hub_that_was_away_itself_accuses_nobody(monitor: Any, sources: Any) -> None:
    sources(am={"every": "PT5M"})
    monitor.pass_time(minutes=1)
    row = Due.objects.get(what=expecting.LOOK)
    monitor.book.clock.forward(minutes=60)
    monitor._handle(row)
    assert monitor.alerts() == []


def test_an_expectation_is_begun_by_the_blueprint_that_names_it(monitor: Any) -> None:
    from isthmus.blueprint import service
    from isthmus.blueprint.source import Source, read_text

    source = Source()
    read_text("monitoring: {expected: {am: {every: PT5M}}}", "a.yaml", source)
    monitor.book.perform(lambda work: service.apply(work, source))
    assert Due.objects.get(what=expecting.LOOK).payload["since"].keys() == {"am"}


ages = st.lists(st.integers(0, 20), min_size=1, max_size=8)


@given(ages, st.integers(2, 5), st.integers(0, 255))
def test_each_silent_source_is_said_once_and_none_that_was_heard_in_time(
    ages: list[int], together: int, flags: int
) -> None:
    now = Instant(100 * MINUTE)
    expected = [
        Expectation(connection=f"s{place}", every=10 * MINUTE, since=Instant(0), heard_at=Instant(now - age * MINUTE),
                    alerting=bool(flags >> place & 1))
        for place, age in enumerate(ages)
    ]  # fmt: skip
    found = judge(expected, now, together=together)
    told = [*found.own, *found.together]
    assert sorted(each.connection for each in told) == sorted(
        each.connection for each in expected if each.due_at <= now
    )
    assert not set(found.own) & set(found.together)
    assert all(each.alerting and each.due_at > now for each in found.back)
    turned = judge(list(reversed(expected)), now, together=together)
    assert (set(turned.own), set(turned.together), set(turned.back)) == (
        set(found.own), set(found.together), set(found.back),
    )  # fmt: skip
