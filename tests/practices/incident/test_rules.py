"""What the pure rules of incident management promise."""

from __future__ import annotations

import datetime as dt
import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from isthmus.kernel.errors import Rejected
from isthmus.kernel.instant import Instant, from_rfc3339
from isthmus.kernel.kinds.incident import INCIDENT_STATES, LEVELS
from isthmus.practices.incident.blueprint import DEFAULT_MATRIX, IncidentSection, check, table
from isthmus.practices.incident.rules import assignment, priority, recurrence, states

# --- States -----------------------------------------------------------------------------------------------


def test_the_state_table_has_no_holes() -> None:
    assert set(states.TRANSITIONS) == set(INCIDENT_STATES)
    assert {each for following in states.TRANSITIONS.values() for each in following} <= set(INCIDENT_STATES)


def test_every_state_and_every_transition_is_reachable_and_final_states_are_final() -> None:
    for state in INCIDENT_STATES:
        assert states.path(states.INITIAL, state) is not None
    assert set(states.FINAL) == {"closed", "cancelled"}
    for final, other in itertools.product(states.FINAL, INCIDENT_STATES):
        assert states.legal(final, other) == (final == other)


@given(st.sampled_from(INCIDENT_STATES), st.sampled_from(INCIDENT_STATES))
def test_a_partner_may_skip_steps_but_people_may_not(old: str, new: str) -> None:
    steps = states.path(old, new)
    if steps is None:
        with pytest.raises(Rejected, match="cannot go"):
            states.check(old, new, partner=True)
        return
    assert all(states.legal(a, b) for a, b in itertools.pairwise([old, *steps]))
    assert states.check(old, new, partner=True) == steps
    if len(steps) > 1:
        with pytest.raises(Rejected, match="Legal next states"):
            states.check(old, new)


# --- Priority ---------------------------------------------------------------------------------------------

TABLE = table(IncidentSection())


def test_the_default_matrix_is_complete_and_monotone() -> None:
    assert priority.complete(DEFAULT_MATRIX) == []
    for impact, urgency in itertools.product(LEVELS, LEVELS):
        for worse in [level for level in LEVELS if level <= impact]:
            assert DEFAULT_MATRIX[worse][urgency] <= DEFAULT_MATRIX[impact][urgency]
            assert DEFAULT_MATRIX[urgency][worse] <= DEFAULT_MATRIX[urgency][impact]


@pytest.mark.parametrize(
    ("criticality", "severity", "expected"),
    [("gold", "critical", "1"), ("test", "critical", "3"), ("silver", "warning", "3"), ("", "error", "3")],
)
def test_the_same_severity_weighs_more_on_a_more_critical_service(
    criticality: str, severity: str, expected: str
) -> None:
    found = priority.decide(TABLE, criticality=criticality, users=None, severity=severity)
    assert found.priority == expected
    assert found.why[0].text


def test_many_users_raise_impact_but_never_on_test() -> None:
    raised = priority.Table(
        matrix=DEFAULT_MATRIX,
        impact_by_criticality={"bronze": "3", "test": "4"},
        urgency_by_severity={},
        users=[priority.UsersThreshold(at_least=1000, impact="2")],
    )
    assert priority.impact_of(raised, criticality="bronze", users=1000)[0] == "2"
    assert priority.impact_of(raised, criticality="bronze", users=999)[0] == "3"
    assert priority.impact_of(raised, criticality="test", users=10_000)[0] == "4"


def test_a_matrix_with_a_hole_and_a_wrong_level_are_found() -> None:
    matrix = {**DEFAULT_MATRIX, "2": {"1": "1", "2": "9", "3": "3"}}
    paths = {
        each.path
        for each in check(IncidentSection(matrix=matrix, urgency_by_severity={"critical": "0"}), None)
    }
    assert paths == {"/matrix/2/2", "/matrix/2/4", "/urgency_by_severity/critical"}


# --- Assignment -------------------------------------------------------------------------------------------

NIGHT = assignment.Hours(
    days=("mon", "tue", "wed", "thu", "fri"), since="18:00", until="08:00", zone="Europe/Berlin"
)


@pytest.mark.parametrize(
    ("moment", "inside"),
    [
        ("2026-11-20T17:30:00Z", True),  # Friday 18:30 in Berlin
        ("2026-11-20T16:30:00Z", False),  # Friday 17:30
        ("2026-11-21T06:59:00Z", True),  # Saturday 07:59: still Friday's night
        ("2026-11-21T07:00:00Z", False),
        ("2026-11-21T19:00:00Z", False),  # Saturday evening is not listed
        ("2026-07-03T16:30:00Z", True),  # summer time: 18:30
    ],
)
def test_hours_run_past_midnight_and_follow_the_zone(moment: str, *, inside: bool) -> None:
    assert NIGHT.contain(from_rfc3339(moment)) is inside


def test_the_first_rule_that_fits_decides_then_the_map_then_the_default() -> None:
    rules = [
        assignment.AssignmentRule(name="db nights", group="on-call", ci_classes=("database",), hours=NIGHT),
        assignment.AssignmentRule(name="shop", group="shop-team", services=("shop",)),
    ]
    evening, noon = from_rfc3339("2026-11-20T18:00:00Z"), from_rfc3339("2026-11-20T11:00:00Z")
    database = assignment.Place(
        service="shop", ci="db", ci_class="database", ci_group="dba", service_group="shop-desk"
    )

    def group(place: assignment.Place, now: Instant) -> str:
        return assignment.decide(rules, "desk", place, "2", now)[0]

    assert group(database, evening) == "on-call"
    assert group(database, noon) == "shop-team"
    assert group(assignment.Place(ci="x", ci_group="dba", service_group="other"), noon) == "dba"
    assert group(assignment.Place(service="y", service_group="other"), noon) == "other"
    assert group(assignment.Place(), noon) == "desk"


# --- Durations, recurrence, triggers ------------------------------------------------------------------------


def test_durations_of_a_section_are_whole_seconds_and_not_negative() -> None:
    wrong = IncidentSection(close_after=dt.timedelta(days=-1), reopen_within=dt.timedelta(seconds=1.5))
    assert [each.path for each in check(wrong, None)] == ["/reopen_within", "/close_after"]
    assert check(IncidentSection(close_after=dt.timedelta(days=1)), None) == []


def test_diagnosis_of_a_recurring_incident_waits_for_the_collision_check() -> None:
    assert recurrence.recurring(3, 3)
    assert not recurrence.recurring(2, 3)
    assert not recurrence.recurring(99, 0)
    with pytest.raises(Rejected, match="collision"):
        recurrence.require_check(is_recurring=True, checked=False, entering="in_progress")
    recurrence.require_check(is_recurring=True, checked=True, entering="in_progress")
    recurrence.require_check(is_recurring=True, checked=False, entering="resolved")
