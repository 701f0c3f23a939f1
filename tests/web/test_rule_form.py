"""The form of a correlation rule loses nothing of it, and says at the field what it cannot read."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from isthmus.kernel.errors import Problem
from isthmus.web.console import rule_form

words = st.text(alphabet="abcdefgh_-.", min_size=1, max_size=12)
rules = st.fixed_dictionaries(
    {"name": words},
    optional={
        "match": st.dictionaries(
            words, st.text(alphabet="abc =~*", max_size=8).map(str.strip), min_size=1, max_size=3
        ),
        "when": st.just("severity == 'critical'"),
        "by": st.lists(words, min_size=1, max_size=3),
        "window": st.just("PT15M"),
        "wait": st.just("PT30S"),
        "threshold": st.integers(min_value=2, max_value=99),
        "similarity": st.integers(min_value=50, max_value=100),
        "topology": st.just(False),
    },
)


@given(rules)
def test_a_rule_that_goes_through_the_form_is_the_same_rule(rule):
    found, wrong = rule_form.rule_of(rule_form.fields_of(rule))
    assert (found, wrong) == (rule, {})


def test_an_empty_form_lacks_only_a_name_and_what_is_wrong_is_said_at_its_field():
    found, wrong = rule_form.rule_of(rule_form.NEW)
    assert found == {"name": ""}
    assert list(wrong) == ["name"]
    _, wrong = rule_form.rule_of(
        {**rule_form.NEW, "name": "x", "match": "Down\na=b", "threshold": "-1", "similarity": "²"}
    )
    assert sorted(wrong) == ["match", "similarity", "threshold"]


def test_problems_of_other_rules_and_sections_stand_above_the_form():
    problems = [
        Problem(path="/monitoring/correlation/rules/2/when", message="No.", remedy="Mend it."),
        Problem(path="/monitoring/correlation/rules/2", message="Whole."),
        Problem(path="/monitoring/correlation/rules/21/when", message="Another."),
        Problem(path="/people/0", message="Else."),
    ]
    found = rule_form.at_fields(problems, 2)
    assert found["when"] == ["No. Mend it."]
    assert [each.split(":")[0] for each in found[""]] == [
        "/monitoring/correlation/rules/2", "/monitoring/correlation/rules/21/when", "/people/0",
    ]  # fmt: skip
