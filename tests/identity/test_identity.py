from __future__ import annotations

import pytest

from isthmus.identity import grants, people, permissions, secrets, tokens
from isthmus.identity.models import Person, RoleGrant, ServiceAccount, User
from isthmus.identity.roles import NEVER_BY_TOKEN, PERMISSIONS, ROLES
from isthmus.kernel.actor import Actor, ActorKind, system
from isthmus.kernel.errors import Bug, Conflict, Forbidden, NeedsOperator, Rejected
from isthmus.kernel.secretref import SecretRef

PASSWORD = "correct horse battery"


@pytest.fixture(autouse=True)
def _forget():
    people.forget()
    tokens.forget()
    yield
    people.forget()
    tokens.forget()


def add(book, username="ada", roles=("agent",), organisation=""):
    return book.perform(
        lambda work: people.create_user(
            work,
            organisation=organisation or book.organisation,
            username=username,
            password=PASSWORD,
            roles=roles,
            name="Ada",
            email="ada@x.example",
        )
    )


def actor_of(book, person):
    people.forget(person.id)
    return people.actor_of(User.objects.get(person=person.id), book.clock.now())[0]


def test_a_person_gets_what_their_role_gives_and_nothing_more(book):
    actor = actor_of(book, add(book))
    for permission in PERMISSIONS:
        assert permissions.allowed(actor, permission, book.organisation) == (permission in ROLES["agent"]), (
            permission
        )


def test_a_role_holds_below_its_organisation_and_not_above_or_beside(book):
    below, beside = book.add_organisation("Below"), book.add_organisation("Beside")
    everywhere, one = (
        actor_of(book, add(book, "boss")),
        actor_of(book, add(book, "local", organisation=below)),
    )
    assert permissions.allowed(everywhere, "incident:write", below)
    assert permissions.allowed(one, "incident:write", below)
    assert not permissions.allowed(one, "incident:write", beside)
    assert not permissions.allowed(one, "incident:write", book.organisation)


def test_different_roles_in_different_organisations_do_not_mix(book):
    here, there = book.add_organisation("Here"), book.add_organisation("There")
    person = add(book, roles=(), organisation=here)
    book.perform(lambda work: people.grant(work, holder=person.id, role="agent", organisation=here))
    book.perform(lambda work: people.grant(work, holder=person.id, role="viewer", organisation=there))
    actor = actor_of(book, person)
    assert permissions.allowed(actor, "incident:write", here)
    assert permissions.allowed(actor, "incident:read", there)
    assert not permissions.allowed(actor, "incident:write", there)


def test_a_revoked_role_stops_within_two_seconds(book):
    person = add(book)
    user = User.objects.get(person=person.id)
    assert permissions.allowed(people.actor_of(user, book.clock.now())[0], "incident:write")
    book.perform(
        lambda work: people.revoke(work, holder=person.id, role="agent", organisation=book.organisation)
    )
    book.clock.forward(seconds=2)
    assert not permissions.allowed(people.actor_of(user, book.clock.now())[0], "incident:write")


def test_a_grant_edited_or_invented_in_the_store_gives_nothing(book):
    from django.db import connection

    person = add(book, roles=("viewer",))
    grant = RoleGrant.objects.get(holder=person.id)
    with connection.cursor() as cursor:
        cursor.execute("UPDATE identity_role_grant SET role = 'administrator' WHERE id = %s", [grant.id])
    assert not permissions.allowed(actor_of(book, person), "people:write")
    with connection.cursor() as cursor:
        cursor.execute("UPDATE identity_role_grant SET id = %s WHERE id = %s", ["0" * 26, grant.id])
    assert grants.of(person.id) == frozenset()


def test_a_service_account_edited_in_the_store_opens_nothing_more(book):
    from django.db import connection

    account, token = book.perform(
        lambda work: tokens.issue(work, organisation=book.organisation, name="x", scopes=["incident:read"])
    )
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE identity_service_account SET scopes = %s WHERE id = %s", ['["audit:read"]', account.id]
        )
    tokens.forget()
    assert tokens.authenticate(token, book.clock.now()).scopes == {"incident:read"}


def test_the_token_is_not_in_the_store(book):
    _, token = book.perform(
        lambda work: tokens.issue(work, organisation=book.organisation, name="x", scopes=["incident:read"])
    )
    secret = token.rpartition("_")[2].encode()
    for path in book.directory.rglob("*"):
        if path.is_file():
            assert secret not in path.read_bytes(), path


def test_personal_values_are_not_readable_in_the_store(book):
    add(book)
    for path in book.directory.rglob("*"):
        if path.is_file():
            assert b"ada@x.example" not in path.read_bytes(), path
    assert Person.objects.get(username="ada").email == "ada@x.example"


def test_nobody_hands_out_what_they_do_not_hold(book):
    with pytest.raises(Forbidden):
        book.perform(
            lambda work: tokens.issue(
                work, organisation=book.organisation, name="x", scopes=["audit:export"]
            ),
            actor=book.actor("agent"),
        )
    assert not ServiceAccount.objects.exists()


@pytest.mark.parametrize(
    "scopes", [[], ["*"], ["incident:*"], ["nonsense"], *[[each] for each in sorted(NEVER_BY_TOKEN)]]
)
def test_scopes_that_are_none_are_refused(book, scopes):
    with pytest.raises(Rejected):
        book.perform(lambda work: tokens.issue(work, organisation=book.organisation, name="x", scopes=scopes))


def test_an_administrator_does_not_approve_by_being_powerful():
    assert "approval:decide" not in ROLES["administrator"]
    assert set().union(*ROLES.values()) == set(PERMISSIONS)


def test_partners_hold_nothing_and_the_hub_holds_everything(book):
    partner = Actor(
        kind=ActorKind.PARTNER,
        id="p",
        organisations=frozenset({book.organisation}),
        roles=frozenset({"administrator"}),
    )
    assert not permissions.allowed(partner, "incident:read", book.organisation)
    assert permissions.allowed(system("pump"), "people:write", book.organisation)


def test_an_unknown_permission_is_our_fault_and_not_a_refusal(book):
    with pytest.raises(Bug):
        permissions.allowed(book.actor(), "incident:fly")


def test_two_people_cannot_share_a_user_name_and_short_passwords_are_refused(book):
    add(book)
    with pytest.raises(Conflict):
        add(book)
    with pytest.raises(Rejected):
        book.perform(
            lambda work: people.create_user(
                work, organisation=book.organisation, username="x", password="short"
            )
        )


def test_secrets_are_read_from_where_the_reference_says(tmp_path, monkeypatch):
    monkeypatch.setenv("ISTHMUS_TEST_SECRET", "s3cret")
    (tmp_path / "s").write_text("from file\n")
    assert secrets.resolve(SecretRef("env:ISTHMUS_TEST_SECRET")) == "s3cret"
    assert secrets.resolve(SecretRef(f"file:{tmp_path / 's'}")) == "from file"


@pytest.mark.parametrize("ref", ["env:ISTHMUS_ABSENT", "file:/nowhere/at/all", "vault:x"])
def test_a_missing_secret_names_its_reference(ref):
    with pytest.raises(NeedsOperator) as caught:
        secrets.resolve(SecretRef(ref))
    assert ref in str(caught.value)


def test_nobody_grants_themselves_a_role_and_another_administrator_can(book):
    first, second = add(book, "first", ("administrator",)), add(book, "second", ("administrator",))

    def grant(work):
        return people.grant(work, holder=first.id, role="approver", organisation=book.organisation)

    with pytest.raises(Forbidden):
        book.perform(grant, actor=actor_of(book, first))
    book.perform(grant, actor=actor_of(book, second))
    assert permissions.allowed(actor_of(book, first), "approval:decide", book.organisation)
