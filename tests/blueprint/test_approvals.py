"""What decides about authority is applied by one person and agreed to by another, hash for hash."""

from __future__ import annotations

import msgspec
import pytest
from django.db import connection

from isthmus import blueprint
from isthmus.blueprint import approvals, running, sections, service
from isthmus.blueprint.models import BlueprintApproval
from isthmus.blueprint.sections import Section
from isthmus.blueprint.source import Source
from isthmus.identity import people
from isthmus.kernel.actor import Actor, ActorKind
from isthmus.kernel.errors import Forbidden, Rejected


class Vault(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    keys: list[str] = []
    holders: list[str] = []
    colour: str = "grey"


@pytest.fixture(autouse=True)
def a_section(monkeypatch, book):
    known = dict(sections._sections)
    known["vault"] = Section(
        name="vault", schema=Vault, help="Vault.", default=Vault, high_tier=frozenset({"keys", "holders"})
    )
    known["safe"] = Section(name="safe", schema=Vault, help="Safe.", default=Vault, high_tier=True)
    monkeypatch.setattr(sections, "_sections", known)
    running.forget()
    yield
    running.forget()


@pytest.fixture
def office(book):
    """Ada and Ben, real people, on an installation whose first blueprint is in force."""
    found = {}
    for name, role in (("ada", "integration_engineer"), ("ben", "approver"), ("dan", "viewer")):
        person = book.perform(
            lambda work, name=name: people.create_person(
                work, organisation=book.organisation, name=name, email="", username=name
            )
        )
        found[name] = Actor(
            kind=ActorKind.PERSON, id=person.id, label=name, roles=frozenset({role}),
            organisations=frozenset({book.organisation}),
        )  # fmt: skip
    apply(book, found["ada"], colour="grey", keys=["one"])
    return found


def source(**vault):
    return Source(sections={"vault": vault})


def apply(book, actor, **vault):
    found = book.perform(lambda work: service.apply(work, source(**vault)), actor=actor)
    running.forget()
    return found


def agree(book, actor, **vault):
    content = service.plan(source(**vault)).content_hash
    return book.perform(lambda work: approvals.approve(work, content), actor=actor)


def test_the_first_blueprint_needs_nobody_else(book, office):
    assert blueprint.current(fresh=True).section("vault").keys == ["one"]


def test_only_what_decides_about_authority_needs_a_second_person(book, office):
    assert apply(book, office["ada"], colour="red", keys=["one"]).sequence == 2
    with pytest.raises(Forbidden, match="vault/keys"):
        apply(book, office["ada"], colour="red", keys=["one", "two"])
    with pytest.raises(Forbidden, match="vault/holders, vault/keys"):
        apply(book, office["ada"], holders=["ada"])
    with pytest.raises(Forbidden, match="vault/keys"):
        book.perform(lambda work: service.apply(work, Source(sections={})), actor=office["ada"])
    whole = Source(sections={"vault": {"colour": "red", "keys": ["one"]}, "safe": {"colour": "red"}})
    with pytest.raises(Forbidden, match="safe"):
        book.perform(lambda work: service.apply(work, whole), actor=office["ada"])
    assert blueprint.current(fresh=True).generation == 2


def test_with_the_consent_of_another_person_to_this_very_content_it_applies_and_is_told(book, office):
    from isthmus.ledger import reading

    agree(book, office["ben"], keys=["two"])
    with pytest.raises(Forbidden):
        apply(book, office["ada"], keys=["three"])
    made = apply(book, office["ada"], keys=["two"])
    assert reading.history(made.id)[0].why[0].facts["approved_by"] == office["ben"].id


def test_nobody_is_their_own_second_person(book, office):
    both = Actor(
        kind=ActorKind.PERSON, id=office["ada"].id, roles=frozenset({"approver", "integration_engineer"}),
        organisations=frozenset({book.organisation}),
    )  # fmt: skip
    agree(book, both, keys=["two"])
    with pytest.raises(Forbidden):
        apply(book, office["ada"], keys=["two"])
    operator = Actor(kind=ActorKind.SERVICE, id="local:ada", organisations=frozenset({book.organisation}))
    with pytest.raises(Forbidden):
        apply(book, operator, keys=["two"])
    agree(book, office["ben"], keys=["two"])
    assert apply(book, operator, keys=["two"]).sequence == 2


@pytest.mark.parametrize(
    "actor", [{"kind": ActorKind.SERVICE, "id": "robot"}, {"kind": ActorKind.SYSTEM, "id": "system:cli"}]
)
def test_neither_a_token_nor_the_hub_itself_agrees(book, office, actor):
    who = Actor(roles=frozenset({"approver"}), organisations=frozenset({book.organisation}), **actor)
    with pytest.raises(Forbidden):
        agree(book, who, keys=["two"])


def test_only_who_may_decide_approvals_agrees(book, office):
    for who in ("ada", "dan"):
        with pytest.raises(Forbidden, match="approval:decide"):
            agree(book, office[who], keys=["two"])
    with pytest.raises(Rejected):
        book.perform(lambda work: approvals.approve(work, "two"), actor=office["ben"])


def test_consent_ends_with_the_generation_it_was_given_on_with_time_and_with_the_person(book, office):
    agree(book, office["ben"], colour="grey", keys=["two"])
    apply(book, office["ada"], colour="red", keys=["one"])
    with pytest.raises(Forbidden):
        apply(book, office["ada"], colour="grey", keys=["two"])
    agree(book, office["ben"], colour="grey", keys=["two"])
    book.clock.forward(hours=7 * 24 + 1)
    with pytest.raises(Forbidden):
        apply(book, office["ada"], colour="grey", keys=["two"])
    agree(book, office["ben"], colour="grey", keys=["two"])
    from isthmus.identity.models import Person

    def leave(work):
        return work.change(Person.objects.get(id=office["ben"].id), {"state": "left"}, why=[])

    book.perform(leave)
    with pytest.raises(Forbidden):
        apply(book, office["ada"], colour="grey", keys=["two"])


def test_a_consent_edited_in_the_store_does_not_count(book, office):
    agree(book, office["ben"], keys=["two"])
    wanted = service.plan(source(keys=["three"])).content_hash
    with connection.cursor() as cursor:
        cursor.execute("UPDATE blueprint_approval SET content_hash = %s", [wanted])
    assert BlueprintApproval.objects.filter(content_hash=wanted).exists()
    with pytest.raises(Forbidden):
        apply(book, office["ada"], keys=["three"])


def test_the_way_back_needs_the_same_consent(book, office):
    agree(book, office["ben"], keys=["two"])
    apply(book, office["ada"], keys=["two"])

    def back(work):
        return service.rollback(work, 1)

    with pytest.raises(Forbidden):
        book.perform(back, actor=office["ada"])
    running.forget()
    agree(book, office["ben"], colour="grey", keys=["one"])
    assert book.perform(back, actor=office["ada"]).sequence == 3


def test_the_change_section_asks_for_it_where_it_says_who_authorises(book):
    tier = sections.get("change").high_tier
    assert {"authorities", "evidence", "models"} == tier
