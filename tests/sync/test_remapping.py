"""A new mapping: what the partner holds of our values is written anew where it reads otherwise, and nothing else."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from linkworld.partner import Partner
from linkworld.world import ORDER, World

from isthmus.hub.sync.algorithm import Limits, reopen_parked
from isthmus.kernel.merge import FieldPolicy
from isthmus.kernel.record import MergePolicy

WORDS = ("Low", "Medium", "High", "Highest")
LATEST = {"priority": FieldPolicy(policy=MergePolicy.LATEST, skew_bound=0)}


def table(words, **inward):
    """Outward by the words for the levels 1 to 4; inward the first level that has a word, unless said."""
    outward = dict(zip(("1", "2", "3", "4"), words, strict=False))
    back = {word: level for level, word in reversed(outward.items())}
    return outward, {**back, **inward}


def started(words, priority):
    # People of these stories choose the same few values again and again: that is no loop here.
    world = World(Partner(name="A"), policies=LATEST, limits=Limits(returns_max=99))
    world.tables["A"] = words
    world.edit("title", "a")
    world.edit("priority", priority)
    world.run("A")
    world.partners["A"].webhooks.clear()
    return world


def shown(world):
    return world.at("A").values["priority"]


def hear(world, value):
    """A user there chooses a value, and the hub hears of it."""
    world.user("A", "priority", value)
    world.deliver("A", world.partners["A"].webhooks[-1])
    world.run("A")


def parked(world):
    return {name: part.why for name, part in world.links["A"].parts.items() if part.flag == "divergent"}


def test_an_edit_that_both_levels_spell_alike_is_written_once_they_differ():
    world = started(table(("Low", "Medium", "High", "High")), "3")
    world.edit("priority", "4")
    world.run("A")
    assert len(world.partners["A"].writes) == 1, (
        "the partner spells both levels High: there is nothing to write"
    )
    assert world.remap("A", table(("Low", "Medium", "High", "Highest"))) == ("priority",)
    assert shown(world) == "Highest"


def test_a_level_that_reads_as_before_is_not_touched():
    world = started(table(("Low", "Medium", "High", "High")), "4")
    world.edit("priority", "3")
    world.run("A")
    assert world.remap("A", table(("Low", "Medium", "High", "Highest"))) == ()
    assert (shown(world), len(world.partners["A"].writes)) == ("High", 1)


def test_a_value_that_could_not_be_spelled_goes_out_once_it_can():
    world = started(table(("Low", "Medium", "High")), "3")
    world.edit("priority", "4")
    world.run("A")
    assert parked(world) == {"priority": "unmapped"}
    assert world.remap("A", table(("Low", "Medium", "High"), Highest="1")) == ()
    assert parked(world) == {"priority": "unmapped"}
    assert world.remap("A", table(("Low", "Medium", "High", "Highest"))) == ("priority",)
    assert (shown(world), parked(world)) == ("Highest", {})


def test_a_value_that_could_not_be_read_comes_in_once_it_can():
    world = started(table(("Low", "Medium", "High")), "3")
    hear(world, "Lowest")
    assert parked(world) == {"priority": "unmapped"}
    assert world.remap("A", table(("Low", "Medium", "High"), Odd="1")) == ()
    assert (world.value("priority"), shown(world)) == ("3", "Lowest")
    assert world.remap("A", table(("Low", "Medium", "High"), Lowest="4")) == ("priority",)
    assert (world.value("priority"), shown(world), parked(world)) == ("4", "Lowest", {})


def test_a_value_that_cannot_be_read_is_not_written_over_because_time_passes():
    world = started(table(("Low", "Medium", "High")), "3")
    hear(world, "Lowest")
    world.forward(world.limits.parked_retry_after / 1_000_000 + 1)
    link = world.links["A"]
    assert reopen_parked(link, world.context("A")) == link
    world.put("A", reopen_parked(link, world.context("A"), at_once=True, unread=True))
    world.run("A")
    assert (shown(world), parked(world)) == ("High", {})


def test_where_the_partner_has_no_say_ours_is_put_back_in_time():
    world = started(table(("Low", "Medium", "High")), "3")
    world.policies = {**world.policies, "priority": FieldPolicy(policy=MergePolicy.HUB)}
    hear(world, "Lowest")
    world.forward(world.limits.parked_retry_after / 1_000_000 + 1)
    world.put("A", reopen_parked(world.links["A"], world.context("A")))
    world.run("A")
    assert (shown(world), parked(world)) == ("High", {})


@pytest.mark.parametrize("policy", [MergePolicy.LATEST, MergePolicy.MAY_RAISE, MergePolicy.HUB])
def test_another_word_for_what_we_hold_is_agreement(policy):
    world = started(table(("Low", "Medium", "High"), Lowest="1"), "1")
    world.policies = {**world.policies, "priority": FieldPolicy(policy=policy, order=ORDER)}
    hear(world, "Lowest")
    assert (world.value("priority"), shown(world), parked(world)) == ("1", "Lowest", {})
    assert (world.conflicts, world.adopted, len(world.partners["A"].writes)) == ([], [], 1)
    assert world.remap("A", table(("Low", "Medium", "Highest"), Lowest="1")) == ()
    world.edit("priority", "2")
    world.run("A")
    assert shown(world) == "Medium"


def test_a_conflict_stays_one_under_a_new_mapping():
    world = started(table(("Low", "Medium", "High")), "3")
    world.policies = {**world.policies, "priority": FieldPolicy(policy=MergePolicy.MANUAL)}
    world.edit("priority", "2")
    hear(world, "Low")
    assert world.record.conflicts == {"priority"}
    assert world.remap("A", table(("Low", "High", "Medium"))) == ()
    assert (shown(world), world.links["A"].parts["priority"].flag) == ("Low", "conflict")


def test_a_part_that_only_comes_in_owes_no_write():
    world = started(table(("Low", "Medium", "High", "High")), "3")
    world.policies = {**world.policies, "priority": replace(LATEST["priority"], outbound=False)}
    assert world.remap("A", table(("Low", "Medium", "Highest", "High"))) == ()
    hear(world, "Low")
    assert (world.value("priority"), world.conflicts) == ("1", [])


tables = st.lists(st.sampled_from(WORDS), min_size=3, max_size=4).map(table)
"""Some share words between levels, some have no word for the fourth."""
moves = st.lists(
    st.one_of(
        st.tuples(st.just("edit"), st.sampled_from(ORDER)),
        st.tuples(st.just("there"), st.sampled_from(WORDS)),
        st.tuples(st.just("remap"), tables),
    ),
    max_size=12,
)


@given(first=tables, moves=moves, last=tables)
def test_after_a_new_mapping_the_partner_shows_what_it_makes_of_ours(first, moves, last):
    """Whatever went before, with no look at the partner but those that the mapping owes."""
    world = started(first, "3")
    for move, value in [*moves, ("remap", last)]:
        if move == "edit":
            world.edit("priority", value)
            world.run("A")
        elif move == "there":
            hear(world, value)
        else:
            world.remap("A", value)
    ours, apart = world.value("priority"), parked(world)
    if apart:
        assert apart == {"priority": "unmapped"}
        assert ours not in last[0] or shown(world) not in last[1]
    else:
        assert shown(world) == last[0].get(ours, shown(world))


@given(first=tables, level=st.sampled_from(ORDER), second=tables)
def test_a_new_mapping_writes_only_what_reads_otherwise(first, level, second):
    world = started(first, level)
    before, writes = shown(world), len(world.partners["A"].writes)
    world.remap("A", second)
    changed = second[0].get(level, before) != before
    assert len(world.partners["A"].writes) == writes + changed
    assert (world.value("priority"), world.conflicts) == (level, [])
