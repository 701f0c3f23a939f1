"""Thresholds: one wait per clock, told once, in order, also after a standstill of the hub."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from isthmus.hub.models import Due
from isthmus.kernel.instant import HOUR, MINUTE, SECOND, Instant, from_rfc3339
from isthmus.practices.service_level import service
from isthmus.practices.service_level.models import SlaClock

MINUTE_LONG: dict[str, Any] = {"name": "quick", "targets": {"resolution": {"within": "PT60S"}}}
NOON = from_rfc3339("2026-11-20T12:00:00Z")


@pytest.fixture
def heard(desk: Any) -> Iterator[list[tuple[str, int, int]]]:
    found: list[tuple[str, int, int]] = []

    def listen(_work: Any, clock: SlaClock, percent: int, now: Instant) -> None:
        found.append((clock.record, percent, (now - NOON) // SECOND))

    service.register_threshold(listen)
    yield found
    service.unregister_threshold(listen)


def test_each_threshold_is_told_once_at_its_time(desk: Any, heard: list[Any]) -> None:
    desk.apply(service_levels=[MINUTE_LONG])
    incident = desk.open(at=NOON)
    for second in range(0, 70, 5):
        desk.sweep(NOON + second * SECOND)
    assert heard == [(incident.id, 50, 30), (incident.id, 75, 45), (incident.id, 100, 60)]
    clock = desk.clock(incident)
    assert (clock.breached, clock.breached_at, clock.reached) == (True, NOON + 60 * SECOND, 100)
    whats = [each.what for each in service.ledger(clock)]
    assert whats == ["start", "threshold", "threshold", "breach"]
    assert [each for each in desk.waits() if each.subject == clock.id] == []


def test_what_passed_while_the_hub_was_down_is_told_in_order_when_it_is_back(
    desk: Any, heard: list[Any]
) -> None:
    desk.apply(service_levels=[MINUTE_LONG])
    incident = desk.open(at=NOON)
    desk.sweep(NOON + HOUR)
    assert [percent for _, percent, _ in heard] == [50, 75, 100]
    lines = [each for each in service.ledger(desk.clock(incident)) if each.what in {"threshold", "breach"}]
    assert [(each.at - NOON) // SECOND for each in lines] == [30, 45, 60]


def test_a_paused_clock_waits_for_nothing_and_goes_on_where_it_stood(desk: Any, heard: list[Any]) -> None:
    desk.apply(service_levels=[MINUTE_LONG])
    incident = desk.open(at=NOON)
    desk.change(incident, {"state": "on_hold"}, occurred=NOON + 20 * SECOND, now=NOON + 20 * SECOND)
    clock = desk.clock(incident)
    assert (clock.state, clock.due_at, clock.elapsed) == ("paused", None, 20 * SECOND)
    assert [each for each in desk.waits() if each.subject == clock.id] == []
    assert desk.again(incident).resolve_by is None
    desk.sweep(NOON + HOUR)
    assert heard == []
    desk.change(incident, {"state": "in_progress"}, occurred=NOON + HOUR, now=NOON + HOUR)
    assert desk.again(incident).resolve_by == NOON + HOUR + 40 * SECOND
    desk.sweep(NOON + HOUR + 9 * SECOND)
    assert heard == []
    desk.sweep(NOON + HOUR + 10 * SECOND)
    assert [percent for _, percent, _ in heard] == [50]


def test_a_stopped_clock_is_told_no_more(desk: Any, heard: list[Any]) -> None:
    desk.apply(service_levels=[MINUTE_LONG])
    incident = desk.open(at=NOON)
    desk.change(incident, {"state": "resolved"}, occurred=NOON + 20 * SECOND, now=NOON + 20 * SECOND)
    desk.sweep(NOON + HOUR)
    assert heard == []
    assert (desk.clock(incident).state, desk.clock(incident).breached) == ("stopped", False)


def test_a_late_pause_takes_a_breach_back_and_a_later_one_is_told_again(desk: Any, heard: list[Any]) -> None:
    desk.apply(service_levels=[MINUTE_LONG])
    incident = desk.open(at=NOON)
    desk.change(incident, {"state": "in_progress"}, occurred=NOON + 50 * SECOND, now=NOON + 50 * SECOND)
    desk.sweep(NOON + 61 * SECOND)
    assert desk.clock(incident).breached
    known = NOON + 62 * SECOND
    desk.change(incident, {"state": "on_hold"}, occurred=NOON + 10 * SECOND, now=known)
    clock = desk.clock(incident)
    assert (clock.breached, clock.breached_at, clock.reached) == (False, None, 0)
    assert clock.due_at == NOON + 100 * SECOND
    assert "sla.recalculate" in {f"sla.{each.what}" for each in service.ledger(clock)}
    heard.clear()
    desk.sweep(NOON + 101 * SECOND)
    assert [percent for _, percent, _ in heard] == [50, 75, 100]


def test_a_handler_that_fails_leaves_the_wait_to_be_tried_again(desk: Any) -> None:
    desk.apply(service_levels=[MINUTE_LONG])
    incident = desk.open(at=NOON)
    calls: list[int] = []

    def fragile(_work: Any, _clock: SlaClock, percent: int, _now: Instant) -> None:
        calls.append(percent)
        if len(calls) == 1:
            raise RuntimeError("the channel is not ready")

    service.register_threshold(fragile)
    try:
        desk.sweep(NOON + 30 * SECOND)
        assert desk.clock(incident).reached == 0
        desk.sweep(NOON + 10 * MINUTE)
    finally:
        service.unregister_threshold(fragile)
    assert calls == [50, 50, 75, 100]


def test_ten_thousandths_below_the_target_are_no_breach(desk: Any) -> None:
    """No rounding of percents: 99.951 % of a target is not 100 %."""
    desk.apply(service_levels=[{"name": "exact", "targets": {"resolution": {"within": "PT8H"}}}])
    incident = desk.open(at=NOON)
    almost = NOON + 8 * HOUR - 1
    desk.sweep(almost)
    assert (desk.clock(incident).reached, desk.clock(incident).breached) == (75, False)
    desk.change(incident, {"state": "resolved"}, occurred=NOON + 8 * HOUR, now=NOON + 8 * HOUR)
    clock = desk.clock(incident)
    assert (clock.elapsed, clock.breached) == (clock.amount, False)


def test_one_microsecond_above_it_is(desk: Any) -> None:
    desk.apply(service_levels=[{"name": "exact", "targets": {"resolution": {"within": "PT8H"}}}])
    incident = desk.open(at=NOON)
    over = NOON + 8 * HOUR + 1
    desk.change(incident, {"state": "resolved"}, occurred=over, now=over)
    assert desk.clock(incident).breached is True


def test_a_sweep_touches_only_what_is_due(desk: Any, heard: list[Any]) -> None:
    long = {"name": "long", "targets": {"resolution": {"within": "PT8H"}}}
    desk.apply(service_levels=[long], incident={"targets": {}})
    for step in range(12):
        desk.open(at=NOON + step * HOUR)
    assert desk.sweep(NOON + 4 * HOUR) == 1
    assert len(heard) == 1
    assert Due.objects.filter(what="sla.threshold").count() == 12
