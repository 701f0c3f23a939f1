"""The decider that change enablement registers for `/gate/wait`: one record per decision, none per look."""

from __future__ import annotations

import pytest

from isthmus.hub import gate_wait
from isthmus.kernel.errors import Forbidden, NotFound
from isthmus.practices.change.models import GateDecision


@pytest.fixture
def decide(book):
    return gate_wait._decider[0]


def test_an_unknown_change_is_denied_and_the_decision_is_a_record(book, decide):
    said = decide(book.actor("change_manager"), {"change": "CHG-999999"}, book.clock.now(), last=False)
    assert said["decision"] == "deny"
    assert said["reasons"]
    assert GateDecision.objects.get().id == said["id"]


def test_who_may_not_ask_gets_no_decision(book, decide):
    with pytest.raises(Forbidden):
        decide(book.actor("viewer"), {"change": "CHG-999999"}, book.clock.now(), last=True)
    assert not GateDecision.objects.exists()


def test_an_unknown_token_is_no_permission(book, decide):
    with pytest.raises(NotFound):
        decide(None, {"token": "guessed"}, book.clock.now(), last=True)
    with pytest.raises(NotFound):
        decide(None, {"change": "CHG-1"}, book.clock.now(), last=True)
