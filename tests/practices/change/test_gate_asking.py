"""F3: questions that are answered later, and every decision on record."""

from __future__ import annotations

import pytest
from tests.practices.change.conftest import sweep

from isthmus.kernel.errors import Rejected
from isthmus.kernel.instant import HOUR, MINUTE, SECOND
from isthmus.practices.change import gate, service
from isthmus.practices.change.models import GateDecision


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
