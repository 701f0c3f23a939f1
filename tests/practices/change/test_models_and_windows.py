"""F3: standard changes by model, what a change must have, the map on its path, recurring windows."""

from __future__ import annotations

import re

import pytest

from isthmus.kernel.errors import Conflict, Rejected
from isthmus.kernel.instant import HOUR
from isthmus.ledger import reading
from isthmus.practices.change import service

MODEL = {"name": "leaf-release", "ci_classes": ["server"], "dependants_max": 2}


def test_a_standard_change_on_a_leaf_is_authorised_at_once(world):
    world.configure(change={"models": [MODEL]})
    change = world.raise_change(
        type="standard", model="leaf-release", implementation_plan=None, backout_plan=None
    )
    world.do("ada", service.submit, change)
    assert world.again(change).authorisation == "approved"
    assert world.gate(change) == ("allow", {"open"})
    world.do("ada", service.update, change, {"artefact_hash": "sha256:other"})
    assert world.again(change).state == "new"
    assert world.gate(change, artefact_hash="sha256:other")[0] != "allow"


@pytest.mark.parametrize(
    ("item", "ties", "rule"),
    [
        (("hub", "server", {"shared": True}), [], "change.model.shared"),
        (("hub", "server", {}), [("a", "hub"), ("b", "hub"), ("c", "hub")], "change.model.radius"),
        (("hub", "database", {}), [], "change.model.class"),
    ],
)
def test_the_same_model_on_a_wider_item_goes_the_normal_way_with_the_reason(world, item, ties, rule):
    world.configure(change={"models": [MODEL]})
    world.bring(item, ("a", "server", {}), ("b", "server", {}), ("c", "server", {}), ties=ties)
    change = world.raise_change(type="standard", model="leaf-release", cis=["hub"])
    world.do("ada", service.submit, change)
    assert (world.again(change).type, world.again(change).state) == ("normal", "assessment")
    assert rule in {reason.rule for entry in reading.history(change.id) for reason in entry.why}
    assert world.gate(change, cis=["hub"])[0] != "allow"


def test_an_item_that_becomes_shared_leaves_the_model_before_the_deployment(world):
    world.configure(change={"models": [MODEL]})
    change = world.raise_change(type="standard", model="leaf-release")
    world.do("ada", service.submit, change)
    world.bring(("leaf", "server", {"shared": True}))
    assert world.gate(change) == ("deny", {"model"})


def test_a_model_suspends_itself_after_two_failures(world):
    world.configure(change={"models": [MODEL]})
    for _ in range(2):
        change = world.raise_change(type="standard", model="leaf-release")
        world.do("ada", service.submit, change)
        assert world.gate(change)[0] == "allow"
        world.do("ada", service.start, change)
        world.do("ada", service.implement, change, "failed")
        world.do("ada", service.close, change)
    third = world.raise_change(type="standard", model="leaf-release")
    world.do("ada", service.submit, third)
    assert world.again(third).type == "normal"
    world.configure(change={"models": [{**MODEL, "help": "reworked"}]})
    fourth = world.raise_change(type="standard", model="leaf-release")
    world.do("ada", service.submit, fourth)
    assert world.again(fourth).authorisation == "approved", "a new version of the model starts afresh"


@pytest.mark.parametrize("missing", ["implementation_plan", "backout_plan", "window_start", "cis"])
def test_a_normal_change_without_plan_window_or_item_is_not_submittable(world, missing):
    change = world.raise_change(**{missing: None})
    with pytest.raises(Rejected) as refused:
        world.do("ada", service.submit, change)
    assert f"/{missing}" in {each.path for each in refused.value.problems}
    assert world.again(change).state == "new"


def test_approval_needs_an_impact_report_of_the_map_as_it_is(world):
    change = world.raise_change()
    world.do("ada", service.submit, change)
    report = world.again(change).impact_report
    assert re.fullmatch("[0-9a-f]{16}", report["graph_version"])
    world.do("ada", service.request_approval, change)
    world.bring(("new", "server", {}), ties=[("new", "db")])
    with pytest.raises(Conflict, match="outdated"):
        world.do("ben", service.approve, change)
    world.do("ada", service.assess, change)
    world.do("ben", service.approve, change)
    assert world.gate(change)[0] == "allow"


def test_a_map_that_changes_on_the_path_shuts_the_gate_and_elsewhere_does_not(world):
    change = world.authorised()
    world.bring(("far", "server", {}), ties=[("far", "db")])
    assert world.gate(change)[0] == "allow"
    world.bring(("near", "application", {}), ties=[("near", "leaf")])
    assert world.gate(change) == ("deny", {"assessment"})


def test_another_authorised_change_on_the_same_item_denies(world):
    first = world.authorised()
    second = world.authorised(window_start=world.now + 5 * HOUR, window_end=world.now + 9 * HOUR)
    assert world.gate(first)[0] == "allow"
    third = world.authorised()
    assert world.gate(first) == ("deny", {"maintenance"})
    assert world.gate(third) == ("deny", {"maintenance"})
    world.do("ada", service.cancel, third, "collides")
    assert world.gate(first)[0] == "allow"
    assert world.gate(second) == ("deny", {"maintenance", "window"})


def test_recurring_change_windows_of_the_blueprint_govern_their_items(world):
    weekday = (world.now // (24 * HOUR) + 3) % 7
    days = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
    window = {
        "name": "Server window",
        "effect": "window",
        "hours": [{"days": [days[(weekday + 2) % 7]]}],
        "cis": ["leaf"],
    }
    change, other = world.authorised(), world.authorised(cis=["db"])
    assert world.gate(change)[0] == "allow"
    world.configure(change={"calendar": [window]})
    answer = world.ask(change)
    assert answer.verdict == "wait"
    assert answer.decision.look_again_at is not None
    assert world.gate(other, cis=["db"])[0] == "allow"
    world.configure(
        change={"calendar": [{**window, "hours": [{"days": [days[weekday], days[(weekday + 1) % 7]]}]}]}
    )
    assert world.gate(change)[0] == "allow"
