"""An asked-for decision as a process: who may take part, what ends it, whichever door is used."""

from __future__ import annotations

import pytest

from isthmus.hub import sweeper
from isthmus.identity import people
from isthmus.kernel.actor import Actor, ActorKind
from isthmus.kernel.errors import Conflict, NotFound, Rejected
from isthmus.kernel.instant import DAY, HOUR, Instant
from isthmus.ledger import reading
from isthmus.practices.approval import rules, service
from isthmus.practices.approval.models import Approval
from isthmus.practices.approval.service import Content, RefusedDecision, Subject

HASH = "ab" * 32


class Letter:
    """A subject of its own kind: a letter whose content and author the test sets."""

    def __init__(self) -> None:
        self.content, self.author, self.told = HASH, "person-ada", []

    def now(self, _record):
        return Content(content_hash=self.content, requesters=frozenset({self.author}))

    def decided(self, _work, approval):
        self.told.append(approval.state)


@pytest.fixture
def letter(monkeypatch):
    found = Letter()
    subjects = {**service._subjects, "letter": Subject(content=found.now, decided=found.decided)}
    monkeypatch.setattr(service, "_subjects", subjects)
    return found


@pytest.fixture
def asked(book, letter):
    """Two decisions about one letter, asked for by Ada."""

    def ask(work):
        return service.request(
            work, subject_kind="letter", subject="letter-1", organisation=book.organisation, content_hash=HASH,
            authority="board", definition="letter", definition_version="1", roles=["approver"], count=2,
            expires_at=Instant(work.now + DAY), valid_for=HOUR,
        )  # fmt: skip

    return book.perform(ask, actor=book.actor("agent", name="person-ada"))


def decide(book, approval, who, verdict="approved", role="approver"):
    actor = book.actor(role, name=who)
    return decided(book, approval, verdict, actor)


def decided(book, approval, verdict, actor):
    return book.perform(
        lambda work: service.decide(work, service.of(approval.id), verdict), actor=actor, channel="api"
    )


def standing(book, now=None):
    facts = service.facts_about("letter-1", book.organisation)
    return rules.standing(
        facts,
        content_hash=HASH,
        requesters={"person-ada"},
        now=Instant(book.clock.now() if now is None else now),
    )


def test_approved_when_all_asked_for_are_given_by_different_people(book, letter, asked):
    first, second = asked
    decide(book, first, "person-ben")
    assert not standing(book).approved
    with pytest.raises(RefusedDecision):
        decide(book, second, "person-ben")
    decide(book, second, "person-cleo")
    assert standing(book).approved
    assert letter.told == ["approved", "approved"]


def test_it_runs_out_after_the_time_it_was_valid_for(book, asked):
    for each, who in zip(asked, ("person-ben", "person-cleo"), strict=True):
        decide(book, each, who)
    assert not standing(book, book.clock.now() + HOUR).approved


@pytest.mark.parametrize(
    ("who", "role"), [("person-ada", "approver"), ("person-dan", "viewer"), ("x", "administrator")]
)
def test_who_may_not_decide_is_refused_and_the_attempt_is_on_record(book, asked, who, role):
    with pytest.raises(RefusedDecision):
        decide(book, asked[0], who, role=role)
    told = [reason.rule for entry in reading.history(asked[0].id) for reason in entry.why]
    assert "approval.refused_actor" in told
    assert Approval.objects.get(id=asked[0].id).state == "awaiting"


def test_a_token_and_the_hub_itself_never_decide(book, asked):
    for kind, name in (
        (ActorKind.SERVICE, "robot"),
        (ActorKind.SYSTEM, "system:pump"),
        (ActorKind.PARTNER, "p"),
    ):
        actor = Actor(
            kind=kind, id=name, roles=frozenset({"approver"}), organisations=frozenset({book.organisation})
        )
        with pytest.raises(RefusedDecision):
            decided(book, asked[0], "approved", actor)


def test_nothing_is_decided_about_content_that_moved_on(book, letter, asked):
    letter.content = "cd" * 32
    with pytest.raises(Conflict, match="edited"):
        decide(book, asked[0], "person-ben")


def test_a_decision_that_nobody_takes_in_time_expires(book, letter, asked):
    book.clock.forward(hours=25)
    sweeper.sweep(book.clock.now())
    assert {each.state for each in Approval.objects.all()} == {"expired"}
    assert letter.told == ["expired", "expired"]
    with pytest.raises(Conflict):
        decide(book, asked[0], "person-ben")


def test_voiding_ends_what_is_open_and_what_was_granted_but_no_refusal(book, asked):
    first, second = asked
    decide(book, first, "person-ben")
    decide(book, second, "person-cleo", "refused")
    book.perform(lambda work: service.void(work, "letter-1", book.organisation, why="edited"))
    assert [Approval.objects.get(id=each.id).state for each in asked] == ["void", "refused"]


def test_a_row_that_no_entry_knows_decides_nothing(book, asked):
    from django.db import connection

    decide(book, asked[0], "person-ben")
    with connection.cursor() as cursor:
        cursor.execute("UPDATE approval_approval SET state = 'approved', approver = 'person-cleo'")
    assert not standing(book).approved


def test_words_that_are_no_verdict_and_records_that_are_not_there(book, asked):
    with pytest.raises(Rejected):
        decide(book, asked[0], "person-ben", "maybe")
    with pytest.raises(NotFound):
        service.of("01NOBODY")


def test_the_owner_of_a_service_account_is_the_person_behind_it(book):
    from isthmus.identity.models import ServiceAccount

    ada = book.perform(
        lambda work: people.create_person(
            work, organisation=book.organisation, name="Ada", email="", username="ada"
        )
    )
    account = book.perform(
        lambda work: work.create(
            ServiceAccount, organisation=book.organisation, why=[], values={"name": "robot", "owner": ada.id}
        )
    )
    assert service.person_behind(Actor(kind=ActorKind.SERVICE, id=account.id)) == ada.id
    assert service.person_behind(Actor(kind=ActorKind.SERVICE, id="gone")) == "gone"
