"""E1 as a story: eight business hours, a holiday, a change of clocks, thirty random changes, and the stepping oracle."""

from __future__ import annotations

import datetime as dt
import random
from typing import Any

import pytest
from tests.practices.service_level import oracle
from tests.practices.service_level.conftest import OFFICE

from isthmus.kernel.instant import DAY, HOUR, MINUTE, SECOND, Instant, from_rfc3339
from isthmus.kernel.observation import ExternalRef, Observation, ObservedSlaClock
from isthmus.ledger.work import Work
from isthmus.practices.incident import service as incidents
from isthmus.practices.service_level import partner_clocks, service

EIGHT_HOURS = 8 * HOUR
HOLIDAY = dt.date(2026, 3, 30)
"""A Monday, the day after Europe's clocks go forward."""
FRIDAY = from_rfc3339("2026-03-27T13:17:23Z")
CALENDAR = {**OFFICE, "closed": [HOLIDAY.isoformat()]}
GOLD: dict[str, Any] = {
    "name": "gold",
    "calendar": "office",
    "targets": {"resolution": {"within": "PT8H"}, "response": {"within": "PT1H"}},
}
WORKDAYS = ((0, 1, 2, 3, 4), 9 * 60, 17 * 60)
HOURS = {
    "office": oracle.Hours("Europe/Berlin", (WORKDAYS,), frozenset({HOLIDAY})),
    "24x7": oracle.Hours("Europe/Berlin"),
}
STATES = ("new", "in_progress", "on_hold")


def counts(state: str) -> bool:
    return state != "on_hold"


def stops(state: str) -> bool:
    return state in {"resolved", "closed"}


def stepped(changes: list[tuple[int, str]], hours: str, until: int) -> oracle.Counted:
    return oracle.step(changes, HOURS[hours], until, counts=counts, stops=stops, amount=EIGHT_HOURS)


def moved(rng: random.Random, count: int) -> list[tuple[int, str]]:
    """Return random changes of state over the five days after the opening, to the second."""
    times = sorted(rng.sample(range(1, 5 * DAY // SECOND), count))
    state, found = "new", []
    for each in times:
        state = rng.choice([one for one in ("in_progress", "on_hold") if one != state])
        found.append((FRIDAY + each * SECOND, state))
    return found


@pytest.mark.parametrize("hours", ["office", "24x7"])
@pytest.mark.parametrize("seed", [1, 2])
def test_thirty_changes_over_a_weekend_and_a_change_of_clocks_equal_the_oracle(
    desk: Any, hours: str, seed: int
) -> None:
    desk.apply(calendars=[CALENDAR], service_levels=[{**GOLD, "calendar": hours}])
    incident = desk.open(at=FRIDAY)
    changes = [(FRIDAY, "new"), *moved(random.Random(seed), 30)]
    for place, (at, state) in enumerate(changes[1:]):
        desk.change(incident, {"state": state}, occurred=at, now=at)
        now = Instant(at + 10 * MINUTE)
        if place % 3:
            continue
        expected = stepped([each for each in changes if each[0] <= at], hours, now)
        clock = desk.clock(incident)
        counted = service.elapsed(clock, service.terms_of(clock), now)
        assert counted == expected.elapsed
        assert desk.folded(incident).elapsed(now) == expected.elapsed
        if clock.state == "running" and seed == 1:
            later = stepped([each for each in changes if each[0] <= at], hours, now + 20 * DAY)
            assert clock.due_at == later.used_up
    end = FRIDAY + 6 * DAY
    desk.change(incident, {"state": "resolved"}, occurred=end, now=end)
    clock = desk.clock(incident)
    expected = stepped([*changes, (end, "resolved")], hours, end + DAY)
    assert (clock.elapsed, clock.breached) == (expected.elapsed, expected.elapsed > EIGHT_HOURS)


def test_a_late_status_event_is_recalculated_and_both_entries_stand_in_the_ledger(desk: Any) -> None:
    desk.apply(calendars=[CALENDAR], service_levels=[GOLD])
    opened = from_rfc3339("2026-03-25T08:00:00Z")
    incident = desk.open(at=opened)
    taken, late, known = opened + 3 * HOUR, opened + HOUR + 13 * SECOND, Instant(opened + 5 * HOUR)
    desk.change(incident, {"state": "in_progress"}, occurred=taken, now=taken)
    before = desk.folded(incident).elapsed(known)
    desk.change(incident, {"state": "on_hold"}, occurred=late, now=known)
    changes = [(opened, "new"), (late, "on_hold"), (taken, "in_progress")]
    after = desk.folded(incident).elapsed(known)
    assert (before, after) == (5 * HOUR, stepped(changes, "office", known).elapsed)
    assert after == before - (taken - late)
    clock = desk.clock(incident)
    assert service.elapsed(clock, service.terms_of(clock), known) == after
    lines = service.ledger(clock)
    assert [each.what for each in lines] == ["start", "pause", "resume", "recalculate"]
    _, paused, resumed, recalculated = lines
    assert (paused.at, resumed.at) == (late, taken)
    assert (paused.cause, resumed.cause) == (f"{incident.id}.3", f"{incident.id}.2")
    assert recalculated.cause == f"{incident.id}.3"
    assert "had occurred at Wed 2026-03-25 09:00:13 UTC already" in recalculated.text
    assert (recalculated.facts["before"], recalculated.facts["elapsed"]) == (before, after)
    assert recalculated.recorded_at == known


def test_in_time_the_same_news_is_no_recalculation(desk: Any) -> None:
    desk.apply(calendars=[CALENDAR], service_levels=[GOLD])
    opened = from_rfc3339("2026-03-25T08:00:00Z")
    incident = desk.open(at=opened)
    for step, state in enumerate(("on_hold", "in_progress"), 1):
        at = opened + step * HOUR
        desk.change(incident, {"state": state}, occurred=at, now=at)
    assert [each.what for each in service.ledger(desk.clock(incident))] == ["start", "pause", "resume"]


def observe(desk: Any, incident: Any, clock: ObservedSlaClock) -> None:
    seen = Observation(
        kind="incident", external=ExternalRef(connection="snow", kind="incident", key="1"), values={},
        sla_clocks=(clock,),
    )  # fmt: skip
    desk.act(lambda work: _observed(work, incident, seen), now=clock.at)


def _observed(work: Work, incident: Any, seen: Observation) -> list[str]:
    return partner_clocks.observed(work, incidents.get(work, incident.id), "snow", seen)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("told", ["runs", "sums"])
def test_a_partners_clock_that_differs_shows_by_how_much_and_in_which_interval(
    desk: Any, seed: int, told: str
) -> None:
    rng = random.Random(seed)
    desk.apply(service_levels=[{**GOLD, "calendar": "24x7"}])
    opened = from_rfc3339("2026-03-25T08:00:00Z")
    incident = desk.open(at=opened)
    pause = opened + rng.randrange(20, 90) * MINUTE
    minutes = rng.randrange(3, 50)
    back = pause + minutes * MINUTE
    desk.change(incident, {"state": "on_hold"}, occurred=pause, now=pause)
    desk.change(incident, {"state": "in_progress"}, occurred=back, now=back)
    now = Instant(back + 40 * MINUTE)
    runs = ((opened, None),) if told == "runs" else ()
    clock = ObservedSlaClock(
        name="P2 resolution",
        state="running",
        elapsed=now - opened,
        started_at=Instant(opened),
        runs=runs,
        at=now,
    )
    observe(desk, incident, clock)
    (found,) = service.compared(incident.id)
    assert found.difference is not None
    assert found.difference.difference == minutes * MINUTE
    (cause,) = found.difference.causes
    assert (cause.start, cause.end, cause.counted) == (pause, back, minutes * MINUTE)
    assert f"{minutes} min more than we do" in found.difference.text


def test_partner_clocks_that_agree_show_no_difference(desk: Any) -> None:
    desk.apply(service_levels=[{**GOLD, "calendar": "24x7"}])
    opened = from_rfc3339("2026-03-25T08:00:00Z")
    incident = desk.open(at=opened)
    now = Instant(opened + HOUR)
    observe(desk, incident, ObservedSlaClock(name="Resolution", elapsed=HOUR, state="running", at=now))
    (found,) = service.compared(incident.id)
    assert found.difference is not None
    assert (found.difference.difference, found.difference.causes) == (0, ())
