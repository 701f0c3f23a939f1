"""Properties of the pure rules: state table, gate, content, eligibility, risk."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from isthmus.kernel.errors import Conflict
from isthmus.kernel.kinds.change import AUTHORISATIONS, CHANGE_STATES, CHANGE_TYPES
from isthmus.practices.change.rules import eligibility, gate, risk, states
from isthmus.practices.change.rules.content import CONTENT_FIELDS, content_hash
from isthmus.practices.change.rules.eligibility import ModelTerms, Touched
from isthmus.practices.change.rules.gate import Asked, Authority, Facts, Span, Told
from isthmus.practices.change.rules.risk import Exposure, Thresholds

times = st.integers(0, 100)


# States -------------------------------------------------------------------------------------------------------


def test_every_state_is_reachable_and_terminal_states_are_terminal():
    reached, grown = {"new"}, True
    while grown:
        found = reached | {
            after
            for moves in states.TRANSITIONS.values()
            for before, after in moves.items()
            if before in reached
        }
        grown, reached = found != reached, found
    assert reached == set(CHANGE_STATES)
    assert not any(state in moves for moves in states.TRANSITIONS.values() for state in states.TERMINAL)


@pytest.mark.parametrize("action", sorted(states.TRANSITIONS))
@pytest.mark.parametrize("state", CHANGE_STATES)
def test_the_table_answers_every_question(action, state):
    if state in states.TRANSITIONS[action]:
        assert states.after(action, state) in CHANGE_STATES
    else:
        with pytest.raises(Conflict) as refused:
            states.after(action, state)
        assert refused.value.remedy


def test_no_way_leads_to_scheduled_but_approval_a_model_or_the_authority_that_the_blueprint_names():
    leads = {
        action
        for action, moves in states.TRANSITIONS.items()
        for before, after in moves.items()
        if after == "scheduled" and before != "scheduled"
    }
    assert leads == {"approve", "preauthorise", "recognise"}


# Gate ---------------------------------------------------------------------------------------------------------

instants = st.none() | times
tolds = st.builds(
    Told,
    id=st.just("c"),
    version=st.just(3),
    number=st.just("CHG-1"),
    type=st.sampled_from(CHANGE_TYPES),
    state=st.sampled_from(CHANGE_STATES),
    authorisation=st.sampled_from(AUTHORISATIONS),
    risk=st.sampled_from(["low", "medium", "high", ""]),
    window_start=instants,
    window_end=instants,
    cis=st.lists(st.sampled_from("xy"), unique=True),
    unresolved=st.lists(st.just("ghost"), max_size=1),
    environment=st.sampled_from(["production", "test", ""]),
    artefact_hash=st.sampled_from(["h1", "h2", ""]),
    content_hash=st.just("aa"),
    incident=st.sampled_from(["", "INC"]),
    authorised_until=instants,
    review_due_at=instants,
    differs=st.lists(st.just("state"), max_size=1),
)
all_facts = st.builds(
    Facts,
    now=times,
    asked=st.builds(
        Asked,
        reference=st.just("CHG-1"),
        environment=st.sampled_from(["production", ""]),
        artefact_hash=st.sampled_from(["h1", ""]),
        cis=st.lists(st.sampled_from("xyz"), unique=True),
    ),
    change=st.none() | tolds,
    authority=st.none()
    | st.builds(
        Authority,
        approved=st.booleans(),
        awaiting=st.booleans(),
        reasons=st.lists(st.just("no"), max_size=1),
        model_refusals=st.lists(st.just("shared"), max_size=1),
    ),
    calendar=st.lists(
        st.builds(
            Span,
            effect=st.sampled_from(["window", "freeze", "peak", "maintenance"]),
            name=st.just("n"),
            starts_at=times,
            ends_at=times,
        ),
        max_size=3,
    ),
    windowed=st.booleans(),
    assessed=st.booleans(),
)

GOOD = Facts(
    now=50,
    asked=Asked(reference="CHG-1", environment="production", artefact_hash="h1", cis=["x"]),
    change=Told(
        id="c", version=3, number="CHG-1", type="normal", state="scheduled", authorisation="approved", risk="high", window_start=10, window_end=90,
        cis=["x", "y"], unresolved=[], environment="production", artefact_hash="h1", content_hash="aa", incident="", authorised_until=None, review_due_at=None,
    ),
    authority=Authority(approved=True, awaiting=False),
)  # fmt: skip


@given(facts=all_facts)
def test_what_is_allowed_is_authorised_in_time_untouched_and_unopposed(facts):
    found = gate.decide(facts)
    assert found.reasons
    if found.verdict == "allow":
        change, authority = facts.change, facts.authority
        assert change is not None
        assert authority is not None
        assert authority.approved
        assert not authority.model_refusals
        assert change.authorisation == "approved"
        assert change.state in {"scheduled", "implementation"}
        assert not change.differs
        assert not change.unresolved
        assert set(facts.asked.cis) <= set(change.cis)
        assert facts.asked.artefact_hash == change.artefact_hash
        if change.type == "emergency":
            assert change.incident
            assert change.review_due_at is not None, "an emergency always leaves a review"
            assert facts.now < change.authorised_until
        else:
            assert change.window_start <= facts.now < change.window_end
            assert facts.assessed
            assert not any(
                each.effect == "freeze" and each.starts_at <= facts.now < each.ends_at
                for each in facts.calendar
            )
        assert not any(
            each.effect == "maintenance" and each.starts_at <= facts.now < each.ends_at
            for each in facts.calendar
        )


@given(facts=all_facts)
def test_the_decision_is_a_function_of_its_recorded_facts(facts):
    stored = msgspec.json.decode(msgspec.json.encode(msgspec.to_builtins(facts)))
    assert gate.decide(msgspec.convert(stored, Facts)) == gate.decide(facts)


def test_the_good_case_is_open():
    assert gate.decide(GOOD).verdict == "allow"


@pytest.mark.parametrize(
    ("edit", "rule"),
    [
        ({"state": "closed"}, "state"),
        ({"authorisation": "void"}, "authorisation"),
        ({"window_end": 50}, "window"),
        ({"window_start": None}, "window"),
        ({"differs": ["risk"]}, "book"),
        ({"unresolved": ["ghost"]}, "ci_unresolved"),
        ({"cis": ["y"]}, "ci_match"),
        ({"environment": "test"}, "environment"),
        ({"artefact_hash": "h2"}, "artefact"),
        ({"artefact_hash": ""}, "artefact"),
        ({"type": "emergency"}, "emergency_incident"),
        ({"type": "emergency", "incident": "i"}, "emergency_review"),
        ({"type": "emergency", "incident": "i", "review_due_at": 99}, "emergency_box"),
        (
            {"type": "emergency", "incident": "i", "review_due_at": 99, "authorised_until": 50},
            "emergency_box",
        ),
    ],
)
def test_one_thing_wrong_denies_with_its_own_reason(edit, rule):
    facts = msgspec.structs.replace(GOOD, change=msgspec.structs.replace(GOOD.change, **edit))
    found = gate.decide(facts)
    assert found.verdict == "deny"
    assert f"gate.{rule}" in {each.rule for each in found.reasons}


@pytest.mark.parametrize(
    ("span", "risk_level", "verdict"),
    [
        (("freeze", 0, 100), "low", "deny"),
        (("freeze", 0, 50), "low", "allow"),
        (("freeze", 51, 100), "low", "allow"),
        (("peak", 0, 100), "high", "deny"),
        (("peak", 0, 100), "low", "allow"),
        (("peak", 0, 100), "", "deny"),
        (("maintenance", 0, 100), "low", "deny"),
    ],
)
def test_calendars(span, risk_level, verdict):
    effect, start, end = span
    facts = msgspec.structs.replace(
        GOOD,
        change=msgspec.structs.replace(GOOD.change, risk=risk_level),
        calendar=[Span(effect=effect, name="n", starts_at=start, ends_at=end)],
    )
    assert gate.decide(facts).verdict == verdict


# Content, eligibility, risk -----------------------------------------------------------------------------------


@given(
    values=st.fixed_dictionaries(
        {
            name: st.sampled_from(["a", "b", ""])
            for name in CONTENT_FIELDS
            if name not in {"cis", "window_start", "window_end"}
        }
    ),
    name=st.sampled_from(
        [each for each in CONTENT_FIELDS if each not in {"cis", "window_start", "window_end"}]
    ),
)
def test_every_content_field_moves_the_hash_and_nothing_else_does(values, name):
    assert content_hash({**values, name: "other"}) != content_hash(values)
    assert content_hash(
        {**values, "priority": "1", "assignment_group": "x", "outcome": "failed"}
    ) == content_hash(values)
    assert (
        content_hash({**values, "cis": ["b", "a"]})
        == content_hash({**values, "cis": ["a", "b"]})
        != content_hash(values)
    )


TERMS = ModelTerms(
    name="m",
    ci_classes=["server"],
    environments=["test"],
    dependants_max=3,
    allow_shared=False,
    failures_max=2,
)
FIT = Touched(
    lines=[["virtual_machine", "server", "ci"]], unresolved=[], shared=[], dependants=3, environment="test"
)


@pytest.mark.parametrize(
    ("touched", "outcomes", "rule"),
    [
        ({}, [], None),
        ({}, ["failed", "successful"], None),
        ({"dependants": 4}, [], "radius"),
        ({"shared": ["x"]}, [], "shared"),
        ({"environment": "production"}, [], "environment"),
        ({"unresolved": ["x"]}, [], "unresolved"),
        ({"lines": [["database", "ci"]]}, [], "class"),
        ({"lines": []}, [], "items"),
        ({}, ["failed", "backed_out"], "suspended"),
        ({}, ["successful"] * 10 + ["failed", "failed"], None),
    ],
)
def test_eligibility_is_judged_for_each_instance(touched, outcomes, rule):
    found = eligibility.refusals(TERMS, msgspec.structs.replace(FIT, **touched), outcomes)
    assert [each.rule for each in found] == ([] if rule is None else [f"change.model.{rule}"])


@pytest.mark.parametrize(
    ("edit", "level"),
    [
        ({}, "low"),
        ({"dependants": 4}, "low"),
        ({"dependants": 5}, "medium"),
        ({"dependants": 50}, "high"),
        ({"criticality": "silver"}, "medium"),
        ({"criticality": "gold"}, "high"),
        ({"users": 1000}, "high"),
        ({"shared": True}, "high"),
        ({"unresolved": True}, "high"),
    ],
)
def test_risk_follows_the_table(edit, level):
    plain = Exposure(dependants=0, users=0, criticality="bronze", shared=False, unresolved=False)
    found, reasons = risk.assess(msgspec.structs.replace(plain, **edit), Thresholds())
    assert found == level
    assert reasons
