"""F3: the deployment gate on a running book, each check with its twin."""

from __future__ import annotations

import re

import pytest
from django.db import connection

from isthmus.hub import sweeper
from isthmus.kernel.actor import Actor, ActorKind
from isthmus.kernel.errors import Conflict, Forbidden, Rejected
from isthmus.kernel.instant import HOUR, MINUTE, SECOND
from isthmus.ledger import reading
from isthmus.practices.approval.models import Approval
from isthmus.practices.approval.service import RefusedDecision
from isthmus.practices.change import gate, service
from isthmus.practices.change.models import Change, Freeze, GateDecision


def tamper(statement: str, *values: object) -> None:
    """Edit the store by hand, past the book."""
    with connection.cursor() as cursor:
        cursor.execute(statement, values)
        assert cursor.rowcount == 1


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


# The store edited by hand -------------------------------------------------------------------------------------


def test_an_edited_projection_does_not_open_the_gate(world):
    change = world.raise_change()
    world.do("ada", service.submit, change)
    tamper(
        "UPDATE change_change SET state = 'scheduled', authorisation = 'approved' WHERE id = %s", change.id
    )
    verdict, rules = world.gate(change)
    assert verdict == "deny"
    assert "book" in rules
    with pytest.raises(Conflict):
        world.do("ada", service.start, change)


def test_an_edited_approval_row_does_not_open_the_gate(world):
    change = world.raise_change()
    world.do("ada", service.submit, change)
    world.do("ada", service.request_approval, change)
    tamper(
        "UPDATE approval_approval SET state = 'approved', approver = 'person-ben' WHERE subject = %s",
        change.id,
    )
    tamper(
        "UPDATE change_change SET state = 'scheduled', authorisation = 'approved' WHERE id = %s", change.id
    )
    assert world.gate(change)[0] == "deny"


def test_a_planted_approval_row_does_not_open_the_gate(world):
    change = world.raise_change()
    world.do("ada", service.submit, change)
    world.do("ada", service.request_approval, change)
    world.do("ben", service.refuse, change)
    columns = "organisation, version, created_at, updated_at, occurred_at, channel, synthetic, trace, subject_kind, subject, content_hash"
    columns += ", definition, definition_version, authority, terms, requester, decided_at, expires_at"
    with connection.cursor() as cursor:
        cursor.execute(
            f"INSERT INTO approval_approval (id, state, approver, {columns}) SELECT 'PLANTED', 'approved', 'person-ben', {columns} FROM approval_approval"
        )
    tamper("DELETE FROM approval_approval WHERE id <> 'PLANTED'")
    assert world.gate(change)[0] != "allow"


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE change_change SET artefact_hash = 'evil' WHERE id = %s",
        "UPDATE change_change SET window_end = window_end + 999999999999 WHERE id = %s",
        "UPDATE change_change SET risk = 'high' WHERE id = %s",
    ],
)
def test_an_edited_content_column_shuts_the_gate(world, statement):
    change = world.authorised()
    tamper(statement, change.id)
    verdict, rules = world.gate(change)
    assert (verdict, "book" in rules) == ("deny", True)


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE change_freeze SET state = 'cancelled' WHERE id = %s",
        "UPDATE change_freeze SET ends_at = 1 WHERE id = %s",
        "DELETE FROM change_freeze WHERE id = %s",
    ],
)
def test_hiding_a_freeze_in_the_store_does_not_lift_it(world, statement):
    change = world.authorised()
    values = {"name": "Hidden", "starts_at": world.now - HOUR, "ends_at": world.now + HOUR}
    freeze = world.do("ada", service.create_freeze, values, organisation=world.organisation)
    tamper(statement, freeze.id)
    assert world.gate(change) == ("deny", {"freeze"})


# Standard, emergency, calendar --------------------------------------------------------------------------------

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


# Asking without waiting ---------------------------------------------------------------------------------------


def ask_later(world, change, **more):
    question = {
        "change": change.number,
        "environment": "production",
        "artefact_hash": change.artefact_hash,
        "cis": ["leaf"],
    }
    return world.book.perform(
        lambda work: gate.ask(work, question, organisation=world.organisation, **more), channel="api"
    )


def sweep(world):
    sweeper.sweep(world.now)


def test_an_asynchronous_request_is_answered_once_after_the_approval(world):
    change = world.raise_change()
    world.do("ada", service.submit, change)
    world.do("ada", service.request_approval, change)
    answer = ask_later(world, world.again(change))
    assert (answer.verdict, bool(answer.token)) == ("wait", True)
    assert gate.wait_state(answer.token) is None
    assert answer.token not in str(GateDecision.objects.get().__dict__)
    world.do("ben", service.approve, change)
    sweep(world)
    assert gate.wait_state(answer.token)["decision"] == "allow"
    assert GateDecision.objects.get().version == 2


def test_a_request_that_nobody_decides_is_denied_when_its_time_is_up(world):
    change = world.raise_change()
    answer = ask_later(world, change, wait_for=20 * MINUTE)
    world.book.clock.forward(minutes=21)
    sweep(world)
    told = gate.wait_state(answer.token)
    assert told["decision"] == "deny"
    assert told["reasons"][-1]["rule"] == "gate.timeout"


def test_a_made_up_token_is_nobody_and_a_too_long_wait_is_refused(world):
    from isthmus.kernel.errors import NotFound

    change = world.raise_change()
    for token in ("", "made-up"):
        with pytest.raises(NotFound):
            gate.look(token)
    with pytest.raises(Rejected):
        ask_later(world, change, wait_for=999 * HOUR)
    with pytest.raises(Rejected):
        ask_later(world, change, callback="nobody")
    assert ask_later(world, change, wait_for=SECOND).token


def test_every_recorded_decision_can_be_computed_again_from_its_facts(world):
    change = world.authorised()
    for more in ({}, {"environment": "staging"}, {"artefact_hash": "x"}, {"cis": ["ghost"]}):
        world.ask(change, **more)
    world.ask("CHG-404404")
    for record in GateDecision.objects.all():
        assert gate.replayed(record).verdict == record.decision
        assert [each.text for each in gate.replayed(record).reasons] == [
            each["text"] for each in record.reasons
        ]


def test_facts_that_cannot_be_read_are_a_denial_on_record(world, monkeypatch):
    from django.db import OperationalError

    from isthmus.practices.change import planning

    change = world.authorised()

    def broken(*_, **__):
        raise OperationalError("disk gone")

    monkeypatch.setattr(planning, "items", broken)
    answer = world.ask(change)
    assert (answer.verdict, answer.decision.reasons[0].rule) == ("deny", "gate.unavailable")
    assert GateDecision.objects.get().decision == "deny"


@pytest.mark.parametrize(
    "question",
    [
        {},
        {"change": ""},
        {"change": 7},
        {"change": "x" * 300},
        {"change": "CHG-1", "cis": "leaf"},
        {"change": "CHG-1", "cis": [""]},
    ],
)
def test_a_question_that_is_none_is_refused_and_leaves_nothing(world, question):
    with pytest.raises(Rejected):
        world.book.perform(lambda work: gate.check(work, question, organisation=world.organisation))
    assert GateDecision.objects.count() == 0


def test_another_organisation_s_change_is_no_change_here(world):
    change = world.authorised()
    other = world.book.add_organisation("Customer")
    number = world.again(change).number
    answer = world.book.perform(lambda work: gate.check(work, {"change": number}, organisation=other))
    assert answer.verdict == "deny"
    assert {each.rule for each in answer.decision.reasons} == {"gate.change"}
