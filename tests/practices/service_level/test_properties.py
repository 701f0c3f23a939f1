"""What a clock promises, whatever happens to the record: the properties of service levels."""

from __future__ import annotations

import dataclasses
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from tests.practices.service_level import oracle

from isthmus.kernel import calendar
from isthmus.kernel.calendar import ROUND_THE_CLOCK, Shift, WorkingTime
from isthmus.kernel.instant import DAY, HOUR, MINUTE, SECOND, Instant, from_rfc3339
from isthmus.practices.service_level.rules import bulk, custody, prediction, report, story
from isthmus.practices.service_level.rules.clock import Clock, Happening, Says, Terms, fold
from isthmus.practices.service_level.rules.custody import Custody

WEEK = (0, 1, 2, 3, 4)
OFFICE = WorkingTime(zone="Europe/Berlin", shifts=(Shift(days=WEEK, start=540, end=1020),))
LUNCH = WorkingTime(
    zone="America/New_York",
    shifts=(Shift(days=WEEK, start=540, end=720), Shift(days=WEEK, start=780, end=1080)),
)
RULES = {
    "24x7": (ROUND_THE_CLOCK, oracle.Hours("UTC")),
    "office": (OFFICE, oracle.Hours("Europe/Berlin", ((WEEK, 540, 1020),))),
    "lunch": (LUNCH, oracle.Hours("America/New_York", ((WEEK, 540, 720), (WEEK, 780, 1080)))),
}
# Both changes of European and American clocks lie within these eight weeks.
FIRST = from_rfc3339("2026-03-02T00:00:00Z")
STATES = ("new", "in_progress", "on_hold", "resolved")


def says(facts: Any) -> Says:
    state = facts["state"]
    return Says(
        pause=state == "on_hold",
        stop=state == "resolved",
        cancel=state == "cancelled",
        reset=state == "reset",
    )


def terms(name: str = "office", **more: Any) -> Terms:
    given: dict[str, Any] = {
        "name": name, "target": "resolution", "amount": 8 * HOUR, "hours": RULES[name][0], "calendar": name, "says": says,
    }  # fmt: skip
    return Terms(**{**given, **more})


instants = st.integers(0, 56 * DAY // SECOND).map(lambda seconds: Instant(FIRST + seconds * SECOND))
near = st.integers(0, 4 * DAY // SECOND).map(lambda seconds: Instant(FIRST + 26 * DAY + seconds * SECOND))
names = st.sampled_from(sorted(RULES))


def life(changes: list[tuple[Instant, str]], promised: Terms) -> list[Happening]:
    """Return changes as the happenings that a history gives: in the order of occurrence."""
    told = sorted(enumerate(changes), key=lambda each: (each[1][0], each[0]))
    return [
        Happening(at=at, cause=f"r.{place + 1}", facts={"state": state}, terms=promised)
        for place, (at, state) in told
    ]


def changes_in(times: st.SearchStrategy[Instant], *, most: int = 10) -> st.SearchStrategy[Any]:
    later = st.lists(st.tuples(times, st.sampled_from(STATES)), max_size=most)
    return st.tuples(st.just((Instant(FIRST), "new")), later).map(lambda each: [each[0], *each[1]])


def folded(changes: list[tuple[Instant, str]], promised: Terms) -> Clock:
    found = fold(life(changes, promised))
    assert found is not None
    return found


@settings(max_examples=40)
@given(
    name=names,
    changes=changes_in(near, most=6).map(lambda each: [(near_start, "new"), *each[1:]]),
    after=near,
)
def test_elapsed_equals_the_stepping_oracle(name: str, changes: Any, after: Instant) -> None:
    changes = [each for each in changes if each[1] != "resolved"]
    until = Instant(max(after, *(at for at, _ in changes)))
    clock = folded(changes, terms(name))
    stepped = oracle.step(
        # Of changes in the same instant the one that became known last counts.
        list({at: (at, state) for at, state in changes}.values()),
        RULES[name][1],
        until,
        counts=lambda state: state != "on_hold",
        stops=lambda state: state == "resolved",
    )
    assert clock.elapsed(until) == stepped.elapsed


near_start = Instant(FIRST + 26 * DAY)


@given(name=names, changes=changes_in(instants), moments=st.lists(instants, min_size=2, max_size=5))
def test_elapsed_is_never_negative_and_never_decreases(name: str, changes: Any, moments: Any) -> None:
    clock = folded(changes, terms(name))
    last = max(at for at, _ in changes)
    counted = [clock.elapsed(Instant(each)) for each in sorted(last + (each - FIRST) for each in moments)]
    assert counted == sorted(counted)
    assert counted[0] >= clock.counted >= 0


@given(name=names, cuts=st.lists(instants, min_size=3, max_size=3).map(sorted))
def test_elapsed_is_additive(name: str, cuts: Any) -> None:
    first, second, third = cuts
    promised = terms(name)
    assert promised.counted(first, third) == promised.counted(first, second) + promised.counted(second, third)


@given(name=names, changes=changes_in(instants), pause=instants, length=st.integers(0, 5 * DAY))
def test_a_pause_adds_nothing(name: str, changes: Any, pause: Instant, length: int) -> None:
    changes = [each for each in changes if each[0] <= pause and each[1] not in {"resolved", "on_hold"}]
    held = folded([*changes, (pause, "on_hold")], terms(name))
    assert held.elapsed(Instant(pause + length)) == held.elapsed(pause)
    gone_on = folded([*changes, (pause, "on_hold"), (Instant(pause + length), "in_progress")], terms(name))
    assert gone_on.elapsed(Instant(pause + length)) == held.elapsed(pause)


@given(name=names, changes=changes_in(instants), amount=st.integers(1, 40 * HOUR))
def test_elapsed_at_due_equals_the_target(name: str, changes: Any, amount: int) -> None:
    changes = [each for each in changes if each[1] != "resolved"]
    clock = folded(changes, terms(name, amount=amount))
    due = clock.due_at()
    if due is None:
        assert clock.status == "paused"
        assert clock.counted < amount
        return
    before = folded([each for each in changes if each[0] <= due], terms(name, amount=amount))
    assert before.elapsed(due) == amount
    assert before.elapsed(Instant(due - 1)) < amount


@given(changes=changes_in(instants), after=instants)
def test_round_the_clock_equals_the_wall_clock(changes: Any, after: Instant) -> None:
    running = [each for each in changes if each[1] in {"new", "in_progress"}]
    now = Instant(max(after, *(at for at, _ in running)))
    assert folded(running, terms("24x7")).elapsed(now) == now - FIRST


@given(
    start=instants,
    span=st.integers(0, 20 * DAY),
    zone=st.sampled_from(["Asia/Tokyo", "UTC", "Europe/Berlin"]),
)
def test_the_zone_of_a_calendar_that_never_closes_changes_nothing(
    start: Instant, span: int, zone: str
) -> None:
    always = WorkingTime(zone=zone, shifts=(Shift(days=tuple(range(7)), start=0, end=1440),))
    assert calendar.elapsed(always, start, Instant(start + span)) == span


@given(name=names, changes=changes_in(instants), order=st.randoms(use_true_random=False))
def test_the_order_of_becoming_known_changes_no_time(name: str, changes: Any, order: Any) -> None:
    """Late events recalculate: what counts is when things occurred. (At most one change per instant.)"""
    distinct = list({at: (at, state) for at, state in changes}.values())
    shuffled = distinct.copy()
    order.shuffle(shuffled)
    now = Instant(FIRST + 57 * DAY)
    one, other = folded(distinct, terms(name)), folded(shuffled, terms(name))
    assert (one.status, one.runs, one.elapsed(now), one.due_at()) == (
        other.status,
        other.runs,
        other.elapsed(now),
        other.due_at(),
    )


@given(name=names, changes=changes_in(instants), cut=st.integers(1, 10))
def test_folding_again_from_any_prefix_is_the_same_story(name: str, changes: Any, cut: int) -> None:
    told = life(changes, terms(name))
    before, whole = fold(told[:cut]), fold(told)
    assert before is not None
    assert whole is not None
    assert whole.moves[: len(before.moves)] == before.moves


@given(name=names, changes=changes_in(instants), after=instants)
def test_the_account_of_the_time_adds_up(name: str, changes: Any, after: Instant) -> None:
    clock = folded(changes, terms(name))
    now = Instant(max(after, *(at for at, _ in changes)))
    told = story.account(clock, now)
    assert told is not None
    assert told.whole == told.counted + told.paused + told.closed
    assert min(told.counted, told.paused, told.closed) >= 0
    assert told.counted == clock.elapsed(told.until)


parties = st.lists(
    st.tuples(st.sampled_from(["desk", "network", "supplier"]), instants, st.integers(0, 9 * DAY)), max_size=8
)


@given(name=names, changes=changes_in(instants), held=parties, after=instants)
def test_minutes_per_custodian_sum_to_elapsed(name: str, changes: Any, held: Any, after: Instant) -> None:
    clock = folded(changes, terms(name))
    now = Instant(max(after, *(at for at, _ in changes)))
    intervals = [Custody(party=party, start=at, end=Instant(at + span)) for party, at, span in held]
    shares = custody.minutes_per_party(clock, intervals, now)
    assert sum(each.counted for each in shares) == clock.elapsed(now)
    assert len({each.party for each in shares}) == len(shares)


@given(name=names, spans=st.lists(st.tuples(instants, instants), max_size=30))
def test_counting_in_bulk_is_counting_one_by_one(name: str, spans: Any) -> None:
    import numpy as np

    rule = RULES[name][0]
    columns = bulk.Columns(calendar.timetable(rule, 2026, 2026))
    starts = np.array([start for start, _ in spans], dtype=np.int64)
    ends = np.array([end for _, end in spans], dtype=np.int64)
    assert columns.elapsed(starts, ends).tolist() == [
        calendar.elapsed(rule, start, end) for start, end in spans
    ]


# Terms that become others ----------------------------------------------------------------------------------


def promoted(retarget: str, at: Instant) -> list[Happening]:
    """Opened under 8 hours around the clock, put under 2 hours later."""
    old = terms("24x7")
    new = dataclasses.replace(old, name="urgent", amount=2 * HOUR, retarget=retarget)  # type: ignore[arg-type]
    opened = Happening(at=FIRST, cause="r.1", facts={"state": "new"}, terms=old)
    return [opened, Happening(at=at, cause="r.2", facts={"state": "in_progress"}, terms=new)]


def test_another_priority_is_judged_retroactively_carried_or_from_nought() -> None:
    at, now = Instant(FIRST + 3 * HOUR), Instant(FIRST + 4 * HOUR)
    found = {each: fold(promoted(each, at)) for each in ("retroactive", "carry", "restart")}
    assert {each: clock.elapsed(now) // HOUR for each, clock in found.items() if clock} == {
        "retroactive": 4, "carry": 4, "restart": 1,
    }  # fmt: skip
    assert {each: clock.due_at() for each, clock in found.items() if clock} == {
        "retroactive": FIRST + 2 * HOUR, "carry": at, "restart": at + 2 * HOUR,
    }  # fmt: skip
    assert all(clock and clock.moves[-1].what == "retarget" for clock in found.values())


@given(at=instants, after=st.integers(0, 9 * DAY), retarget=st.sampled_from(["retroactive", "carry"]))
def test_on_one_calendar_a_new_target_changes_nothing_that_has_counted(
    at: Instant, after: int, retarget: str
) -> None:
    clock = fold(promoted(retarget, at))
    assert clock is not None
    assert clock.elapsed(Instant(at + after)) == at + after - FIRST


def test_a_promise_that_ends_cancels_the_clock_and_keeps_what_had_counted() -> None:
    told = [*promoted("carry", Instant(FIRST + HOUR))[:1]]
    told.append(Happening(at=Instant(FIRST + HOUR), cause="r.2", facts={"state": "new"}, terms=None))
    clock = fold(told)
    assert clock is not None
    assert (clock.status, clock.counted, clock.moves[-1].what) == ("cancelled", HOUR, "cancel")


def test_a_reset_begins_again_and_only_when_it_becomes_true() -> None:
    changes = [
        (FIRST + step * HOUR, state) for step, state in enumerate(["new", "reset", "reset", "in_progress"])
    ]
    clock = folded([(Instant(at), state) for at, state in changes], terms("24x7"))
    assert (clock.cycle, clock.started_at) == (1, FIRST + HOUR)
    assert clock.elapsed(Instant(FIRST + 5 * HOUR)) == 4 * HOUR


def test_reopening_resumes_restarts_or_changes_nothing_as_declared() -> None:
    changes = [
        (Instant(FIRST + step * HOUR), state) for step, state in enumerate(["new", "resolved", "in_progress"])
    ]
    now = Instant(FIRST + 3 * HOUR)
    found = {each: folded(changes, terms("24x7", reopen=each)) for each in ("resume", "restart", "final")}
    assert {each: (clock.status, clock.elapsed(now) // HOUR) for each, clock in found.items()} == {
        "resume": ("running", 2), "restart": ("running", 1), "final": ("stopped", 1),
    }  # fmt: skip


def test_what_was_never_started_has_no_verdict() -> None:
    clock = folded([(Instant(FIRST), "resolved")], terms("24x7"))
    assert (clock.status, clock.moves) == ("waiting", ())
    assert story.why(clock, Instant(FIRST + HOUR))[0].startswith("It has not started")


# Sentences, prediction, report -----------------------------------------------------------------------------


def test_the_worked_example_of_the_module() -> None:
    friday = from_rfc3339("2026-01-16T14:00:00Z")
    changes = [
        (friday, "new"), (friday + HOUR, "on_hold"), (friday + 2 * DAY + 19 * HOUR, "in_progress"),
        (friday + 2 * DAY + 22 * HOUR, "resolved"),
    ]  # fmt: skip
    clock = folded([(Instant(at), state) for at, state in changes], terms("office"))
    assert clock.counted == 4 * HOUR
    why = story.why(clock, Instant(friday + 9 * DAY))
    assert why[0] == "Met: 4 h counted of 8 h of working time (calendar office); 4 h were left."
    assert "4 h counted, 2 d 18 h on pause, 0 s outside working hours" in why[1]
    assert why[2] == (
        "It stood still from Fri 2026-01-16 16:00:00 CET to Mon 2026-01-19 10:00:00 CET (2 d 18 h)."
    )
    known_later = [*changes[:2], (friday + 2 * DAY + 18 * HOUR + 30 * MINUTE, "in_progress"), changes[-1]]
    assert folded([(Instant(at), state) for at, state in known_later], terms("office")).counted == (
        4 * HOUR + 30 * MINUTE
    )


def test_why_breached_names_the_instant_and_what_was_too_much() -> None:
    clock = folded([(Instant(FIRST), "new")], terms("24x7"))
    (first, *_) = story.why(clock, Instant(FIRST + 9 * HOUR))
    assert first == (
        "Breached at Mon 2026-03-02 08:00:00 UTC: 8 h of time around the clock were used up then, and it is not "
        "fulfilled yet; 9 h have counted, 1 h too many."
    )


def test_too_few_ended_clocks_give_no_likelihood() -> None:
    few = prediction.likelihood([(HOUR, True)] * (prediction.SAMPLE_MIN - 1), 0)
    assert (few.per_mille, few.text) == (None, "insufficient data (n = 19, at least 20 are needed)")
    enough = prediction.likelihood([(HOUR, True)] * 5 + [(HOUR, False)] * 15, HOUR)
    assert (enough.per_mille, enough.sample, enough.breached) == (250, 20, 5)
    assert enough.text == "25.0 % (n = 20, 95 % interval 11.2 to 46.9 %)"


@given(ended=st.lists(st.tuples(st.integers(0, 9), st.booleans()), max_size=60), elapsed=st.integers(0, 9))
def test_likelihood_looks_only_at_clocks_that_came_as_far(ended: Any, elapsed: int) -> None:
    found = prediction.likelihood(ended, elapsed)
    comparable = [breached for counted, breached in ended if counted >= elapsed]
    assert (found.sample, found.breached) == (len(comparable), sum(comparable))
    if found.per_mille is not None and found.low is not None and found.high is not None:
        assert 0 <= found.low <= found.per_mille <= found.high <= 1000


@given(values=st.lists(st.integers(0, 100), min_size=1, max_size=50), share=st.integers(1, 100))
def test_a_percentile_is_a_value_that_enough_do_not_exceed(values: Any, share: int) -> None:
    ordered = sorted(values)
    found = report.percentile(ordered, share)
    assert found in ordered
    assert sum(each <= found for each in ordered) * 100 >= share * len(ordered)


@given(amounts=st.lists(st.tuples(st.integers(0, 300), st.integers(1, 100)), max_size=40))
def test_every_ended_clock_is_in_one_class_and_those_within_target_are_below_it(amounts: Any) -> None:
    clocks = [
        report.Ended(group="a", elapsed=elapsed, amount=amount, breached=elapsed > amount, stopped_at=FIRST)
        for elapsed, amount in amounts
    ]
    shares = report.shares_of_target(clocks)
    assert sum(count for _, count in shares) == len(clocks)
    assert sum(count for _, count in shares[:10]) == sum(not each.breached for each in clocks)
