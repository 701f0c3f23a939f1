"""The three-way decision: every policy with its negative twin, clocks that lie, sets and groups."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from isthmus.kernel.instant import MINUTE
from isthmus.kernel.kinds import KINDS
from isthmus.kernel.merge import (
    Edit,
    FieldPolicy,
    Form,
    SetDelta,
    Verdict,
    apply_delta,
    decide,
    difference,
    gather,
    shapes_of,
    spread,
)
from isthmus.kernel.record import MergePolicy

NOW = 1_000 * MINUTE
ORDER = ("4", "3", "2", "1")


def verdict(
    policy,
    *,
    ours="b",
    theirs="c",
    both=True,
    ours_at=NOW - 20 * MINUTE,
    theirs_at=NOW - 5 * MINUTE,
    connection="desk",
    source="hub",
):
    return decide(
        policy, connection=connection, ours=Edit(value=ours, at=ours_at, source=source),
        theirs=Edit(value=theirs, at=theirs_at, source=connection), both=both, known_at=NOW,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("policy", "facts", "expected"),
    [
        (FieldPolicy(policy=MergePolicy.HUB), {}, Verdict.KEEP),
        (FieldPolicy(policy=MergePolicy.HUB), {"both": False}, Verdict.KEEP),
        (FieldPolicy(policy=MergePolicy.OWNER, owner="desk"), {}, Verdict.TAKE),
        (FieldPolicy(policy=MergePolicy.OWNER, owner="other"), {"both": False}, Verdict.KEEP),
        (FieldPolicy(policy=MergePolicy.OWNER), {"both": False}, Verdict.KEEP),
        (FieldPolicy(policy=MergePolicy.MAY_RAISE, order=ORDER), {"ours": "3", "theirs": "1"}, Verdict.TAKE),
        (FieldPolicy(policy=MergePolicy.MAY_RAISE, order=ORDER), {"ours": "3", "theirs": "4"}, Verdict.KEEP),
        (
            FieldPolicy(policy=MergePolicy.MAY_RAISE, order=ORDER, owner="desk"),
            {"ours": "3", "theirs": "4"},
            Verdict.TAKE,
        ),
        (
            FieldPolicy(policy=MergePolicy.MAY_RAISE, order=ORDER),
            {"ours": "3", "theirs": "strange"},
            Verdict.KEEP,
        ),
        (FieldPolicy(policy=MergePolicy.MANUAL), {}, Verdict.MANUAL),
        (FieldPolicy(policy=MergePolicy.MANUAL), {"both": False}, Verdict.TAKE),
        (FieldPolicy(policy=MergePolicy.LATEST), {}, Verdict.TAKE),
        (FieldPolicy(policy=MergePolicy.LATEST), {"ours_at": NOW - MINUTE}, Verdict.KEEP),
        (FieldPolicy(policy=MergePolicy.LATEST), {"ours_at": NOW - 6 * MINUTE}, Verdict.MANUAL),
        (FieldPolicy(policy=MergePolicy.LATEST), {"both": False, "ours_at": NOW}, Verdict.TAKE),
        (FieldPolicy(policy=MergePolicy.RANKED, ranking=("desk", "hub")), {}, Verdict.TAKE),
        (FieldPolicy(policy=MergePolicy.RANKED, ranking=("hub", "desk")), {}, Verdict.KEEP),
        (FieldPolicy(policy=MergePolicy.LATEST, inbound=False), {"both": False}, Verdict.KEEP),
    ],
)
def test_each_policy_decides_as_declared(policy, facts, expected):
    assert verdict(policy, **facts).verdict is expected


def test_a_clock_ten_minutes_ahead_is_flagged_and_does_not_always_win():
    ahead = NOW + 10 * MINUTE
    found = verdict(FieldPolicy(policy=MergePolicy.LATEST), ours_at=NOW - MINUTE, theirs_at=ahead)
    assert (found.skewed, found.verdict) == (True, Verdict.MANUAL)
    assert not verdict(FieldPolicy(policy=MergePolicy.LATEST)).skewed


def test_a_blocked_value_names_the_rule_of_the_register():
    assert verdict(FieldPolicy(inbound=False, rule="prio-7"), both=False).rule == "prio-7"


@given(st.sets(st.text(max_size=3)), st.sets(st.text(max_size=3)), st.sets(st.text(max_size=3)))
def test_deltas_of_two_sides_commute_unless_they_disagree(base, ours, theirs):
    mine, other = difference(base, ours), difference(base, theirs)
    assert apply_delta(base, mine) == sorted(ours)
    assert set(apply_delta(ours, other)) == set(apply_delta(theirs, mine))


@given(st.sets(st.text(max_size=3)))
def test_equal_sets_make_an_empty_delta(elements):
    assert difference(elements, elements) == SetDelta()
    assert not difference(elements, elements)


def test_fields_that_belong_together_are_one_value():
    shapes = shapes_of(KINDS["incident"], ["title", "state", "resolution_code", "tags"])
    assert shapes["resolution"].form is Form.GROUP
    values = {"title": "", "state": "resolved", "resolution_code": "", "tags": ["b", "a", "b"]}
    assert gather(shapes["resolution"], values) == {"state": "resolved", "resolution_code": None}
    assert gather(shapes["tags"], values) == ["a", "b"]
    assert gather(shapes["title"], values) is None, "empty text is absence"
    assert spread(shapes["resolution"], {"state": "closed", "resolution_code": "x"}) == {
        "state": "closed",
        "resolution_code": "x",
    }


def test_authority_never_takes_part_in_merging():
    names = [field.name for field in KINDS["change"].fields]
    merged = {member for shape in shapes_of(KINDS["change"], names).values() for member in shape.members}
    assert merged.isdisjoint({"state", "authorisation", "risk", "window_start", "window_end"})
    assert "title" in merged
