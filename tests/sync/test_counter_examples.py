"""Every row of the table of counter-examples in design/synchronisation.md: with the rule no damage, and with
the rule switched off the damage that the row names. Each `story` returns what a user would find at the end."""

from dataclasses import replace

import pytest
from linkworld.partner import Partner
from linkworld.world import World

from isthmus.hub.sync.algorithm import LinkComment, LinkPart, Rules, Sighting, merge, plan
from isthmus.hub.sync.algorithm.spelling import Unmapped
from isthmus.kernel.merge import FieldPolicy
from isthmus.kernel.record import MergePolicy

ON = Rules()
UPPER = str.upper


def without(**switched_off):
    return replace(Rules(), **switched_off)


def started(*partners, rules=ON, title="a", **more):
    """A world whose record exists at every partner and is at rest."""
    world = World(*partners, rules=rules, **more)
    world.edit("title", title)
    for name in world.partners:
        world.run(name)
        world.partners[name].webhooks.clear()
    return world


def bare(name="A", **more):
    """A partner that proves nothing: no versions, no record in its answers, no modifier."""
    return Partner(name=name, versions="none", if_match=False, returns_record=False, proves_own=False, **more)


def test_r1_a_normalising_partner_is_written_once():
    def writes(rules):
        world = started(Partner(name="A", declared=UPPER), rules=rules)
        world.edit("title", "changed")
        world.run("A", steps=120)
        return len(world.partners["A"].writes)

    assert writes(ON) == 2
    assert writes(without(pair=False)) > 10


def test_r1b_a_refused_value_is_put_back():
    def ends(rules):
        world = started(Partner(name="A"), Partner(name="B"), rules=rules)
        world.user("A", "owned", "a")
        assert world.quiesce()
        world.user("B", "owned", "o")
        assert world.quiesce()
        return world.at("B").values["owned"]

    assert ends(ON) == "a"
    assert ends(without(whole_pair=False)) == "o"


def test_r2_a_lying_200_does_not_revert_everyone():
    def ends(rules):
        world = started(Partner(name="A"), Partner(name="B"), rules=rules, title="aa")
        world.user("A", "title", "bb")
        world.compare("A")
        world.run("A")
        world.partners["B"].faults.append("lying")
        world.run("B")
        world.compare("B")
        assert world.quiesce()
        return world.at("A").values["title"], world.at("B").values["title"], world.value("title")

    assert ends(ON) == ("bb", "bb", "bb")
    assert ends(without(observed_base=False)) == ("aa", "aa", "aa")


def test_r3_the_webhook_of_our_own_write_before_its_response_is_not_merged():
    def ends(rules):
        world = started(Partner(name="A", rewrites=UPPER), rules=rules, title=None)
        world.edit("title", "Longer")
        world.forward(1)
        for _ in range(3):  # planned, sent, called: the response is still on its way
            world.step("A")
        for hook in world.partners["A"].webhooks:
            world.deliver("A", hook)
        world.run("A")
        return world.value("title")

    assert ends(ON) == "Longer"
    assert ends(without(hold_while_open=False)) == "LONGER"


def test_r4_a_replayed_old_webhook_reverts_nothing():
    def ends(rules):
        world = started(Partner(name="A"), rules=rules)
        old = world.partners["A"].observe(world.links["A"].key)
        world.user("A", "title", "newer")
        world.deliver("A", world.partners["A"].webhooks[-1])
        world.deliver("A", old)
        return world.value("title")

    assert ends(ON) == "newer"
    assert ends(without(ordered=False)) == "a"


def test_r4b_of_two_overlapping_reads_the_older_data_loses():
    def ends(rules):
        world = started(bare(), rules=rules)
        first = world.begin("A")
        second = world.begin("A")
        older = world.read("A", second)
        world.user("A", "title", "newer")
        newer = world.read("A", first)
        world.sight("A", newer)
        world.sight("A", older)
        return world.value("title")

    assert ends(ON) == "newer"
    assert ends(without(ordered_by_end=False)) == "a"


def test_r5_an_edit_during_the_flight_goes_out():
    def ends(rules):
        world = started(Partner(name="A"), rules=rules)
        world.edit("title", "b")
        for _ in range(3):
            world.step("A")
        world.edit("title", "c")
        assert world.quiesce()
        return world.at("A").values["title"]

    assert ends(ON) == "c"
    assert ends(without(base_is_sent=False)) == "b"


def objects_after(fault, rules, *, seconds=0, index_lag=0):
    world = World(Partner(name="A", index_lag=index_lag), rules=rules)
    world.edit("title", "a")
    world.partners["A"].faults.append(fault)
    world.run("A")
    world.forward(seconds)
    world.run("A")
    world.quiesce(rounds=6)
    return len(world.partners["A"].things)


def test_r6_a_timeout_after_commit_makes_no_duplicate():
    assert objects_after("after_commit", ON) == 1
    assert objects_after("after_commit", without(look_up=False)) == 2


def test_r6_the_correlation_is_per_link_so_that_two_links_into_one_system_stay_apart():
    system = Partner(name="A")
    system.create({"title": "of the first link"}, (), "link first")
    assert system.find("link second") == []
    # With the record's id as correlation, the second link would adopt the first one's object.
    system.create({"title": "x"}, (), "record 1")
    assert system.find("record 1") != []


def test_r6b_a_request_that_lands_late_makes_no_twin():
    assert objects_after("late", ON, seconds=5) == 1
    assert objects_after("late", without(wait_out=False), seconds=5) == 2


def test_r6b_the_wait_counts_from_when_the_outcome_became_unknown():
    def objects(rules):
        world = World(Partner(name="A"), rules=rules)
        world.edit("title", "a")
        world.step("A")
        world.step("A")  # committed as sent
        world.forward(85)  # the process hung before the request left it
        world.partners["A"].faults.append("late")
        world.step("A")
        world.run("A")
        world.forward(10)
        world.run("A")
        world.quiesce(rounds=6)
        return len(world.partners["A"].things)

    assert objects(ON) == 1
    assert objects(without(wait_from_unknown=False)) == 2


@pytest.mark.parametrize("kind", ["ignores", "refuses", "rewrites"])
def test_r7_a_write_that_never_takes_is_parked_in_sight(kind):
    partner = {
        "ignores": bare(ignores={"title"}),
        "refuses": Partner(name="A", transitions={"new": ()}, offers_path=False),
        "rewrites": bare(rewrites=lambda text: f"{text}!"),
    }[kind]

    def ends(rules):
        partner.writes.clear()
        partner.things.clear()
        world = World(partner, rules=rules)
        world.policies["title"] = FieldPolicy(policy=MergePolicy.HUB)
        world.edit("title", "a")
        world.edit("resolution", {"state": "new", "code": None})
        world.run("A")
        world.edit("resolution", {"state": "done" if kind == "refuses" else "new", "code": None})
        rested = world.run("A")
        part = world.links["A"].parts["resolution" if kind == "refuses" else "title"]
        return rested, part.flag, len(partner.writes)

    rested, flag, writes = ends(ON)
    assert (rested, flag) == (True, "divergent")
    assert writes <= 4
    # A refusal is parked at once; repeated silence needs the bound.
    off = without(park_refused=False) if kind == "refuses" else without(park=False)
    assert ends(off)[0] is False


def test_r7b_writes_that_never_arrived_park_nothing():
    """Found by kills at a quick tracker: three writes that nobody answered were taken for three that it ignored."""
    acts = {
        "value": lambda world: world.edit("title", "changed"),
        "set": lambda world: world.edit("tags", ["ours"]),
        "comment": lambda world: world.comment("hello"),
    }

    def ends(what, rules):
        world = started(Partner(name="A"), rules=rules)
        acts[what](world)
        world.partners["A"].faults = ["lost"] * 4
        for _ in range(8):
            world.run("A")
            world.forward(120)
        thing = world.at("A")
        return thing.values["title"], set(thing.tags), [body for _, body, _, _ in thing.comments]

    assert ends("value", ON) == ("changed", set(), [])
    assert ends("set", ON) == ("a", {"ours"}, [])
    assert ends("comment", ON) == ("a", set(), ["hello"])
    for what in acts:
        assert ends(what, without(count_arrived=False)) == ("a", set(), [])


def test_r8_two_rewriters_in_a_chain_come_to_an_end():
    def longest(rules):
        world = World(
            bare("A", rewrites=lambda text: f"<p>{text}</p>"), bare("B", rewrites=UPPER), rules=rules
        )
        world.edit("title", "x")
        world.forward(1)
        for _ in range(20):
            for name in world.partners:
                world.run(name, steps=60)
                world.compare(name)
                world.forward(5)
        return len(world.value("title"))

    assert longest(ON) < 40
    assert longest(without(hop_bound=False)) > 80


def test_r9_an_element_added_between_plan_and_write_survives():
    def ends(rules):
        world = started(bare(), rules=rules)
        world.edit("tags", ["ours"])
        world.step("A")
        world.user("A", "tags", "z")
        assert world.quiesce()
        return world.at("A").tags, set(world.value("tags"))

    assert ends(ON) == ({"ours", "z"}, {"ours", "z"})
    assert ends(without(set_deltas=False)) == ({"ours"}, {"ours"})


def test_r10_rewriting_partners_do_not_grow_a_set():
    def size(rules):
        world = World(
            bare("A", rewrites=lambda text: f"<p>{text}</p>", rewrites_tags=True),
            bare("B", rewrites=UPPER, rewrites_tags=True),
            rules=rules,
        )
        world.edit("title", "t")
        world.edit("tags", ["x"])
        for _ in range(30):
            for name in world.partners:
                world.run(name, steps=60)
                world.compare(name)
                world.forward(5)
        return len(world.value("tags"))

    assert size(ON) == 1
    assert size(without(park_unexplained=False)) > 20


def test_r11_our_own_comment_is_mapped_never_imported():
    def ends(rules):
        world = started(Partner(name="A", returns_record=False), rules=rules)
        world.comment("hello")
        world.run("A", steps=60)
        return len(world.record.comments), world.links["A"].comments["ours 1"].key

    assert ends(ON) == (1, "A-c2")
    assert ends(without(own_comments=False))[0] > 1


def test_if_match_an_edit_that_we_had_not_seen_is_not_overwritten():
    def ends(rules):
        world = started(Partner(name="A"), rules=rules)
        world.edit("title", "ours")
        world.step("A")  # planned
        world.user("A", "title", "theirs, later")
        world.run("A")
        world.quiesce()
        return world.at("A").values["title"]

    assert ends(ON) == "theirs, later"
    assert ends(without(expected_version=False)) == "ours"


# Corrections found in the first versions


def test_a_creation_settles_like_a_patch():
    def ends(rules):
        world = World(Partner(name="A", ignores={"title"}, returns_record=False), rules=rules)
        world.edit("title", "kept")
        assert world.quiesce()
        return world.value("title"), world.links["A"].parts["title"].flag

    assert ends(ON) == ("kept", "divergent")
    assert ends(without(create_settles=False))[0] is None


def test_a_comment_found_after_a_timeout_keeps_what_a_user_made_of_it():
    def ends(rules):
        world = started(Partner(name="A"), rules=rules)
        world.comment("hello")
        world.partners["A"].faults.append("after_commit")
        world.run("A")
        partner = world.partners["A"]
        partner.user_edits_comment(world.links["A"].key, 0, "hello, edited")
        assert world.quiesce()
        return world.record.comments["ours 1"].body

    assert ends(ON) == "hello, edited"
    assert ends(without(comment_as_sent=False)) == "hello"


# Additions that the search did not cover


def test_two_automations_at_ping_pong_are_parked():
    def adoptions(rules):
        world = started(Partner(name="A"), Partner(name="B"), rules=rules)
        for _ in range(20):
            for name, value in (("A", "ping"), ("B", "pong")):
                if world.at(name).values["title"] != value:
                    world.user(name, "title", value)
                world.compare(name)
                for each in world.partners:
                    world.run(each)
        return len(world.adopted)

    assert adoptions(ON) <= 6
    assert adoptions(without(oscillation_guard=False)) > 15


def test_an_undecided_conflict_is_not_written_anywhere():
    def ends(rules):
        manual = {"title": FieldPolicy(policy=MergePolicy.MANUAL)}
        world = started(Partner(name="A"), Partner(name="B"), rules=rules, policies=manual)
        world.edit("title", "ours")
        world.user("A", "title", "theirs")
        world.compare("A")
        world.run("A")
        world.run("B")
        return world.at("A").values["title"], world.at("B").values["title"]

    assert ends(ON) == ("theirs", "a")
    assert ends(without(conflict_everywhere=False)) != ("theirs", "a")


def test_a_decided_conflict_reaches_every_system_and_the_loser_can_be_restored():
    manual = {"title": FieldPolicy(policy=MergePolicy.MANUAL)}
    world = started(Partner(name="A"), Partner(name="B"), policies=manual)
    world.edit("title", "ours")
    world.user("A", "title", "theirs")
    world.compare("A")
    world.run("A")
    ((name, found),) = world.conflicts
    assert (name, found.base, found.ours, found.theirs, found.winner) == (
        "A",
        "a",
        "ours",
        "theirs",
        "undecided",
    )
    world.decide("title", "theirs")
    assert world.quiesce()
    assert {world.at(each).values["title"] for each in "AB"} == {"theirs"}
    world.edit("title", found.ours)
    assert world.quiesce()
    assert {world.at(each).values["title"] for each in "AB"} == {"ours"}


def test_state_walks_the_partners_transitions_one_operation_per_step():
    table = {"new": ("progress",), "progress": ("done",), "done": ()}
    world = World(Partner(name="A", transitions=table))
    world.edit("resolution", {"state": "new", "code": None})
    world.run("A")
    world.edit("resolution", {"state": "done", "code": "fixed"})
    world.run("A")
    states = [values.get("state") for what, _, values in world.partners["A"].writes if what == "write"]
    assert states == ["progress", "done"]
    assert world.at("A").values["code"] == "fixed"


def test_a_state_without_a_path_is_parked():
    world = World(Partner(name="A", transitions={"new": ("progress",), "progress": ()}))
    world.edit("resolution", {"state": "new", "code": None})
    world.run("A")
    world.edit("resolution", {"state": "done", "code": "fixed"})
    assert world.run("A")
    part = world.links["A"].parts["resolution"]
    assert (part.flag, part.why) == ("divergent", "no_path")


def test_a_group_is_merged_and_written_as_one_value():
    world = started(Partner(name="A"), Partner(name="B"))
    world.edit("resolution", {"state": "done", "code": "fixed"})
    assert world.quiesce()
    world.user("A", "state", "progress")
    assert world.quiesce()
    assert world.value("resolution") == {"state": "progress", "code": "fixed"}
    assert world.at("B").values["state"] == "progress"
    written = [values for what, _, values in world.partners["B"].writes if what == "write"]
    assert all({"state", "code"} <= set(each) for each in written if "state" in each)


def test_a_refusal_that_names_no_field_parks_only_the_refused_one():
    world = started(Partner(name="A", names_refused=False, refuses=lambda _f, value: value == "2"))
    world.edit("title", "good")
    world.edit("priority", "2")
    assert world.run("A")
    assert world.at("A").values["title"] == "good"
    assert world.links["A"].parts["priority"].why == "refused"
    assert world.links["A"].parts["title"].flag == "none"


def test_a_replica_behind_the_known_version_is_not_admitted():
    world = started(Partner(name="A"))
    start = world.begin("A")
    lagging = world.read("A", start)
    world.user("A", "title", "newer")
    world.deliver("A", world.partners["A"].webhooks[-1])
    late = world.begin("A")
    world.sight("A", replace(lagging, start=late))
    assert world.value("title") == "newer"
    assert world.admissions[-1] == ("A", "dirty")


def test_a_shared_integration_user_is_no_proof():
    """An edit made by another tool under our own account, which proves nothing, is adopted, not parked."""
    partner = Partner(name="A", proves_own=False, returns_record=False)
    world = started(partner)
    world.edit("title", "ours")
    for _ in range(5):
        world.step("A")
    world.forward(1)
    partner.user_edits(world.links["A"].key, "title", "by the other tool")
    assert world.quiesce()
    assert world.at("A").values["title"] == world.value("title") == "by the other tool"


def test_an_unmapped_value_is_parked_and_never_defaulted():
    world = started(Partner(name="A"))
    context = world.context("A")

    class Narrow(type(context.spelling)):
        def inward(self, field, theirs):
            if field == "priority":
                raise Unmapped("priority has no canonical value for 'strange'.")
            return theirs

    world.user("A", "priority", "strange")
    seen = Sighting(observation=world.partners["A"].observe(world.links["A"].key), seen_at=world.now)
    narrow = replace(context, spelling=Narrow(world.partners["A"]))
    outcome = merge(world.links["A"], world.record, seen, narrow)
    assert outcome.link.parts["priority"] == LinkPart(
        agreed=None, seen="strange", flag="divergent", why="unmapped", since=context.now, mapping_version="1"
    )
    assert plan(outcome.link, outcome.record, narrow, key="k").link.operation is None
    assert "strange" not in [each.value for each in outcome.takes]


def test_a_settling_read_maps_our_comment_by_its_marker_after_a_lost_answer():
    world = started(Partner(name="A"))
    world.comment("hello")
    world.partners["A"].faults.append("after_commit")
    world.run("A")
    world.forward(100)
    world.run("A")
    assert world.links["A"].comments["ours 1"] == LinkComment(key="A-c2", agreed="hello", seen="hello")
    assert len([each for each in world.partners["A"].writes if each[0] == "comment"]) == 1


def test_a_clock_that_runs_ahead_is_flagged_and_loses_its_lead():
    latest = {"title": FieldPolicy(policy=MergePolicy.LATEST, skew_bound=60_000_000)}
    world = started(Partner(name="A"), Partner(name="B"), policies=latest)
    world.partners["A"].clock += 600_000_000
    world.partners["A"].user_edits(world.links["A"].key, "title", "from the fast clock")
    world.partners["A"].clock = world.now
    world.deliver("A", world.partners["A"].webhooks[-1])
    assert world.value("title") == "from the fast clock", "alone, it is an edit like any other"
    assert world.record.fields["title"].at == world.now
    assert [note.why for note in world.notes] == ["skewed"]
    world.forward(120)
    world.user("B", "title", "later, from the right clock")
    world.deliver("B", world.partners["B"].webhooks[-1])
    assert world.value("title") == "later, from the right clock"
    ((_, conflict),) = world.conflicts
    assert (conflict.winner, conflict.ours) == ("theirs", "from the fast clock")


def test_what_was_empty_at_the_creation_is_nobodys_edit():
    world = World(Partner(name="A"))
    world.edit("priority", "3")
    while not world.partners["A"].things:
        assert world.step("A")
    world.edit("title", "written while the creation was under way")
    assert world.quiesce()
    assert world.conflicts == []
    assert world.value("title") == "written while the creation was under way" == world.at("A").values["title"]


def test_a_tag_added_beside_a_write_that_never_arrived_is_no_spelling_of_ours():
    world = started(bare())
    world.edit("tags", ["ours"])
    world.partners["A"].faults.append("lost")
    world.run("A")
    world.user("A", "tags", "theirs")
    assert world.quiesce()
    assert set(world.value("tags")) == {"ours", "theirs"} == world.at("A").tags


def test_a_third_value_during_an_undecided_conflict_is_kept_in_sight_too():
    manual = {"title": FieldPolicy(policy=MergePolicy.MANUAL)}
    world = started(Partner(name="A"), Partner(name="B"), policies=manual)
    world.edit("title", "ours")
    for name in ("A", "B"):
        world.user(name, "title", f"as {name} says")
        world.compare(name)
        world.run(name)
    assert {each.theirs for _, each in world.conflicts} == {"as A says", "as B says"}


def test_r6_a_create_that_landed_after_its_time_is_found_however_long_the_hub_rested():
    """Found by the search as a twin: the model let the late request land when somebody next looked."""
    partner = bare("A", index_lag=20_000_000)
    world = World(partner)
    world.edit("title", "a")
    partner.faults = ["late"]
    world.run("A", steps=4)
    world.forward(200)
    world.run("A", steps=40)
    assert len(partner.things) == 1
