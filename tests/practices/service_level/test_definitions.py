"""Who is promised what: by priority, service and tier; another promise, another blueprint, another kind."""

from __future__ import annotations

from typing import Any

import pytest
from tests.practices.service_level.conftest import OFFICE

from isthmus.blueprint import service as blueprints
from isthmus.blueprint.source import Source
from isthmus.blueprint.validate import Invalid
from isthmus.hub.models import Due
from isthmus.kernel.instant import DAY, HOUR, MINUTE, SECOND, Instant, from_rfc3339
from isthmus.ledger.ids import source
from isthmus.practices.change import service as changes
from isthmus.practices.configuration import service as configuration
from isthmus.practices.configuration import snapshot
from isthmus.practices.service_level import service
from isthmus.practices.service_level.models import SlaClock
from isthmus.practices.service_level.rules.custody import Custody

OPENED = from_rfc3339("2026-01-14T09:00:00Z")
TIERS: list[dict[str, Any]] = [
    {"name": "shop-urgent", "services": ["shop"], "priorities": ["1"], "targets": {"resolution": {"within": "PT1H"}}},
    {"name": "gold", "tiers": ["gold"], "targets": {"resolution": {"within": "PT2H"}}},
    {"name": "questions", "when": "record.category == 'question'", "targets": {"resolution": {"within": "P3D"}}},
    {"name": "rest", "targets": {"resolution": {"within": "PT8H"}, "update": {"within": "PT4H", "stop": "record.state == 'closed'"}}},
]  # fmt: skip


def lines(*each: str) -> str:
    return "\r\n".join(each)


def on_the_map(desk: Any) -> dict[str, str]:
    rows = [
        {"name": "shop", "ci_class": "service", "criticality": "gold"},
        {"name": "lab", "ci_class": "service", "criticality": "bronze"},
    ]
    desk.act(
        lambda work: configuration.import_rows(work, rows, organisation=desk.book.organisation, source="t"),
        role="administrator",
    )
    snapshot.forget()
    return configuration.resolve(["shop", "lab"])


@pytest.mark.parametrize(
    ("values", "definition"),
    [
        ({"service": "shop", "priority": "1"}, "shop-urgent"),
        ({"service": "shop", "priority": "3"}, "gold"),
        ({"service": "lab", "priority": "1"}, "rest"),
        ({"service": "lab", "category": "question"}, "questions"),
        ({}, "rest"),
    ],
)
def test_the_first_definition_that_fits_counts(desk: Any, values: dict[str, str], definition: str) -> None:
    cis = on_the_map(desk)
    desk.apply(service_levels=TIERS)
    given = {name: cis.get(value, value) for name, value in values.items()}
    incident = desk.open(at=OPENED, **given)
    assert desk.clock(incident).definition == definition
    assert desk.clock(incident, "update").definition == "rest"
    assert desk.clock(incident, "response").definition.startswith("incident.targets.")


def test_the_short_form_alone_is_a_definition_and_the_incident_shows_what_the_clocks_say(desk: Any) -> None:
    desk.apply(incident={"targets": {"3": {"respond": "PT10M", "resolve": "PT2H"}}})
    incident = desk.open(at=OPENED, impact="3", urgency="3")
    assert (incident.respond_by, incident.resolve_by) == (OPENED + 10 * MINUTE, OPENED + 2 * HOUR)
    assert desk.clock(incident).definition == "incident.targets.3"
    desk.change(incident, {"state": "on_hold"}, occurred=OPENED + MINUTE, now=OPENED + MINUTE)
    assert desk.again(incident).resolve_by == OPENED + 2 * HOUR
    other = desk.open(at=OPENED, impact="4", urgency="4")
    assert (other.respond_by, SlaClock.objects.filter(record=other.id).count()) == (None, 0)


@pytest.mark.parametrize(("retarget", "left"), [("retroactive", -HOUR), ("carry", -HOUR), ("restart", HOUR)])
def test_another_priority_is_another_promise(desk: Any, retarget: str, left: int) -> None:
    urgent = {"name": "urgent", "priorities": ["1"], "retarget": retarget, "targets": {"resolution": {"within": "PT1H"}}}  # fmt: skip
    usual = {"name": "usual", "targets": {"resolution": {"within": "PT8H"}}}
    desk.apply(service_levels=[urgent, usual])
    incident = desk.open(at=OPENED, impact="3", urgency="3")
    assert desk.clock(incident).definition == "usual"
    now = Instant(OPENED + 2 * HOUR)
    desk.change(incident, {"priority": "1"}, occurred=now, now=now)
    clock = desk.clock(incident)
    assert (clock.definition, clock.amount) == ("urgent", HOUR)
    assert clock.amount - service.elapsed(clock, service.terms_of(clock), now) == left
    assert clock.breached is (left < 0)
    assert "retarget" in {each.what for each in service.ledger(clock)}
    assert desk.again(incident).resolve_by == clock.due_at


def test_a_promise_that_ends_cancels_the_clock(desk: Any) -> None:
    only = {"name": "only", "priorities": ["2"], "targets": {"resolution": {"within": "PT8H"}}}
    desk.apply(service_levels=[only], incident={"targets": {}})
    incident = desk.open(at=OPENED, priority="2")
    desk.change(incident, {"priority": "4"}, occurred=OPENED + HOUR, now=OPENED + HOUR)
    clock = desk.clock(incident)
    assert (clock.state, clock.due_at, clock.elapsed) == ("cancelled", None, HOUR)
    assert desk.waits() == []
    assert desk.again(incident).resolve_by is None


def test_a_clock_of_a_change_counts_by_definition(desk: Any) -> None:
    desk.apply(
        calendars=[OFFICE],
        service_levels=[
            {
                "name": "changes",
                "kind": "change",
                "calendar": "office",
                "targets": {"response": {"within": "PT8H"}},
            }
        ],
    )
    made = desk.act(
        lambda work: changes.create(work, {"title": "New index"}, organisation=desk.book.organisation),
        now=OPENED, role="change_manager",
    )  # fmt: skip
    clock = desk.clock(made, "response")
    assert (clock.record_kind, clock.state) == ("change", "running")
    assert clock.due_at == OPENED + DAY + HOUR - HOUR


def test_holidays_lunch_and_ics_close_the_calendar(desk: Any) -> None:
    ics = lines(
        "BEGIN:VCALENDAR", "VERSION:2.0", "PRODID:-//t//t//", "BEGIN:VEVENT", "UID:outing", "SUMMARY:Outing",
         "DTSTART;VALUE=DATE:20260115", "DTEND;VALUE=DATE:20260116", "END:VEVENT", "END:VCALENDAR",
    )  # fmt: skip
    week = ["mon", "tue", "wed", "thu", "fri"]
    lunch = {
        "name": "lunch", "zone": "Europe/Berlin", "holidays": "DE", "closed_ics": ics,
        "hours": [{"days": week, "start": "09:00", "end": "12:00"}, {"days": week, "start": "13:00", "end": "17:00"}],
    }  # fmt: skip
    desk.apply(calendars=[lunch], service_levels=[{"name": "l", "calendar": "lunch", "targets": {"resolution": {"within": "PT7H"}}}])  # fmt: skip
    incident = desk.open(at=from_rfc3339("2026-01-14T10:00:00Z"))
    # Wednesday 11-12 and 13-17, Thursday is the outing, Friday 9-11.
    assert desk.clock(incident).due_at == from_rfc3339("2026-01-16T10:00:00Z")
    eve = desk.open(at=from_rfc3339("2026-04-02T15:00:00Z"))
    # The hour before Easter's Good Friday is over at 17:00 CEST; Easter Monday is closed; Tuesday has seven hours.
    assert desk.clock(eve).due_at == from_rfc3339("2026-04-07T15:00:00Z")


def test_a_calendar_of_events_is_the_working_time(desk: Any) -> None:
    ics = lines(
        "BEGIN:VCALENDAR", "VERSION:2.0", "PRODID:-//t//t//", "BEGIN:VEVENT", "UID:shift", "SUMMARY:Shift",
         "DTSTART;TZID=Europe/Berlin:20260101T200000", "DTEND;TZID=Europe/Berlin:20260101T220000", "RRULE:FREQ=DAILY",
         "END:VEVENT", "END:VCALENDAR",
    )  # fmt: skip
    evening = {"name": "evening", "zone": "Europe/Berlin", "open_ics": ics}
    desk.apply(calendars=[evening], service_levels=[{"name": "e", "calendar": "evening", "targets": {"resolution": {"within": "PT3H"}}}])  # fmt: skip
    incident = desk.open(at=OPENED)
    assert desk.clock(incident).due_at == from_rfc3339("2026-01-15T20:00:00Z")


WRONG: list[tuple[dict[str, Any], str]] = [
    ({"kind": "incidnt"}, "Did you mean 'incident'"),
    ({"calendar": "ofice"}, "Did you mean 'office'"),
    ({"pause": "record.stat == 'on_hold'"}, "Did you mean 'state'"),
    ({"when": "record.priority +"}, "is wrong at line 1"),
    ({"when": "'text'"}, "This one yields STRING"),
    ({"priorities": ["5"]}, "is not a level"),
    ({"thresholds": [0]}, "whole percents from 1 to 500"),
    ({"targets": {"update": {"within": "PT1H"}}}, "Nothing stops the target 'update'"),
    ({"targets": {"resolution": {"within": "PT0S"}}}, "not a duration"),
    ({"targets": {}}, "No target"),
]


@pytest.mark.parametrize(("change", "said"), WRONG)
def test_a_wrong_definition_is_refused_with_place_and_remedy(
    desk: Any, change: dict[str, Any], said: str
) -> None:
    spec = {"name": "d", "calendar": "office", "targets": {"resolution": {"within": "PT8H"}}, **change}
    with pytest.raises(Invalid) as refused:
        blueprints.checked(Source(sections={"calendars": [OFFICE], "service_levels": [spec]}))
    told = " ".join(f"{each.path} {each.message} {each.remedy}" for each in refused.value.problems)
    assert said in told
    assert "/service_levels/0/" in told


def test_an_applied_calendar_recounts_open_clocks_and_leaves_ended_ones(desk: Any) -> None:
    level = {"name": "d", "calendar": "office", "targets": {"resolution": {"within": "PT4H"}}}
    desk.apply(calendars=[OFFICE], service_levels=[level], incident={"targets": {}})
    ended, waiting = desk.open(at=OPENED), desk.open(at=OPENED)
    desk.change(ended, {"state": "in_progress"}, occurred=OPENED + HOUR, now=OPENED + HOUR)
    desk.change(ended, {"state": "resolved"}, occurred=OPENED + 2 * HOUR, now=OPENED + 2 * HOUR)
    before = SlaClock.objects.get(record=ended.id).version
    assert desk.clock(waiting).due_at == OPENED + 4 * HOUR
    late = {**OFFICE, "hours": [{"days": OFFICE["hours"][0]["days"], "start": "12:00", "end": "17:00"}]}  # type: ignore[index]
    desk.apply(calendars=[late], service_levels=[level], incident={"targets": {}})
    assert Due.objects.filter(what="sla.recalculate").count() == 1
    desk.sweep(source.now() + 3 * SECOND)
    clock = desk.clock(waiting)
    assert clock.due_at == OPENED + 6 * HOUR
    line = next(each for each in service.ledger(clock) if each.what == "recalculate")
    assert "generation 2 of the blueprint changed promises or calendars" in line.text
    assert desk.again(waiting).resolve_by == clock.due_at
    assert SlaClock.objects.get(record=ended.id).version == before
    assert Due.objects.filter(what="sla.recalculate").count() == 0


def test_an_apply_that_changes_no_promise_recounts_nothing(desk: Any) -> None:
    desk.apply(service_levels=TIERS)
    desk.sweep(source.now() + 3 * SECOND)
    desk.apply(service_levels=TIERS, incident={"default_group": "somebody"})
    assert Due.objects.filter(what="sla.recalculate").count() == 0


def test_records_from_before_the_promise_get_their_clock_when_counted_anew(desk: Any) -> None:
    desk.apply(incident={"targets": {}})
    incident = desk.open(at=OPENED)
    assert SlaClock.objects.count() == 0
    desk.apply(incident={"targets": {}}, service_levels=TIERS)
    desk.sweep(source.now() + 3 * SECOND)
    clock = desk.clock(incident)
    assert (clock.started_at, clock.definition) == (OPENED, "rest")


def test_minutes_per_custodian_come_from_whoever_keeps_custody(desk: Any) -> None:
    desk.apply(service_levels=TIERS)
    incident = desk.open(at=OPENED)
    now = Instant(OPENED + 3 * HOUR)
    before = list(service._custody)
    service._custody.clear()
    assert service.minutes_per_custodian(desk.clock(incident), now) is None

    def kept(_kind: str, record: str) -> list[Custody]:
        assert record == incident.id
        return [
            Custody(party="desk", start=Instant(OPENED), end=Instant(OPENED + HOUR)),
            Custody(party="supplier", start=Instant(OPENED + HOUR)),
        ]

    service.register_custody(kept)
    try:
        shares = service.minutes_per_custodian(desk.clock(incident), now)
    finally:
        service._custody[:] = before
    assert shares is not None
    assert {each.party: each.counted for each in shares} == {"desk": HOUR, "supplier": 2 * HOUR}


def test_prediction_uses_own_ended_clocks_of_the_same_promise(desk: Any) -> None:
    desk.apply(
        service_levels=[{"name": "d", "targets": {"resolution": {"within": "PT4H"}}}],
        incident={"targets": {}},
    )
    for place in range(20):
        made = desk.open(at=OPENED)
        at = OPENED + (5 if place < 5 else 2) * HOUR
        desk.change(made, {"state": "resolved"}, occurred=at, now=at)
    incident = desk.open(at=OPENED)
    young = service.predicted(desk.clock(incident), Instant(OPENED + HOUR))
    assert (young.breaches_at, young.likelihood.sample, young.likelihood.per_mille) == (
        OPENED + 4 * HOUR,
        20,
        250,
    )
    old = service.predicted(desk.clock(incident), Instant(OPENED + 3 * HOUR))
    assert old.likelihood.per_mille is None
    assert "insufficient data (n = 5" in old.likelihood.text
