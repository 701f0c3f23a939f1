"""A change that the machine's operator raises: nobody can approve it, for nobody can be told apart from them."""

from __future__ import annotations

import pytest

from isthmus.identity import local, tokens
from isthmus.kernel.actor import Actor, ActorKind
from isthmus.kernel.errors import Conflict
from isthmus.practices.approval import service as approval
from isthmus.practices.approval.models import Approval
from isthmus.practices.change import service


@pytest.fixture
def operated(world):
    """The world with the operator of the machine in it, who holds what the command line holds."""
    actor = local.authenticate(local.issue("root"), frozenset({world.organisation}))
    assert actor is not None
    world.people["operator"] = actor
    return world


def test_what_the_operator_raised_is_not_put_to_approval_by_anybody(operated):
    change = operated.raise_change("operator")
    operated.do("operator", service.submit, change)
    for who in ("operator", "ada"):
        with pytest.raises(Conflict, match="no person") as refused:
            operated.do(who, service.request_approval, change)
        assert "token that a person owns" in refused.value.remedy
    assert not Approval.objects.exists()
    assert operated.gate(change)[0] != "allow"


def test_nor_does_the_operator_ask_for_the_approval_of_somebody_else_s_change(operated):
    change = operated.raise_change("ada")
    operated.do("ada", service.submit, change)
    with pytest.raises(Conflict, match="no person"):
        operated.do("operator", service.request_approval, change)
    operated.do("ada", service.request_approval, change)
    operated.do("ben", service.approve, change)
    assert operated.gate(change)[0] == "allow", "asked for by a person it can be approved"


def test_a_decision_that_was_asked_for_before_can_be_refused_and_not_approved(operated, monkeypatch):
    """An older release let the operator ask; what waits since then must not open the gate now."""
    monkeypatch.setattr(approval.rules, "nameless", lambda _: [])
    change = operated.raise_change("operator")
    operated.do("operator", service.submit, change)
    operated.do("operator", service.request_approval, change)
    monkeypatch.undo()
    with pytest.raises(Conflict, match="no person"):
        operated.do("ben", service.approve, change)
    assert operated.gate(change)[0] != "allow"
    operated.do("ben", service.refuse, change)
    assert Approval.objects.get().state == "refused"


def test_one_that_was_approved_before_opens_the_gate_no_more(operated, monkeypatch):
    monkeypatch.setattr(approval.rules, "nameless", lambda _: [])
    change = operated.raise_change("operator")
    operated.do("operator", service.submit, change)
    operated.do("operator", service.request_approval, change)
    operated.do("ben", service.approve, change)
    assert operated.gate(change)[0] == "allow", "the twin: without the rule the gate would open"
    monkeypatch.undo()
    verdict, reasons = operated.gate(change)
    assert verdict != "allow"
    assert reasons


@pytest.mark.parametrize(("owner", "opens"), [("ada", True), ("operator", False)])
def test_a_token_stands_for_the_person_who_owns_it(operated, owner, opens):
    issuer = operated.people[owner]
    issuer = Actor(kind=issuer.kind, id=issuer.id, label=issuer.label, organisations=issuer.organisations,
                   roles=issuer.roles | {"administrator"})  # fmt: skip
    account = operated.book.perform(
        lambda work: tokens.issue(
            work, organisation=operated.organisation, name="script", scopes=["change:write"]
        )[0],
        actor=issuer,
    )
    operated.people["script"] = Actor(
        kind=ActorKind.SERVICE, id=account.id, organisations=issuer.organisations, scopes=frozenset({"change:write"})
    )  # fmt: skip
    change = operated.raise_change("script")
    operated.do("script", service.submit, change)
    if not opens:
        with pytest.raises(Conflict, match="no person"):
            operated.do("script", service.request_approval, change)
        return
    operated.do("script", service.request_approval, change)
    operated.do("ben", service.approve, change)
    assert operated.gate(change)[0] == "allow"
