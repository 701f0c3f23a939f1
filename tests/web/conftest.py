"""A hub with a little of everything in it, and signed-in clients of every role."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from django.core.cache import cache
from django.test import Client, override_settings

from isthmus.hub.http import limits
from isthmus.identity import people, tokens
from isthmus.identity.models import User
from isthmus.identity.roles import ROLES
from isthmus.practices.configuration import service as configuration
from isthmus.practices.configuration import snapshot
from isthmus.practices.incident import service as incidents

PASSWORD = "correct horse battery"


@dataclass
class Desk:
    """The book with people, two configuration items and an incident; `client(role)` is signed in."""

    book: Any
    people: dict[str, str] = field(default_factory=dict)
    incident: Any = None
    cis: dict[str, str] = field(default_factory=dict)

    def client(self, role: str = "", **kwargs: Any) -> Client:
        client = Client(SERVER_NAME="localhost", **kwargs)
        if role:
            self.sign_in(client, role)
        return client

    def sign_in(self, client: Client, role: str, *, second_factor: bool = True) -> None:
        user = User.objects.get(person=self.people[role])
        client.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
        if second_factor:
            session = client.session
            session["account_authentication_methods"] = [{"method": "mfa", "type": "totp", "at": 0}]
            session["account_authentication_methods_user"] = str(user.pk)
            session.save()

    def token(self, *scopes: str, days: int = 30, organisation: str = "") -> str:
        where = organisation or self.book.organisation
        return self.book.perform(
            lambda work: tokens.issue(work, organisation=where, name="probe", scopes=scopes, days=days)[1],
            actor=self.book.actor("administrator", organisation=where),
        )

    def add_person(self, username: str, *roles: str, organisation: str = "") -> str:
        person = self.book.perform(
            lambda work: people.create_user(
                work,
                organisation=organisation or self.book.organisation,
                username=username,
                password=PASSWORD,
                roles=roles,
            )
        )
        self.people[username] = person.id
        return str(person.id)


@pytest.fixture
def desk(book: Any) -> Iterator[Desk]:
    # The real password hash costs half a second on purpose; eight people per test would cost minutes.
    with override_settings(PASSWORD_HASHERS=["django.contrib.auth.hashers.MD5PasswordHasher"]):
        yield from _desk(book)


def _desk(book: Any) -> Iterator[Desk]:
    cache.clear()
    people.forget()
    tokens.forget()
    snapshot.forget()
    limits.limiter.__init__()
    desk = Desk(book=book)
    for role in ROLES:
        desk.add_person(role, role)
    desk.add_person("nobody")
    rows = [
        {"name": "shop", "ci_class": "service", "criticality": "gold", "users": 900},
        {"name": "db1", "ci_class": "server", "environment": "production"},
        {"source_ci": "shop", "target_ci": "db1", "type": "depends_on"},
    ]
    report = book.perform(
        lambda work: configuration.import_rows(work, rows, organisation=book.organisation, source="test")
    )
    assert {each.what for each in report.results} == {"accepted"}, report
    snapshot.forget()
    desk.cis = configuration.resolve(["shop", "db1"])
    values = {"title": "Checkout is slow", "impact": "2", "urgency": "2", "ci": desk.cis["db1"]}
    desk.incident = book.perform(lambda work: incidents.create(work, book.organisation, values))
    yield desk
    people.forget()
    tokens.forget()


@pytest.fixture
def queries() -> Callable[[], Any]:
    """Count the queries of a block: `with queries() as found: …; len(found)`."""
    from django.db import connection
    from django.test.utils import CaptureQueriesContext

    return lambda: CaptureQueriesContext(connection)
