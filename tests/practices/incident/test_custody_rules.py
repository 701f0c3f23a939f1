"""The custody ledger as a pure reading: one accountable party at every instant, minutes that sum to what has passed."""

from __future__ import annotations

import itertools
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from isthmus.kernel.errors import Conflict, Rejected
from isthmus.kernel.instant import MINUTE, SECOND, Instant
from isthmus.practices.incident.rules import custody, mirroring, trigger, watching

DESKS = ("home", "network", "vendor", "customer")


def lines_of(choices: list[tuple[int, str, int]]) -> tuple[list[custody.Line], list[tuple[int, str]]]:
    """Play random acts on a ledger; return its lines and, told apart from the rules, who held it since when."""
    now, stack = 0, ["home"]
    lines: list[custody.Line] = []
    open_at: int | None = None
    truth = [(0, "home")]
    for gap, act, which in choices:
        now += gap
        if act == "offer" and open_at is None:
            taker = DESKS[which % len(DESKS)]
            if taker != stack[-1]:
                open_at = len(lines)
                lines.append(
                    custody.Line(
                        id=str(len(lines)),
                        giver=stack[-1],
                        taker=taker,
                        state="offered",
                        offered_at=Instant(now),
                    )
                )
        elif act in {"accept", "reject", "withdraw"} and open_at is not None:
            state = {"accept": "accepted", "reject": "rejected", "withdraw": "withdrawn"}[act]
            lines[open_at] = replace(lines[open_at], state=state, answered_at=Instant(now))
            if act == "accept":
                stack.append(lines[open_at].taker)
                truth.append((now, stack[-1]))
            open_at = None
        elif act == "return" and open_at is None and len(stack) > 1:
            held = max(
                (at for at, line in enumerate(lines) if line.state == "accepted"),
                key=lambda at: lines[at].answered_at,
            )
            lines[held] = replace(lines[held], state="returned", returned_at=Instant(now))
            stack.pop()
            truth.append((now, stack[-1]))
    return lines, truth


ACTS = st.lists(
    st.tuples(
        st.integers(1, 10**9),
        st.sampled_from(["offer", "accept", "reject", "withdraw", "return"]),
        st.integers(0, 3),
    ),
    max_size=40,
)


@given(ACTS, st.lists(st.integers(0, 4 * 10**10), min_size=1, max_size=30))
def test_at_every_instant_exactly_one_party_is_accountable(choices, instants):
    lines, truth = lines_of(choices)
    moves = custody.moves("home", Instant(0), lines)
    for at in instants:
        expected = [party for since, party in truth if since <= at][-1]
        assert custody.holder_at(moves, Instant(at)) == expected
        holders = [
            party
            for party, since, until in custody.intervals(moves, Instant(max(at + 1, truth[-1][0] + 1)))
            if since <= at < until
        ]
        assert holders == [expected]


@given(ACTS, st.integers(0, 5 * 10**10))
def test_minutes_of_all_parties_sum_to_what_has_passed_without_gap_or_overlap(choices, until):
    lines, _ = lines_of(choices)
    found = custody.intervals(custody.moves("home", Instant(0), lines), Instant(until))
    assert sum(custody.held_for(found).values()) == until
    for before, after in itertools.pairwise(found):
        assert before[2] == after[1]
        assert before[0] != after[0]


@given(ACTS)
def test_what_nobody_accepted_moves_nothing(choices):
    lines, _ = lines_of([each for each in choices if each[1] != "accept"])
    assert custody.moves("home", Instant(0), lines) == [(0, "home")]


def test_before_the_opening_nobody_is_accountable():
    assert custody.holder_at([(Instant(5), "home")], Instant(4)) == ""


def test_a_clock_set_back_never_makes_two_moves_at_one_instant():
    assert custody.next_instant([(Instant(50), "home")], Instant(10)) == 51
    assert custody.next_instant([(Instant(50), "home")], Instant(70)) == 70


CONTRACT = custody.Contract(
    name="support", givers=("home",), takers=("vendor",), carries=("root_cause",), requires=("root_cause",)
)


def test_who_may_forward_to_whom_is_a_contract():
    assert custody.contract_for([CONTRACT], "home", "vendor") is CONTRACT
    with pytest.raises(Rejected, match="No contract lets vendor forward to home"):
        custody.contract_for([CONTRACT], "vendor", "home")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"holder": "vendor"}, "vendor holds this incident"),
        ({"given": {}}, "asks for root cause"),
        (
            {
                "open_offer": custody.Line(
                    id="1", giver="home", taker="network", state="offered", offered_at=Instant(1)
                )
            },
            "offered to network already",
        ),
        ({"taker": "home"}, "already"),
    ],
)
def test_an_offer_that_breaks_a_rule_is_refused(change, said):
    sound = {
        "holder": "home", "giver": "home", "taker": "vendor", "open_offer": None, "contract": CONTRACT,
        "given": {"root_cause": "a disk"},
    }  # fmt: skip
    custody.check_offer(**sound)
    with pytest.raises(Conflict, match=said):
        custody.check_offer(**(sound | change))


@pytest.mark.parametrize(
    ("case_open", "holder_open", "holder", "orphan"),
    [
        (True, True, "vendor", False),
        (False, True, "vendor", True),
        (False, False, "vendor", True),
        (True, False, "vendor", True),
        (False, False, "home", False),
    ],
)
def test_an_orphan_is_an_incident_that_ended_somewhere_while_another_desk_holds_it(
    case_open, holder_open, holder, orphan
):
    found = custody.orphaned(holder=holder, home="home", case_open=case_open, holder_open=holder_open)
    assert bool(found) is orphan


VALUES = st.dictionaries(st.sampled_from(["a", "b", "c"]), st.sampled_from(["", "x", "y", "z"]))


@given(VALUES, VALUES, VALUES, st.booleans())
def test_after_a_look_both_incidents_agree_and_a_second_look_takes_nothing(base, giver, taker, taker_holds):
    fields = ("a", "b", "c")
    found = mirroring.mirror(fields, base=base, giver=giver, taker=taker, taker_holds=taker_holds)
    after_giver, after_taker = giver | found.to_giver, taker | found.to_taker
    for name in fields:
        assert after_giver.get(name) == after_taker.get(name)
    again = mirroring.mirror(
        fields, base=found.base, giver=after_giver, taker=after_taker, taker_holds=taker_holds
    )
    assert (again.to_giver, again.to_taker, again.base, again.overruled) == ({}, {}, found.base, ())


@given(VALUES, VALUES, st.booleans())
def test_what_only_one_side_changed_is_never_overruled(base, changed, taker_holds):
    full = {name: base.get(name) for name in ("a", "b", "c")}
    edited = full | changed
    for sides in ({"giver": edited, "taker": full}, {"giver": full, "taker": edited}):
        found = mirroring.mirror(("a", "b", "c"), base=full, taker_holds=taker_holds, **sides)
        assert found.overruled == ()
        assert found.base == edited


def test_where_both_changed_the_holder_decides_and_the_loser_is_named():
    sides = {"base": {"a": "old"}, "giver": {"a": "ours"}, "taker": {"a": "theirs"}}
    assert mirroring.mirror(("a",), taker_holds=True, **sides).to_giver == {"a": "theirs"}
    kept = mirroring.mirror(("a",), taker_holds=False, **sides)
    assert (kept.to_taker, kept.overruled) == ({"a": "ours"}, (("taker", "a", "theirs"),))


WAIT = watching.Waiting(
    state="waiting", since=Instant(0), limit_at=Instant(30 * MINUTE), askable=True, ask_within=MINUTE
)


def test_the_watchdog_asks_before_it_alarms():
    assert watching.decide(WAIT, Instant(30 * MINUTE - 1))[0] == "nothing"
    assert watching.decide(WAIT, Instant(30 * MINUTE))[0] == "ask"
    assert watching.decide(replace(WAIT, askable=False), Instant(30 * MINUTE))[0] == "escalate"


def test_an_answer_without_a_move_or_no_answer_at_all_is_escalated():
    asked = replace(WAIT, state="asking", asked_at=Instant(30 * MINUTE))
    soon = Instant(30 * MINUTE + 5 * SECOND)
    assert watching.decide(asked, soon)[0] == "look_again"
    assert watching.decide(replace(asked, seen_at=Instant(30 * MINUTE - 1)), soon)[0] == "look_again"
    step, text = watching.decide(replace(asked, seen_at=Instant(30 * MINUTE + 1)), soon)
    assert (step, "shows no move" in text) == ("escalate", True)
    step, text = watching.decide(asked, Instant(31 * MINUTE))
    assert (step, "did not answer" in text) == ("escalate", True)


@given(st.integers(0, 10**10), st.sampled_from(["recovered", "escalated", "ended"]))
def test_what_is_over_is_left_alone(now, state):
    assert watching.decide(replace(WAIT, state=state), Instant(now))[0] == "nothing"


@given(
    st.dictionaries(
        st.sampled_from(["assignment_group", "priority", "title", "state"]),
        st.sampled_from(["1", "resolved", "closed", "x"]),
    )
)
def test_only_what_changes_fires_a_trigger(values):
    assert trigger.fired_by(values, values) == []
    assert set(trigger.fired_by({}, values)) <= set(trigger.TRIGGERS)


def test_a_matrix_has_an_owner_for_every_trigger():
    found = trigger.matrix({"resolve": "operations"}, "service-desk")
    assert found.keys() == trigger.TRIGGERS.keys()
    assert (found["resolve"], found["close"]) == ("operations", "service-desk")
