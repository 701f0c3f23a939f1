"""Who is on duty: one answer at every instant, on every day of the year."""

from __future__ import annotations

import datetime as dt
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from isthmus.kernel.instant import DAY, HOUR, MINUTE, Instant, from_datetime
from isthmus.practices.on_call.rules.quiet import weekly
from isthmus.practices.on_call.rules.rota import (
    Layer,
    Override,
    Rota,
    duties,
    gaps,
    handover,
    on_duty,
    on_layer,
    turn_at,
)

BERLIN = "Europe/Berlin"


def wall(*parts: int) -> dt.datetime:
    """A time as a clock on a wall shows it: without a zone on purpose."""
    return dt.datetime(*parts)  # noqa: DTZ001


ZONES = (BERLIN, "UTC", "America/New_York", "Asia/Kathmandu", "Australia/Lord_Howe", "Pacific/Apia")


def at(text: str, zone: str = BERLIN) -> Instant:
    return from_datetime(dt.datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)))


def layer(*participants: str, zone: str = BERLIN, **more) -> Layer:
    plain = {
        "name": "one", "participants": participants, "rotation": dt.timedelta(days=7),
        "start": wall(2026, 1, 5, 9), "zone": zone,
    }  # fmt: skip
    return Layer(**{**plain, **more})


WEEKLY = Rota(name="weekly", layers=(layer("ada", "ben", "cai"),))


def test_a_week_each_from_monday_at_nine():
    assert on_duty(WEEKLY, [], at("2026-01-05T09:00:00")).person == "ada"
    assert on_duty(WEEKLY, [], at("2026-01-12T08:59:59")).person == "ada"
    assert on_duty(WEEKLY, [], at("2026-01-12T09:00:00")).person == "ben"
    assert on_duty(WEEKLY, [], at("2026-01-26T09:00:00")).person == "ada"
    assert on_duty(WEEKLY, [], at("2026-01-05T08:59:59")).person == "", "before the first handover"


@pytest.mark.parametrize(
    ("since", "until", "hours"),
    [("2026-03-23T09:00", "2026-03-30T09:00", 167), ("2026-10-19T09:00", "2026-10-26T09:00", 169)],
)
def test_handover_stays_at_nine_when_the_clock_changes(since, until, hours):
    found = duties(WEEKLY, [], at(since), at(until))
    assert [(each.starts_at, each.ends_at) for each in found] == [(at(since), at(until))]
    assert found[0].ends_at - found[0].starts_at == hours * HOUR
    assert on_duty(WEEKLY, [], at(until)).person != found[0].person


def test_a_handover_in_the_hour_that_is_shown_twice_happens_once():
    nightly = layer("ada", "ben", rotation=dt.timedelta(days=1), start=wall(2026, 10, 24, 2, 30))
    first = handover(nightly, 1)
    assert first == from_datetime(dt.datetime(2026, 10, 25, 0, 30, tzinfo=dt.UTC))
    for minutes in range(180):
        assert turn_at(nightly, Instant(first + minutes * MINUTE)) == 1


def test_a_handover_in_the_hour_that_is_skipped_still_happens():
    nightly = layer("ada", "ben", rotation=dt.timedelta(days=1), start=wall(2026, 3, 28, 2, 30))
    skipped = from_datetime(dt.datetime(2026, 3, 29, 1, 30, tzinfo=dt.UTC))
    assert turn_at(nightly, Instant(skipped - 1)) == 0
    assert turn_at(nightly, skipped) == 1


def test_a_later_layer_wins_within_its_hours_and_gaps_are_told():
    office = weekly([{"days": ["mon", "tue", "wed", "thu", "fri"], "start": "09:00", "end": "17:00"}], BERLIN)
    rota = Rota(name="both", layers=(layer("ada"), layer("ben", name="office", hours=office)))
    assert on_duty(rota, [], at("2026-01-07T10:00")).person == "ben"
    assert on_duty(rota, [], at("2026-01-07T17:00")).person == "ada"
    alone = Rota(name="office", layers=(layer("ben", hours=office),))
    found = duties(alone, [], at("2026-01-10T00:00"), at("2026-01-12T00:00"))
    assert gaps(found) == found, "nobody on a weekend"


def test_the_newest_override_counts_and_one_for_somebody_touches_nobody_else():
    day = at("2026-01-06T00:00")
    swap = Override(id="1", person="zoe", starts_at=day, ends_at=Instant(day + DAY))
    later = Override(id="2", person="yan", starts_at=Instant(day + HOUR), ends_at=Instant(day + 2 * HOUR))
    assert on_duty(WEEKLY, [swap], day).person == "zoe"
    assert on_duty(WEEKLY, [swap], Instant(day + DAY)).person == "ada"
    assert on_duty(WEEKLY, [later, swap], Instant(day + HOUR)).person == "yan"
    for_ben = Override(id="3", person="zoe", replaces="ben", starts_at=day, ends_at=Instant(day + 14 * DAY))
    assert on_duty(WEEKLY, [for_ben], day).person == "ada"
    assert on_duty(WEEKLY, [for_ben], at("2026-01-13T00:00")).person == "zoe"


layers = st.builds(
    layer,
    st.just("ada"), st.just("ben"), st.just("cai"),
    zone=st.sampled_from(ZONES),
    rotation=st.sampled_from([dt.timedelta(hours=1), dt.timedelta(hours=12), dt.timedelta(days=1), dt.timedelta(days=7)]),
    start=st.datetimes(wall(2025, 1, 1), wall(2026, 1, 1)).map(lambda each: each.replace(second=0, microsecond=0)),
)  # fmt: skip
forty_examples = settings(max_examples=40)
"""The machine that runs this may be busy with something else."""
instants = st.integers(at("2026-01-01T00:00"), at("2027-01-01T00:00")).map(Instant)


@forty_examples
@given(layers, instants)
def test_every_instant_belongs_to_exactly_one_turn(one, when):
    turn = turn_at(one, when)
    assert handover(one, turn) <= when < handover(one, turn + 1)
    assert handover(one, turn - 1) <= handover(one, turn)


@forty_examples
@given(layers, instants, instants)
def test_turns_never_go_backwards(one, a, b):
    first, last = sorted((a, b))
    assert turn_at(one, first) <= turn_at(one, last)


@forty_examples
@given(
    st.lists(layers, min_size=1, max_size=2),
    st.lists(st.tuples(instants, st.integers(1, 3 * DAY), st.sampled_from(["zoe", "yan"])), max_size=3),
    instants,
    st.integers(1, 4 * DAY),
    st.floats(0, 1, exclude_max=True),
)
def test_listed_duties_cover_the_stretch_and_agree_with_every_instant(found, swaps, since, length, share):
    rota = Rota(name="any", layers=tuple(found))
    overrides = [
        Override(id=str(number), person=who, starts_at=start, ends_at=Instant(start + size))
        for number, (start, size, who) in enumerate(swaps)
    ]
    until = Instant(since + length)
    told = duties(rota, overrides, since, until)
    assert (told[0].starts_at, told[-1].ends_at) == (since, until)
    assert all(one.ends_at == two.starts_at for one, two in pairwise(told))
    probe = Instant(since + int(length * share))
    (there,) = (each for each in told if each.starts_at <= probe < each.ends_at)
    assert there.person == on_duty(rota, overrides, probe).person


@forty_examples
@given(layers, instants)
def test_the_zone_of_the_reader_changes_nothing(one, when):
    """The answer is a function of the instant: the layer's own zone is the only one that counts."""
    assert on_layer(one, when) in {"", "ada", "ben", "cai"}
    assert (on_layer(one, when) == "") is (turn_at(one, when) < 0)
