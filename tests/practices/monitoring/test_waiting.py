"""The wait for a cause: what depends on something is kept back for a moment, and nothing is lost meanwhile."""

from __future__ import annotations

import random
from typing import Any

import pytest

from isthmus.hub.models import Due
from isthmus.ledger import reading
from isthmus.ledger.work import Work
from isthmus.practices.monitoring import group_wait, index, silences
from isthmus.practices.monitoring.models import Silence

CHAIN = [("vm-1", "rack"), ("vm-2", "rack"), ("rack", "core")]


@pytest.fixture
def chain(monitor: Any) -> Any:
    """Two machines behind a rack switch behind a core switch."""
    monitor.map([{"name": name} for name in ("vm-1", "vm-2", "rack", "core", "island")], CHAIN)
    return monitor


def waits() -> list[Due]:
    return list(Due.objects.filter(what=group_wait.WAIT))


def test_without_a_cause_the_incident_opens_when_the_wait_is_over_and_not_before(chain: Any) -> None:
    chain.fire(host="vm-1")
    (alert,) = chain.alerts()
    assert (alert.decision, chain.incidents()) == ("waiting", [])
    assert "may be the cause" in alert.decision_reason
    chain.pass_time(seconds=2.9)
    assert chain.incidents() == []
    chain.pass_time(seconds=1.2)
    (incident,), (alert,) = chain.incidents(), chain.alerts()
    assert (alert.decision, alert.incident, alert.waits_until) == ("opened", incident.id, None)
    assert incident.trace == alert.trace
    assert waits() == []


def test_an_item_on_which_nothing_stands_above_and_one_without_an_item_open_at_once(chain: Any) -> None:
    for host in ("core", "island", "unknown"):
        chain.fire(host=host)
    assert len(chain.incidents()) == 3
    assert waits() == []


def test_a_wait_of_nothing_is_no_wait(chain: Any) -> None:
    chain.configure(monitoring={"times": {"wait": "PT0S"}})
    chain.fire(host="vm-1")
    assert len(chain.incidents()) == 1


@pytest.mark.parametrize("seed", range(6))
def test_whatever_the_order_within_a_wait_an_outage_is_one_incident(chain: Any, seed: int) -> None:
    hosts = ["vm-1", "vm-2", "rack", "core"]
    random.Random(seed).shuffle(hosts)
    for host in hosts:
        chain.fire(host=host)
        chain.pass_time(seconds=0.6)
    chain.pass_time(seconds=10)
    (incident,) = chain.incidents()
    assert {each.incident for each in chain.alerts()} == {incident.id}
    assert incident.ci == chain.cis["core"]
    by_item = {each.ci: each for each in chain.alerts()}
    assert by_item[chain.cis["vm-1"]].parent == by_item[chain.cis["rack"]].id
    assert by_item[chain.cis["rack"]].parent == by_item[chain.cis["core"]].id


def test_a_cause_that_waits_itself_is_decided_with_what_waits_for_it(chain: Any) -> None:
    chain.fire(host="vm-1")
    chain.pass_time(seconds=2)
    chain.fire(host="rack")
    chain.pass_time(seconds=2.1)
    (incident,) = chain.incidents()
    assert incident.ci == chain.cis["rack"]
    assert {each.decision for each in chain.alerts()} == {"opened", "attached_to_parent"}
    chain.pass_time(seconds=10)
    assert len(chain.incidents()) == 1


def test_a_cause_after_the_wait_still_takes_the_incident_over(chain: Any) -> None:
    chain.fire(host="vm-1")
    chain.pass_time(seconds=10)
    chain.fire(host="core")
    early, cause = chain.incidents()
    assert (early.state, early.parent) == ("cancelled", cause.id)


def test_a_clear_during_the_wait_opens_nothing_and_says_so(chain: Any) -> None:
    chain.fire(host="vm-1")
    chain.clear(host="vm-1")
    chain.pass_time(minutes=2)
    (alert,) = chain.alerts()
    assert (chain.incidents(), alert.decision) == ([], "cleared_while_waiting")
    assert any("before its wait" in why.text for entry in reading.history(alert.id) for why in entry.why)
    chain.fire(host="vm-1")
    chain.pass_time(seconds=5)
    assert len(chain.incidents()) == 1


def test_fired_and_cleared_in_one_batch_opens_nothing(chain: Any) -> None:
    chain.send(chain.event(host="vm-1"), chain.event(host="vm-1", state="resolved"))
    chain.pass_time(minutes=1)
    assert chain.incidents() == []
    assert chain.alerts()[0].decision == "cleared_while_waiting"


def test_a_repeat_neither_ends_nor_prolongs_the_wait(chain: Any) -> None:
    chain.fire(host="vm-1")
    for _ in range(4):
        chain.pass_time(seconds=0.9)
        chain.fire(host="vm-1")
    chain.pass_time(seconds=0.5)
    assert len(chain.incidents()) == 1
    assert chain.alerts()[0].occurrences == 5


def test_a_storm_of_waiting_alerts_is_one_wait(monitor: Any) -> None:
    names = [f"vm-{number}" for number in range(300)]
    monitor.map(
        [{"name": "switch"}, *({"name": name} for name in names)], [(name, "switch") for name in names]
    )
    for start in range(0, 300, 100):
        monitor.send(*(monitor.event(host=name) for name in names[start : start + 100]))
    assert 1 <= len(waits()) <= 2
    monitor.pass_time(seconds=5)
    assert len(monitor.incidents()) == 300


def test_more_than_one_work_can_hold_is_decided_in_several(
    chain: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(group_wait, "AT_ONCE", 1)
    chain.fire(host="vm-1")
    chain.fire(host="vm-2")
    chain.pass_time(seconds=5)
    assert len(chain.incidents()) == 2
    assert waits() == []


def test_a_process_that_dies_while_it_waits_or_decides_loses_nothing(
    chain: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    class PowerCut(BaseException):
        pass

    def cut(*_: Any, **__: Any) -> None:
        raise PowerCut

    chain.fire(host="vm-1")
    index.forget()
    with monkeypatch.context() as patch:
        patch.setattr("isthmus.ledger.flush._write_side", cut)
        with pytest.raises(PowerCut):
            chain.pass_time(seconds=5)
    assert (chain.incidents(), len(waits())) == ([], 1)
    chain.pass_time(seconds=1)
    chain.pass_time(seconds=30)
    assert len(chain.incidents()) == 1
    assert waits() == []


def test_what_was_silenced_during_the_wait_opens_nothing(chain: Any) -> None:
    chain.fire(host="vm-1")
    now = chain.book.clock.now()

    def act(work: Work) -> Silence:
        return silences.create(
            work, organisation=chain.book.organisation, matchers=[{"label": "host", "value": "vm-1"}],
            starts_at=now, ends_at=now + 3_600_000_000, comment="known",
        )  # fmt: skip

    chain.book.perform(act)
    chain.pass_time(seconds=5)
    (alert,) = chain.alerts()
    assert (chain.incidents(), alert.decision, alert.waits_until) == ([], "suppressed_silence", None)


def test_a_group_that_reaches_its_threshold_waits_as_one(chain: Any) -> None:
    rule = {"name": "team", "match": {"team": "web"}, "by": ["team"], "threshold": 2}
    chain.configure(monitoring={"correlation": {"rules": [rule]}})
    for name in ("a", "b", "c"):
        chain.fire(name, host="vm-1", team="web")
    assert [each.decision for each in chain.alerts()] == ["below_threshold", "waiting", "waiting"]
    chain.pass_time(seconds=5)
    (incident,) = chain.incidents()
    assert {each.incident for each in chain.alerts()} == {incident.id}


def test_a_worse_severity_during_the_wait_counts(chain: Any) -> None:
    chain.fire(host="vm-1", severity="warning")
    chain.fire(host="vm-1", severity="critical")
    chain.pass_time(seconds=5)
    assert chain.incidents()[0].urgency == "1"
