"""Rules in CEL: found wrong when saved, bounded when run, fast in number."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from isthmus.kernel import expression
from isthmus.kernel.errors import Rejected
from isthmus.kernel.expression import Environment
from isthmus.kernel.rule_set import Rule, RuleSet, required

VARIABLES = {"labels": "labels", "severity": "text", "count": "integer"}
VALUES = {"labels": {"team": "web", "site": "ber"}, "severity": "critical", "count": 3}


def test_a_condition_is_compiled_once_and_evaluated() -> None:
    program = expression.compile("labels.team == 'web' && severity in ['error', 'critical']", VARIABLES)
    assert program.evaluate(VALUES) is True
    assert expression.compile(program.text, dict(reversed(VARIABLES.items()))) is program


@pytest.mark.parametrize(
    ("text", "position"),
    [
        ("labels.", "line 1, column 8"),
        ("severity == 1", "line 1, column 10"),
        ("true &&\n teem == 'x'", "line 2, column 2"),
        (" ", ""),
    ],
)
def test_a_wrong_expression_is_refused_with_its_position(text: str, position: str) -> None:
    with pytest.raises(Rejected) as refusal:
        expression.compile(text, VARIABLES)
    assert refusal.value.remedy
    assert position in str(refusal.value)


def test_an_unknown_variable_names_the_known_ones() -> None:
    with pytest.raises(Rejected, match="Known variables: count, labels, severity"):
        expression.compile("team == 'web'", VARIABLES)


@pytest.mark.parametrize("text", ["1 / (count - 3) == 1", "labels.owner == 'x'"])
def test_error_values_are_never_taken_for_results(text: str) -> None:
    with pytest.raises(Rejected, match="could not be evaluated"):
        expression.compile(text, VARIABLES).evaluate(VALUES)


def test_a_label_that_is_missing_makes_a_condition_false_but_a_fault_raises() -> None:
    assert expression.compile("labels.owner == 'x'", VARIABLES).holds(VALUES) is False
    with pytest.raises(Rejected):
        expression.compile("1 / (count - 3) == 1", VARIABLES).holds(VALUES)


def test_runaway_expressions_stop_at_the_budget() -> None:
    ten = "[1,2,3,4,5,6,7,8,9,10]"
    text = "count > 0"
    for name in "abcdef":
        text = f"{ten}.all({name}, {text})"
    with pytest.raises(Rejected, match="too many steps"):
        expression.compile(text, VARIABLES).evaluate(VALUES)


@pytest.mark.parametrize("text", ["1.5", "b'x'", "timestamp('2026-11-20T00:00:00Z')", "{1: 2}"])
def test_results_that_a_record_cannot_hold_are_refused(text: str) -> None:
    with pytest.raises(Rejected, match="cannot hold"):
        expression.compile(text, VARIABLES).evaluate(VALUES)


def test_too_long_an_expression_is_refused() -> None:
    with pytest.raises(Rejected, match="at most 4000"):
        expression.compile("severity == '" + "x" * 4000 + "'", VARIABLES)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("labels.a == 'x'", ({"a": "x"}, True)),
        ("'x' == labels['a'] && labels.b == \"y\"", ({"a": "x", "b": "y"}, True)),
        ("labels.a == 'x' && severity == 'critical'", ({"a": "x"}, False)),
        ("labels.a == 'x' || labels.b == 'y'", ({}, False)),
        ("labels.a == 'x' ? true : false", ({}, False)),
        ("(labels.a == 'x' || true) && labels.b == 'y'", ({"b": "y"}, False)),
        ("!(labels.a == 'x')", ({}, False)),
        ("labels.a == r'x'", ({}, False)),
        ("labels.a == 'x' && labels.a == 'y'", ({"a": "x"}, False)),
        ("labels.a == 'x && ' && labels.b == '||'", ({"a": "x && ", "b": "||"}, True)),
    ],
)
def test_only_plain_conjunctions_are_proven(text: str, expected: tuple[dict[str, str], bool]) -> None:
    assert required(text) == expected


_atoms = st.builds(
    "{0}{1} == '{2}'{3}".format,
    st.sampled_from(["labels.", "labels."]),
    st.sampled_from("ab"),
    st.sampled_from("xy"),
    st.just(""),
) | st.sampled_from(
    [
        "severity == 'critical'",
        "'a' in labels",
        "!(labels.a == 'x')",
        "labels.a != 'y'",
        "labels.b.startsWith('x')",
    ]
)
_texts = st.recursive(
    _atoms,
    lambda inner: (
        st.builds("({}) {} ({})".format, inner, st.sampled_from(["&&", "||"]), inner)
        | st.builds("{} && {}".format, inner, inner)
    ),
    max_leaves=6,
)
_labels = st.dictionaries(st.sampled_from("ab"), st.sampled_from("xy"))


@given(st.lists(_texts, max_size=5), _labels, st.sampled_from(["critical", "warning"]))
def test_the_table_never_changes_which_rules_hold(
    conditions: list[str], labels: dict[str, str], severity: str
) -> None:
    environment = Environment({"labels": "labels", "severity": "text"})
    rules = [Rule(name=str(index), when=environment.compile(text)) for index, text in enumerate(conditions)]
    values = {"labels": labels, "severity": severity}
    expected = [rule.name for rule in rules if rule.when and rule.when.holds(values)]
    assert [rule.name for rule in RuleSet(rules, environment).matching(labels, values)] == expected


def test_declared_labels_narrow_a_condition() -> None:
    environment = Environment(VARIABLES)
    rules = RuleSet(
        [
            Rule(name="web", match={"team": "web"}),
            Rule(
                name="web and critical",
                match={"team": "web"},
                when=environment.compile("severity == 'critical'"),
            ),
            Rule(
                name="contradiction", match={"team": "db"}, when=environment.compile("labels.team == 'web'")
            ),
            Rule(name="everything"),
        ],
        environment,
    )
    assert [rule.name for rule in rules.matching(VALUES["labels"], VALUES)] == [
        "web",
        "web and critical",
        "everything",
    ]  # type: ignore[arg-type]
