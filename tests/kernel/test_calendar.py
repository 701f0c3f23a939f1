"""Working time against a stepping clock: the slow way that nobody can get wrong."""

from __future__ import annotations

import datetime as dt
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from isthmus.kernel import calendar, icalendar
from isthmus.kernel.calendar import ROUND_THE_CLOCK, Shift, WorkingTime
from isthmus.kernel.errors import Rejected
from isthmus.kernel.instant import DAY, HOUR, MINUTE, Instant, from_datetime, from_rfc3339

OFFICE = WorkingTime(zone="Europe/Berlin", shifts=(Shift(days=(0, 1, 2, 3, 4), start=9 * 60, end=17 * 60),))
HOLIDAY_OFFICE = WorkingTime(
    zone="Europe/Berlin", shifts=OFFICE.shifts, holidays="DE", closed=frozenset({dt.date(2026, 3, 30)})
)
NIGHT = WorkingTime(zone="America/New_York", shifts=(Shift(days=(4, 5), start=22 * 60, end=6 * 60),))
GAP = WorkingTime(zone="Europe/Berlin", shifts=(Shift(days=tuple(range(7)), start=150, end=210),))
SYDNEY = WorkingTime(zone="Australia/Lord_Howe", shifts=(Shift(days=tuple(range(7)), start=60, end=24 * 60),))
RULES = [ROUND_THE_CLOCK, OFFICE, HOLIDAY_OFFICE, NIGHT, GAP, SYDNEY]

EASTER_GERMANY_2026 = {dt.date(2026, 4, 3), dt.date(2026, 4, 6)}


def at(text: str) -> Instant:
    return from_rfc3339(text)


def stands_open(rule: WorkingTime, instant: int) -> bool:
    """The rule said slowly: look at the wall clock of this instant."""
    wall = dt.datetime.fromtimestamp(instant // 1_000_000, ZoneInfo(rule.zone))
    minute = wall.hour * 60 + wall.minute
    shifts = rule.shifts or (Shift(days=tuple(range(7)), start=0, end=1440),)
    for shift in shifts:
        for back in (0, 1):
            day = wall.date() - dt.timedelta(days=back)
            end = shift.end if shift.end > shift.start else shift.end + 1440
            closed = day in rule.closed or (rule.holidays == "DE" and day in EASTER_GERMANY_2026)
            if day.weekday() in shift.days and not closed and shift.start <= minute + 1440 * back < end:
                return True
    return False


# March and April 2026: both hemispheres change their clocks, Easter closes Germany.
instants = st.integers(
    from_rfc3339("2026-03-01T00:00:00Z") // MINUTE, from_rfc3339("2026-04-20T00:00:00Z") // MINUTE
).map(lambda minutes: Instant(minutes * MINUTE))


@settings(max_examples=60)
@given(rule=st.sampled_from(RULES), start=instants, minutes=st.integers(0, 4 * 24 * 60))
def test_elapsed_equals_stepping_minute_by_minute(rule, start, minutes):
    stepped = sum(stands_open(rule, start + step * MINUTE) for step in range(minutes)) * MINUTE
    assert calendar.elapsed(rule, start, Instant(start + minutes * MINUTE)) == stepped


moments = st.integers(from_rfc3339("2025-10-01T00:00:00Z"), from_rfc3339("2027-05-01T00:00:00Z")).map(Instant)


@given(rule=st.sampled_from(RULES), three=st.tuples(moments, moments, moments).map(sorted))
def test_elapsed_is_additive_and_never_negative(rule, three):
    a, b, c = three
    assert calendar.elapsed(rule, a, c) == calendar.elapsed(rule, a, b) + calendar.elapsed(rule, b, c)
    assert calendar.elapsed(rule, a, b) >= 0
    assert calendar.elapsed(rule, b, a) == 0


@given(rule=st.sampled_from(RULES), start=moments, amount=st.integers(1, 400 * HOUR))
def test_elapsed_at_due_equals_the_amount_and_a_microsecond_earlier_does_not(rule, start, amount):
    due = calendar.due_at(rule, start, amount)
    assert calendar.elapsed(rule, start, due) == amount
    assert calendar.elapsed(rule, start, Instant(due - 1)) == amount - 1


@given(start=moments, end=moments)
def test_round_the_clock_equals_the_wall_clock(start, end):
    assert calendar.elapsed(ROUND_THE_CLOCK, start, end) == max(0, end - start)


def test_the_skipped_hour_never_counts_and_the_repeated_hour_counts_twice():
    # Berlin, 2026-03-29: 02:00 → 03:00. Shift 02:30-03:30 has only its second half.
    assert calendar.elapsed(GAP, at("2026-03-29T00:00:00Z"), at("2026-03-29T04:00:00Z")) == 30 * MINUTE
    # Berlin, 2026-10-25: 03:00 → 02:00. 02:30-03:00 is seen twice, 03:00-03:30 once.
    assert calendar.elapsed(GAP, at("2026-10-25T00:00:00Z"), at("2026-10-25T04:00:00Z")) == 90 * MINUTE


def test_eight_office_hours_from_friday_afternoon_over_the_change_of_clocks_fall_due_on_monday():
    friday = at("2026-03-27T15:00:00Z")  # 16:00 in Berlin
    assert calendar.due_at(OFFICE, friday, 8 * HOUR) == at(
        "2026-03-30T14:00:00Z"
    )  # 16:00 in Berlin, now UTC+2


def test_a_holiday_and_a_closed_date_move_the_due_time():
    assert calendar.due_at(HOLIDAY_OFFICE, at("2026-03-27T15:00:00Z"), 8 * HOUR) == at("2026-03-31T14:00:00Z")
    thursday = at("2026-04-02T14:00:00Z")
    assert calendar.due_at(HOLIDAY_OFFICE, thursday, 2 * HOUR) == at("2026-04-07T08:00:00Z")


def test_next_opening():
    table = calendar.timetable(OFFICE, 2026, 2026)
    saturday = at("2026-11-21T12:00:00Z")
    assert table.next_open(saturday) == at("2026-11-23T08:00:00Z")
    assert not table.open_at(saturday)
    assert table.open_at(at("2026-11-23T08:00:00Z"))
    assert not table.open_at(at("2026-11-23T16:00:00Z"))
    assert table.next_open(at("2026-12-31T23:00:00Z")) is None


def test_a_calendar_that_never_opens_says_so():
    with pytest.raises(Rejected, match="working minutes"):
        calendar.due_at(
            WorkingTime(shifts=(Shift(days=(), start=0, end=60),)), at("2026-01-01T00:00:00Z"), HOUR
        )


def test_check_names_each_mistake():
    wrong = WorkingTime(zone="Europe/Berlinn", shifts=(Shift(days=(7,), start=-1, end=0),), holidays="XX-1")
    assert [problem.path for problem in calendar.check(wrong)] == [
        "/zone",
        "/shifts/0",
        "/shifts/0/days",
        "/holidays",
    ]
    assert calendar.check(HOLIDAY_OFFICE) == []


spans = st.lists(
    st.tuples(st.integers(0, 60), st.integers(0, 20)).map(
        lambda pair: (Instant(pair[0]), Instant(sum(pair)))
    ),
    max_size=6,
)


@given(
    blocked=spans,
    allowed=st.none() | spans,
    start=st.integers(0, 60).map(Instant),
    duration=st.integers(1, 15),
)
def test_the_next_free_slot_is_the_first_that_trying_every_instant_finds(blocked, allowed, start, duration):
    until = Instant(90)

    def free(begin: int) -> bool:
        cells = range(begin, begin + duration)
        inside = allowed is None or any(
            a <= begin and begin + duration <= b for a, b in calendar.merged(allowed)
        )
        return inside and not any(a <= cell < b for a, b in blocked for cell in cells)

    expected = next((begin for begin in range(start, until - duration + 1) if free(begin)), None)
    found = calendar.next_free(start, duration, until=until, allowed=allowed, blocked=blocked)
    assert found == (None if expected is None else (expected, expected + duration))


ICS = """BEGIN:VCALENDAR
VERSION:2.0
PRODID:-//test//EN
BEGIN:VEVENT
UID:weekly
SUMMARY:Database window
DTSTART;TZID=Europe/Berlin:20260324T220000
DTEND;TZID=Europe/Berlin:20260325T000000
RRULE:FREQ=WEEKLY;COUNT=3
EXDATE;TZID=Europe/Berlin:20260407T220000
CATEGORIES:change-window
END:VEVENT
BEGIN:VEVENT
UID:xmas
SUMMARY:Year end freeze
DTSTART;VALUE=DATE:20261224
DTEND;VALUE=DATE:20270102
END:VEVENT
BEGIN:VEVENT
UID:off
SUMMARY:Cancelled freeze
STATUS:CANCELLED
DTSTART:20261201T000000Z
DTEND:20261202T000000Z
END:VEVENT
END:VCALENDAR
"""


def test_icalendar_recurrences_exceptions_days_and_cancellations():
    found = icalendar.occurrences(
        ICS, at("2026-01-01T00:00:00Z"), at("2027-12-31T00:00:00Z"), zone="Europe/Berlin"
    )
    assert [(each.uid, each.starts_at, each.ends_at) for each in found] == [
        ("weekly", at("2026-03-24T21:00:00Z"), at("2026-03-24T23:00:00Z")),
        ("weekly", at("2026-03-31T20:00:00Z"), at("2026-03-31T22:00:00Z")),
        ("xmas", at("2026-12-23T23:00:00Z"), at("2027-01-01T23:00:00Z")),
    ]
    assert found[0].categories == ("change-window",)
    assert found[2].name == "Year end freeze"


@pytest.mark.parametrize(
    "text", ["", "not a calendar", "BEGIN:VCALENDAR\nBEGIN:VEVENT\nDTSTART:banana\nEND:VCALENDAR"]
)
def test_what_is_no_calendar_is_refused(text):
    with pytest.raises(Rejected):
        icalendar.occurrences(text, Instant(0), Instant(DAY))


def test_a_calendar_over_the_limit_is_refused():
    with pytest.raises(Rejected, match="larger"):
        icalendar.occurrences("x" * (icalendar.BYTES_MAX + 1), Instant(0), Instant(DAY))


def test_the_edge_of_the_horizon_is_refused_and_never_guessed():
    table = calendar.timetable(OFFICE, 2026, 2026)
    with pytest.raises(Rejected, match="outside this timetable"):
        table.elapsed(from_datetime(dt.datetime(2026, 1, 1, tzinfo=dt.UTC)), at("2027-06-01T00:00:00Z"))
