"""F3: the deployment gate on a running book, each check with its twin."""

from __future__ import annotations

import pytest
from tests.practices.change.conftest import sweep

from isthmus.kernel.actor import Actor, ActorKind
from isthmus.kernel.errors import Conflict, Forbidden
from isthmus.kernel.instant import HOUR
from isthmus.ledger import reading
from isthmus.practices.approval.models import Approval
from isthmus.practices.approval.service import RefusedDecision
from isthmus.practices.change import service
from isthmus.practices.change.models import Change, Freeze, GateDecision


def test_no_change_no_entry(world):
    assert world.gate("CHG-999999") == ("deny", {"change"})


def test_from_raised_to_allowed_and_over(world):
    change = world.raise_change()
    assert world.gate(change) == ("wait", {"state", "authority"})
    world.do("ada", service.submit, change)
    assert world.gate(change)[0] == "wait"
    world.do("ada", service.request_approval, change)
    assert world.gate(change) == ("wait", {"state", "authority"})
    world.do("ben", service.approve, change)
    assert world.gate(change) == ("allow", {"open"})
    world.do("ada", service.start, change)
    assert world.gate(change)[0] == "allow"
    world.do("ada", service.implement, change, "successful")
    assert world.gate(change) == ("deny", {"state"})
    assert GateDecision.objects.count() == 6


def test_refused_stays_shut(world):
    change = world.raise_change()
    world.do("ada", service.submit, change)
    world.do("ada", service.request_approval, change)
    world.do("ben", service.refuse, change, comment="not before Christmas")
    assert world.again(change).state == "assessment"
    verdict, rules = world.gate(change)
    assert verdict != "allow"
    assert "authority" in rules


def test_outside_the_window(world):
    early = world.authorised(window_start=world.now + HOUR, window_end=world.now + 2 * HOUR)
    assert world.gate(early) == ("wait", {"window"})
    world.book.clock.forward(minutes=90)
    assert world.gate(early)[0] == "allow"
    world.book.clock.forward(minutes=31)
    assert world.gate(early) == ("deny", {"window"})


def test_a_freeze_denies_by_name_and_lifting_it_opens(world):
    change = world.authorised()
    freeze = world.do(
        "ada",
        service.create_freeze,
        {"name": "Year end", "starts_at": world.now - HOUR, "ends_at": world.now + HOUR},
        organisation=world.organisation,
    )
    answer = world.ask(change)
    assert answer.verdict == "deny"
    assert any("Year end" in each.text for each in answer.decision.reasons)
    world.do("ada", lambda work: service.cancel_freeze(work, Freeze.objects.get(id=freeze.id)))
    assert world.gate(change)[0] == "allow"


@pytest.mark.parametrize(
    ("narrowed", "verdict"),
    [
        ({"environments": ["production"]}, "deny"),
        ({"environments": ["test"]}, "allow"),
        ({"cis": ["leaf"]}, "deny"),
        ({"cis": ["db"]}, "allow"),
        ({"effect": "peak"}, "allow"),
    ],
)
def test_a_freeze_holds_where_it_says(world, narrowed, verdict):
    change = world.authorised()
    values = {"name": "Freeze", "starts_at": world.now - HOUR, "ends_at": world.now + HOUR, **narrowed}
    world.do("ada", service.create_freeze, values, organisation=world.organisation)
    assert world.gate(change)[0] == verdict


def test_a_freeze_on_an_item_holds_for_what_depends_on_it(world):
    change = world.authorised(cis=["shop-app"])
    values = {
        "name": "Database freeze",
        "starts_at": world.now - HOUR,
        "ends_at": world.now + HOUR,
        "cis": ["db"],
    }
    world.do("ada", service.create_freeze, values, organisation=world.organisation)
    assert world.gate(change, cis=["shop-app"]) == ("deny", {"freeze"})


def test_a_peak_stops_high_risk_only(world):
    world.bring(
        ("Bank", "business_service", {"criticality": "gold"}),
        ("bank-app", "application", {}),
        ties=[("Bank", "bank-app")],
    )
    high, low = world.authorised(cis=["bank-app"]), world.authorised()
    assert (world.again(high).risk, world.again(low).risk) == ("high", "low")
    values = {"name": "Lunch", "effect": "peak", "starts_at": world.now - HOUR, "ends_at": world.now + HOUR}
    world.do("ada", service.create_freeze, values, organisation=world.organisation)
    assert world.gate(high, cis=["bank-app"]) == ("deny", {"peak"})
    assert world.gate(low)[0] == "allow"


def test_another_artefact_environment_or_item_than_approved(world):
    change = world.authorised()
    assert world.gate(change, artefact_hash="sha256:" + "ff" * 32) == ("deny", {"artefact"})
    assert world.gate(change, artefact_hash="") == ("deny", {"artefact"})
    assert world.gate(change, environment="staging") == ("deny", {"environment"})
    assert world.gate(change, cis=["db"]) == ("deny", {"ci_match"})
    assert world.gate(change, cis=["ghost"]) == ("deny", {"ci_unresolved"})
    assert world.gate(change) == ("allow", {"open"})


def test_every_reason_is_said_at_once(world):
    change = world.raise_change(
        window_start=world.now + HOUR, window_end=world.now + 2 * HOUR, cis=["leaf", "ghost"]
    )
    assert world.gate(change, artefact_hash="other", environment="staging")[1] >= {
        "state",
        "authority",
        "ci_unresolved",
        "artefact",
        "environment",
        "window",
    }


def test_a_change_naming_an_unknown_item_is_unresolved_until_the_item_arrives(world):
    change = world.authorised(cis=["web-99"])
    assert world.gate(change, cis=[]) == ("deny", {"ci_unresolved"})
    world.bring(("web-99", "server", {}))
    assert "ci_unresolved" not in world.gate(change, cis=[])[1]
    world.do("ada", service.assess, change)
    assert world.again(change).authorisation == "void", "the risk that was approved was another one"
    world.do("ada", service.request_approval, change)
    world.do("ben", service.approve, change)
    assert world.gate(change, cis=["web-99"])[0] == "allow"


def test_editing_after_the_approval_voids_it(world):
    change = world.authorised()
    world.do("ada", service.update, change, {"artefact_hash": "sha256:" + "bb" * 32})
    found = world.again(change)
    assert (found.state, found.authorisation) == ("assessment", "void")
    assert [each.state for each in Approval.objects.all()] == ["void"]
    assert world.gate(change, artefact_hash="sha256:" + "bb" * 32)[0] != "allow"
    world.do("ada", service.update, change, {"artefact_hash": change.artefact_hash})
    assert world.gate(change)[0] != "allow", "putting the old content back does not revive the approval"


def test_editing_what_is_not_content_keeps_the_approval(world):
    change = world.authorised()
    world.do("ada", service.update, change, {"assignment_group": "Ops", "priority": "2"})
    assert world.gate(change)[0] == "allow"


def test_an_edit_that_came_by_another_door_voids_too(world):
    change = world.authorised()

    def merged(work):
        work.change(Change.objects.get(id=change.id), {"title": "Something else"}, why=[])

    world.book.perform(merged, channel="webhook")
    assert world.again(change).authorisation == "void"
    assert world.gate(change)[0] != "allow"


@pytest.mark.parametrize("who", ["ada", "dan"])
def test_neither_the_requester_nor_a_viewer_approves(world, who):
    change = world.raise_change()
    world.do("ada", service.submit, change)
    world.do("ada", service.request_approval, change)
    with pytest.raises(RefusedDecision):
        world.do(who, service.approve, change)
    assert world.gate(change)[0] != "allow"
    told = [reason.rule for entry in reading.history(Approval.objects.get().id) for reason in entry.why]
    assert ("approval.self" if who == "ada" else "approval.permission") in told, (
        "the attempt is in the journal"
    )


def test_a_token_never_approves_not_even_with_the_scope(world):
    change = world.raise_change()
    world.do("ada", service.submit, change)
    world.do("ada", service.request_approval, change)
    robot = Actor(
        kind=ActorKind.SERVICE,
        id="robot",
        organisations=frozenset({world.organisation}),
        scopes=frozenset({"approval:decide"}),
    )
    world.people["robot"] = robot
    with pytest.raises(Forbidden):
        world.do("robot", service.approve, change)
    world.people["root"] = Actor(
        kind=ActorKind.PERSON,
        id="root",
        organisations=frozenset({world.organisation}),
        roles=frozenset({"administrator"}),
    )
    with pytest.raises(Forbidden):
        world.do("root", service.approve, change)


def test_two_approvals_are_two_persons(world):
    world.configure(change={"authorities": [{"name": "board", "types": ["normal"], "approvals": 2}]})
    change = world.raise_change()
    world.do("ada", service.submit, change)
    world.do("ada", service.request_approval, change)
    world.do("ben", service.approve, change)
    assert world.gate(change)[0] == "wait"
    with pytest.raises(RefusedDecision):
        world.do("ben", service.approve, change)
    world.do("cleo", service.approve, change)
    assert world.gate(change)[0] == "allow"


def test_a_decision_that_nobody_takes_expires(world):
    change = world.raise_change()
    world.do("ada", service.submit, change)
    world.do("ada", service.request_approval, change)
    sweep(world)
    assert Approval.objects.get().state == "awaiting"
    world.book.clock.forward(hours=24 * 7 + 1)
    with pytest.raises(Conflict):
        world.do("ben", service.approve, change)
    sweep(world)
    assert Approval.objects.get().state == "expired"
    assert world.again(change).state == "assessment"


def test_an_approval_runs_out(world):
    world.configure(change={"authorities": [{"name": "quick", "valid_for": "PT2H"}]})
    change = world.authorised()
    assert world.gate(change)[0] == "allow"
    world.book.clock.forward(hours=2.1)
    assert world.gate(change) == ("deny", {"authority"})
