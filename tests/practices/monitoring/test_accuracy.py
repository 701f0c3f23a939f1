"""D6: how far the hub is trusted with a class of alerts follows people's verdicts on a random sample."""

from __future__ import annotations

import math
import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from isthmus.kernel.errors import Conflict, Rejected
from isthmus.kernel.instant import DAY
from isthmus.practices.incident.models import Incident
from isthmus.practices.monitoring import accuracy, drafts, service
from isthmus.practices.monitoring.models import AccuracySample, AutomationMode
from isthmus.practices.monitoring.rules import accuracy as rules
from isthmus.practices.monitoring.rules.automation import Level

GOVERNED = {"threshold": 0.9, "per_mille": 1000, "verdicts_min": 4, "seed": "story", "window": "P30D"}


def oracle(right: int, n: int) -> tuple[float, float]:
    """Wilson's interval as the textbook writes it, with z for 95 %: solved as the roots of a quadratic."""
    z = 1.959963984540054
    a, b, c = n + z * z, -(2 * right + z * z), right * right / n
    root = math.sqrt(b * b - 4 * a * c)
    return (-b - root) / (2 * a), (-b + root) / (2 * a)


@given(st.integers(1, 400).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_the_interval_is_wilsons_and_holds_the_share(pair):
    right, n = pair
    low, high = rules.wilson(right, n)
    assert (low, high) == pytest.approx(oracle(right, n), abs=1e-9)
    assert 0 <= low <= right / n + 1e-12
    assert right / n - 1e-12 <= high <= 1


@given(st.integers(1, 300), st.integers(0, 300), st.floats(0.5, 1))
def test_one_more_wrong_verdict_never_unlocks(verdicts, wrong, threshold):
    wrong = min(wrong, verdicts - 1)
    policy = rules.Policy(threshold=threshold, verdicts_min=1)
    worse = rules.permits_full(policy, rules.measured(policy, verdicts=verdicts, wrong=wrong + 1))[0]
    better = rules.permits_full(policy, rules.measured(policy, verdicts=verdicts, wrong=wrong))[0]
    assert better or not worse


def test_too_few_verdicts_make_no_figure():
    policy = rules.Policy(threshold=0.5, verdicts_min=20)
    found = rules.measured(policy, verdicts=19, wrong=0)
    assert (found.precision, found.low, found.high) == (None, None, None)
    permitted, why = rules.permits_full(policy, found)
    assert not permitted
    assert "Insufficient data" in why.text
    assert rules.permits_full(policy, rules.measured(policy, verdicts=20, wrong=0))[0]


@given(
    st.lists(st.text("0123456789ABCDEF", min_size=26, max_size=26), unique=True, max_size=60),
    st.integers(1, 1000),
)
def test_the_same_seed_draws_the_same_alerts_in_any_order(ids, per_mille):
    policy = rules.Policy(per_mille=per_mille, seed="x")
    shuffled = random.Random(1).sample(ids, len(ids))
    assert {each for each in ids if rules.drawn(policy, each)} == {
        each for each in shuffled if rules.drawn(policy, each)
    }
    assert all(rules.drawn(rules.Policy(per_mille=1000, seed="y"), each) for each in ids)


def test_the_share_drawn_is_the_share_asked_for():
    policy = rules.Policy(per_mille=100, seed="share")
    drawn = sum(rules.drawn(policy, f"alert-{number}") for number in range(20_000))
    assert 1_800 < drawn < 2_200


def test_record_and_draft_are_never_raised_by_accuracy():
    policy = rules.Policy(threshold=0.9)
    for level in (Level.RECORD, Level.DRAFT):
        assert rules.governed(level, policy=policy, full_permitted=True)[0] is level
    assert rules.governed(Level.FULL, policy=policy, full_permitted=None)[0] is Level.DRAFT
    assert rules.governed(Level.FULL, policy=rules.Policy(), full_permitted=None)[0] is Level.FULL


def govern(monitor: Any, **more: Any) -> None:
    accuracy_terms = {**GOVERNED, **more}
    monitor.configure(monitoring={"automation": {"accuracy": accuracy_terms}, "times": {"wait": "PT0S"}})


def judged(monitor: Any, sample: AccuracySample, verdict: str) -> None:
    note = "It was no outage." if verdict == "wrong" else ""
    monitor.book.perform(lambda work: accuracy.judge(work, sample.id, verdict, note))


def opened(monitor: Any) -> set[str]:
    return {each.labels["host"] for each in monitor.alerts(decision="opened")}


def open_samples() -> list[AccuracySample]:
    return list(AccuracySample.objects.filter(verdict="open").order_by("id"))


def test_a_class_earns_full_automation_and_loses_it_again(
    monitor: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    govern(monitor)
    told: list[str] = []
    monkeypatch.setattr(accuracy, "_fallen", [])
    accuracy.register_fallen(lambda _, mode: told.append(mode.alert_class))
    for number in range(5):
        monitor.fire("DiskFull", host=f"db-{number}")
    monitor.fire("Other", host="x")
    assert {each.decision for each in monitor.alerts()} == {"drafted"}
    assert not Incident.objects.exists(), "a draft is no incident, and nothing goes to a partner"

    monitor.pass_time(minutes=11)
    samples = [each for each in open_samples() if each.alert_class == "DiskFull"]
    assert len(samples) == 5, "every alert, at a thousand in a thousand"
    for each in samples[:4]:
        judged(monitor, each, "right")
    mode = AutomationMode.objects.get(alert_class="DiskFull")
    assert (mode.full_permitted, mode.verdicts, mode.wrong) == (True, 4, 0)
    monitor.fire("DiskFull", host="db-9")
    assert monitor.alerts(decision="opened")
    monitor.fire("Other", host="y")
    assert opened(monitor) == {"db-9"}, "verdicts speak for their class only"

    judged(monitor, samples[4], "wrong")
    mode = AutomationMode.objects.get(alert_class="DiskFull")
    assert (mode.full_permitted, mode.verdicts, mode.wrong) == (False, 5, 1)
    assert "80.0%" in mode.said
    assert told == ["DiskFull"]
    monitor.fire("DiskFull", host="db-10")
    assert opened(monitor) == {"db-9"}


def test_another_threshold_holds_for_the_next_alert_and_the_record_follows_with_the_next_count(
    monitor: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    fallen: list[str] = []
    monkeypatch.setattr(accuracy, "_fallen", [lambda _, mode: fallen.append(mode.alert_class)])
    govern(monitor, verdicts_min=2, threshold=0.5)
    for host in ("a", "b"):
        monitor.fire("DiskFull", host=host)
    monitor.pass_time(minutes=11)
    for each, verdict in zip(open_samples(), ("right", "wrong"), strict=True):
        judged(monitor, each, verdict)
    monitor.fire("DiskFull", host="c")
    assert opened(monitor) == {"c"}

    govern(monitor, verdicts_min=2, threshold=0.9)
    monitor.fire("DiskFull", host="d")
    assert opened(monitor) == {"c"}, "half of the decisions were right: not enough any more"
    assert AutomationMode.objects.get().full_permitted, "the record tells the last count"
    monitor.pass_time(minutes=6)
    assert not AutomationMode.objects.get().full_permitted
    assert fallen == ["DiskFull"]

    govern(monitor, verdicts_min=2, threshold=0.4)
    monitor.fire("DiskFull", host="e")
    assert opened(monitor) == {"c", "e"}


def test_suppressed_alerts_are_drawn_too(monitor: Any) -> None:
    govern(monitor)
    monitor.fire("Quiet", host="a", severity="informational")
    monitor.pass_time(minutes=11)
    (sample,) = open_samples()
    judged(monitor, sample, "right")
    assert AccuracySample.objects.get(id=sample.id).decision == "informational"


def test_nothing_is_drawn_where_accuracy_governs_nothing(monitor: Any) -> None:
    govern(monitor, threshold=0.0)
    monitor.fire("DiskFull", host="a")
    monitor.pass_time(minutes=20)
    assert open_samples() == []
    assert monitor.alerts(decision="opened")


def test_nobody_is_drawn_twice_and_old_verdicts_lapse(monitor: Any) -> None:
    govern(monitor, verdicts_min=1)
    monitor.fire("DiskFull", host="a")
    monitor.pass_time(minutes=30)
    (sample,) = open_samples()
    judged(monitor, sample, "right")
    assert AutomationMode.objects.get().full_permitted
    monitor.book.clock.forward(seconds=31 * DAY / 1_000_000)
    monitor.pass_time(minutes=6)
    mode = AutomationMode.objects.get()
    assert (mode.full_permitted, mode.verdicts) == (False, 0)
    assert AccuracySample.objects.count() == 1


def test_a_verdict_may_be_corrected_and_counts_once(monitor: Any) -> None:
    govern(monitor, verdicts_min=1)
    monitor.fire("DiskFull", host="a")
    monitor.pass_time(minutes=11)
    (sample,) = open_samples()
    with pytest.raises(Rejected):
        monitor.book.perform(lambda work: accuracy.judge(work, sample.id, "wrong", " "))
    judged(monitor, sample, "wrong")
    judged(monitor, sample, "right")
    mode = AutomationMode.objects.get()
    assert (mode.verdicts, mode.wrong, mode.full_permitted) == (1, 0, True)


def test_a_draft_confirmed_becomes_one_incident_and_one_rejected_none(monitor: Any) -> None:
    monitor.configure(monitoring={"automation": {"default": "draft"}})
    for name in ("One", "Two", "Three"):
        monitor.fire(name, host=name.lower())
    one, two, three = monitor.alerts(decision="drafted")
    results = monitor.book.perform(lambda work: drafts.bulk(work, [one.id], "confirm"))
    assert results[0][1].incident
    monitor.book.perform(lambda work: drafts.reject(work, service.get(work, two.id), "Planned work."))
    held = monitor.alerts(id=two.id)[0]
    assert held.decision == "draft_rejected"
    assert "Planned work." in held.decision_reason
    assert len(monitor.incidents()) == 1
    with pytest.raises(Conflict):
        monitor.book.perform(lambda work: drafts.reject(work, service.get(work, two.id), "Again."))
    with pytest.raises(Rejected):
        monitor.book.perform(lambda work: drafts.reject(work, service.get(work, three.id), " "))
    mixed = monitor.book.perform(lambda work: drafts.bulk(work, [one.id, three.id, "nothing"], "confirm"))
    assert [type(each).__name__ for _, each in mixed] == ["Conflict", "Alert", "NotFound"]
    assert len(monitor.incidents()) == 2


def test_full_automation_without_correlation_or_suppression_is_refused() -> None:
    import msgspec

    from isthmus.practices.monitoring.blueprint import MonitoringSection
    from isthmus.practices.monitoring.checks import check

    bare = {"correlation": {"topology": {"enabled": False}}, "suppression": {"maintenance": False}}
    found = check(msgspec.convert({**bare, "automation": {"default": "full"}}, MonitoringSection), None)
    assert [each.message.split(": ")[1].split(" is")[0] for each in found] == [
        "an active correlation rule (or topology)",
        "active suppression from change windows",
    ]
    assert check(msgspec.convert({**bare, "automation": {"default": "draft"}}, MonitoringSection), None) == []
    odd = {"automation": {"accuracy": {"threshold": 1.2, "per_mille": 0, "confidence": 0.2}}}
    assert len(check(msgspec.convert(odd, MonitoringSection), None)) == 3
