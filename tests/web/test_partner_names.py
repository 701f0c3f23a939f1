"""Partner names from outside: API, page, tokens, other organisations, the command line."""

from __future__ import annotations

import json
from typing import Any

import pytest
import typer

from isthmus.blueprint import running, service
from isthmus.blueprint.source import Source
from isthmus.cli import people as commands
from isthmus.cli.client import Answer, Hub
from isthmus.hub import connections
from isthmus.identity import local, partner_names
from isthmus.identity.models import Person
from isthmus.ledger import reading


@pytest.fixture(autouse=True)
def connected(desk: Any) -> Any:
    elsewhere = desk.book.add_organisation("elsewhere")
    receiver = {"connector": "alertmanager", "config": {"token": {"secret": "env:TOKEN"}}}
    entries = {"snow": receiver, "theirs": {**receiver, "organisation": "elsewhere"}}
    desk.book.perform(lambda work: service.apply(work, Source(sections={"connections": entries})))
    desk.elsewhere = elsewhere
    _forget()
    yield
    _forget()


def _forget() -> None:
    running.forget()
    connections.forget()


def post(client: Any, path: str, body: dict[str, Any], **more: Any) -> Any:
    return client.post(f"/api/v1/people/{path}", json.dumps(body), content_type="application/json", **more)


def known(desk: Any, name: str) -> str:
    return partner_names.find("snow", name, desk.book.organisation).person


def test_an_administrator_gives_a_name_and_takes_it_away(desk: Any) -> None:
    admin, person = desk.client("administrator"), desk.people["approver"]
    given = post(admin, f"{person}/partner-names", {"connection": "snow", "name": "b.jones"})
    assert (given.status_code, given.json()["partner_names"]) == (200, {"snow": "b.jones"})
    assert known(desk, "b.jones") == person
    assert reading.history(person)[-1].actor == desk.people["administrator"]
    listed = {each["id"]: each for each in admin.get("/api/v1/people").json()["items"]}
    assert listed[person]["partner_names"] == {"snow": "b.jones"}
    assert post(admin, f"{person}/partner-names/remove", {"connection": "snow"}).status_code == 200
    assert not known(desk, "b.jones")


def test_a_stale_caller_changes_nothing(desk: Any) -> None:
    admin, person = desk.client("administrator"), desk.people["approver"]
    first = post(admin, f"{person}/partner-names", {"connection": "snow", "name": "b.jones"})
    again = {"If-Match": first["ETag"]}
    assert (
        post(admin, f"{person}/partner-names", {"connection": "snow", "name": "b"}, headers=again).status_code
        == 200
    )
    late = post(admin, f"{person}/partner-names", {"connection": "snow", "name": "c"}, headers=again)
    assert late.status_code == 412
    assert known(desk, "b") == person


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"connection": "nowhere", "name": "b"}, 422),
        ({"connection": "theirs", "name": "b"}, 422),
        ({"connection": "snow", "name": " b"}, 422),
        ({"connection": "snow"}, 422),
    ],
)
def test_what_is_no_name_or_no_connection_of_theirs_is_refused(
    desk: Any, body: dict[str, str], status: int
) -> None:
    person = desk.people["approver"]
    answer = post(desk.client("administrator"), f"{person}/partner-names", body)
    assert answer.status_code == status
    assert len(reading.history(person)) == 1


def test_nobody_else_may_not_even_about_themselves_and_no_token(desk: Any) -> None:
    body = {"connection": "snow", "name": "me.myself"}
    for role in ("approver", "integration_engineer", "auditor", "viewer"):
        assert post(desk.client(role), f"{desk.people['agent']}/partner-names", body).status_code == 403, role
    own = desk.people["administrator"]
    assert post(desk.client("administrator"), f"{own}/partner-names", body).status_code == 403
    bearer = {"Authorization": f"Bearer {desk.token('people:read')}"}
    assert (
        post(desk.client(), f"{desk.people['agent']}/partner-names", body, headers=bearer).status_code == 403
    )
    assert not known(desk, "me.myself")


def test_a_person_of_another_organisation_is_not_found(desk: Any) -> None:
    """An administrator of a part of the installation names nobody above or beside it."""
    desk.add_person("local-head", "administrator", organisation=desk.elsewhere)
    client = desk.client("local-head")
    person = desk.people["approver"]
    assert post(client, f"{person}/partner-names", {"connection": "theirs", "name": "x"}).status_code == 404
    desk.add_person("theirs", organisation=desk.elsewhere)
    own = desk.people["theirs"]
    assert post(client, f"{own}/partner-names", {"connection": "theirs", "name": "x"}).status_code == 200
    assert partner_names.find("theirs", "x", desk.elsewhere).person == own
    assert not partner_names.find("theirs", "x", desk.book.organisation).person


def test_the_page_shows_names_and_gives_and_takes_them_by_plain_forms(desk: Any) -> None:
    admin, person = desk.client("administrator"), desk.people["approver"]
    page = admin.post(f"/people/{person}/name", {"connection": "snow", "name": "b.jones"}, follow=True)
    text = page.content.decode()
    assert "b.jones at snow" in text
    assert "flash-error" not in text
    seen = desk.client("auditor").get("/people").content.decode()
    assert "b.jones at snow" in seen
    assert f"/people/{person}/name" not in seen, "who may not change it sees no form"
    assert "theirs" not in text, "the connection of another organisation is not offered"
    again = admin.post(
        f"/people/{desk.people['agent']}/name", {"connection": "snow", "name": "b.jones"}, follow=True
    )
    assert "Somebody else is called" in again.content.decode()
    admin.post(f"/people/{person}/unname", {"connection": "snow"})
    assert not known(desk, "b.jones")
    assert (
        desk.client("auditor").post(f"/people/{person}/name", {"connection": "snow", "name": "x"}).status_code
        == 403
    )


class _Desk:
    """The way of the command line into this test's hub, as the local operator."""

    def __init__(self, client: Any) -> None:
        self.client = client

    def send(self, method: str, path: str, body: bytes | None, headers: dict[str, str]) -> Answer:
        bearer = {**headers, "Authorization": f"Bearer {local.issue('root')}"}
        answer = self.client.generic(
            method, path, body or b"", content_type="application/json", headers=bearer
        )
        return Answer(
            status=answer.status_code, body=json.loads(answer.content), headers=dict(answer.headers)
        )


def test_the_command_line_names_by_user_name(desk: Any, monkeypatch: Any, capsys: Any) -> None:
    monkeypatch.setattr(Hub, "_choose", staticmethod(lambda: _Desk(desk.client())))
    commands.name("approver", "snow", "b.jones", as_json=False)
    assert known(desk, "b.jones") == desk.people["approver"]
    assert reading.history(desk.people["approver"])[-1].actor == "local:root"
    commands.list_people(as_json=True)
    assert "b.jones" in capsys.readouterr().out
    commands.unname("approver", "snow", as_json=True)
    assert not known(desk, "b.jones")
    for wrong in (("no-such-person", "snow"), ("approver", "nowhere")):
        with pytest.raises((typer.Exit, SystemExit)):
            commands.name(*wrong, "b.jones", as_json=True)
    assert not Person.objects.get(id=desk.people["approver"]).partner_names
