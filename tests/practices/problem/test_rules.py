"""The rules of problem management by themselves: what fits and why, which moves there are, what closes."""

from __future__ import annotations

import dataclasses
import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from isthmus.kernel.errors import Conflict, Rejected
from isthmus.kernel.kinds.problem import KNOWN_ERROR_STATES, PROBLEM_STATES
from isthmus.practices.problem.rules import closing, matching, states
from isthmus.practices.problem.rules.matching import Criteria, Published, Subject, fits

CIS, CLASSES, SERVICES = ("c1", "c2", "c3"), ("server", "database"), ("s1", "s2")
CONDITIONS = (
    "", "labels.alertname == 'Down'", "labels.team == 'web' && severity == 'critical'", "title.contains('slow')",
    "ci_class == 'server' || labels['alertname'] == 'Down'", "title.matches('(?i)SLOW')",
)  # fmt: skip
PROGRAMS = {text: matching.condition(text) for text in CONDITIONS}


def some(values: tuple[str, ...]) -> st.SearchStrategy[frozenset[str]]:
    return st.frozensets(st.sampled_from(values), max_size=2)


@st.composite
def criteria(draw: st.DrawFn) -> Criteria:
    number = draw(st.integers(1, 99))
    return Criteria(
        id=f"k{number}", number=f"KE-{number:06d}", version=1, cis=draw(some(CIS)), classes=draw(some(CLASSES)),
        services=draw(some(SERVICES)), condition=PROGRAMS[draw(st.sampled_from(CONDITIONS))],
    )  # fmt: skip


subjects = st.builds(
    Subject,
    ci=st.sampled_from(("", *CIS)),
    ci_class=st.sampled_from(("", *CLASSES)),
    service=st.sampled_from(("", *SERVICES)),
    labels=st.dictionaries(st.sampled_from(("alertname", "team")), st.sampled_from(("Down", "web", "x"))),
    severity=st.sampled_from(("", "critical")),
    title=st.sampled_from(("", "The shop is slow", "Slow again")),
)


def oracle(each: Criteria, subject: Subject) -> bool:
    """The definition in its plainest words, without any index or shortcut."""
    if not (each.cis or each.classes or each.services or each.condition):
        return False
    items = not (each.cis or each.classes) or subject.ci in each.cis or subject.ci_class in each.classes
    services = not each.services or subject.service in each.services
    return items and services and (each.condition is None or each.condition.holds(subject.values()))


@given(criteria(), subjects)
def test_what_fits_is_what_the_definition_says_and_always_with_a_reason(each, subject):
    found = fits(each, subject)
    assert (found is not None) == oracle(each, subject)
    if found is not None:
        assert each.number in found.reason.text
        assert found.reason.facts["known_error"] == each.id


@given(
    st.lists(criteria(), unique_by=lambda each: each.id, max_size=12),
    st.lists(subjects, max_size=4),
    st.integers(0, 5),
)
def test_the_index_finds_what_one_by_one_finds_in_any_order_and_never_more_than_asked_for(known, asked, most):
    wanted = {each.id for each in known for subject in asked if oracle(each, subject)}
    found, broken = Published(known).find(asked, most=100)
    assert broken == {}
    assert {each.criteria.id for each in found} == wanted
    assert [each.closeness for each in found] == sorted(each.closeness for each in found)
    turned, _ = Published(reversed(known)).find(asked, most=100)
    assert [each.criteria.id for each in turned] == [each.criteria.id for each in found]
    few, _ = Published(known).find(asked, most=most)
    assert few == found[:most] or [each.criteria for each in few] == [each.criteria for each in found[:most]]
    assert len(few) <= most


@given(criteria(), subjects)
def test_naming_one_thing_less_never_loses_a_fit(each, subject):
    for name in ("cis", "classes", "services", "condition"):
        blank = None if name == "condition" else frozenset()
        looser = dataclasses.replace(each, **{name: blank})
        if name in {"cis", "classes"} and (looser.cis or looser.classes):
            continue  # one of two alternatives: fewer of them is stricter, not looser
        if not looser.empty and fits(each, subject):
            assert fits(looser, subject)


def test_the_item_itself_comes_before_its_class_and_before_all_others():
    subject = Subject(ci="c1", ci_name="db", ci_class="database", service="s1", labels={"alertname": "Down"})
    known = [
        Criteria(id="a", number="KE-000001", version=1, condition=PROGRAMS["labels.alertname == 'Down'"]),
        Criteria(id="b", number="KE-000002", version=1, services=frozenset({"s1"})),
        Criteria(id="c", number="KE-000003", version=1, classes=frozenset({"database"})),
        Criteria(id="d", number="KE-000004", version=1, cis=frozenset({"c1"})),
    ]
    found, _ = Published(known).find([subject], most=3)
    assert [each.criteria.id for each in found] == ["d", "c", "b"]
    assert "it is on db" in found[0].reason.text


def test_a_condition_that_cannot_be_evaluated_fits_nothing_and_stops_nothing():
    fails = matching.condition("labels.alertname == 'Down' && int(labels.size) > 3")
    known = [
        Criteria(id="a", number="KE-000001", version=1, condition=fails),
        Criteria(id="b", number="KE-000002", version=1, cis=frozenset({"c1"})),
    ]
    subject = Subject(ci="c1", labels={"alertname": "Down", "size": "big"})
    found, broken = Published(known).find([subject], most=10)
    assert [each.criteria.id for each in found] == ["b"]
    assert list(broken) == ["KE-000001"]


@pytest.mark.parametrize("text", ["labels.", "nobody == 'x'", "1 + 1", "title.matches('(')"])
def test_a_wrong_condition_is_refused_when_it_is_written(text):
    with pytest.raises(Rejected):
        matching.condition(text)


def test_every_state_is_reached_final_ones_are_final_and_a_wrong_move_says_what_is_possible():
    for table, initial, every in (
        (states.MOVES, "new", PROBLEM_STATES),
        (states.KNOWN_ERROR_MOVES, "draft", KNOWN_ERROR_STATES),
    ):
        reached, wave = {initial}, {initial}
        while wave:
            wave = {moves[each] for moves in table.values() for each in wave if each in moves} - reached
            reached |= wave
        assert reached == set(every)
    assert all(states.possible(each) == () for each in states.FINAL)
    with pytest.raises(Conflict) as refused:
        states.after("close", "new")
    assert "assess" in refused.value.remedy


def test_a_problem_closes_with_a_cause_and_an_action_and_with_nothing_less():
    parts = {
        "cause_code": "config",
        "root_cause": "The pool is too small",
        "actions": [{"text": "Enlarge it"}],
    }
    for names in itertools.chain.from_iterable(itertools.combinations(parts, count) for count in range(4)):
        held = {name: parts[name] if name in names else type(parts[name])() for name in parts}
        lacking = {each.path.removeprefix("/") for each in closing.missing(**held)}
        assert lacking == parts.keys() - set(names)
    assert {each.path for each in closing.missing(cause_code=" ", root_cause="\n", actions=[])} == {
        "/cause_code", "/root_cause", "/actions",
    }  # fmt: skip
