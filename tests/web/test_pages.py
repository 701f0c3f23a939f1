from __future__ import annotations

import pytest

from isthmus.identity.roles import ROLES
from isthmus.web.console.menu import SCREENS


@pytest.mark.parametrize("role", sorted(ROLES))
def test_every_screen_opens_for_whoever_may_see_it_and_for_nobody_else(desk, role):
    client = desk.client(role)
    for screen in SCREENS:
        answer = client.get(screen.path)
        expected = 200 if screen.permission in ROLES[role] else 403
        assert answer.status_code == expected, (screen.path, role, answer.content[:2000])


def test_a_person_without_a_role_sees_no_screen(desk):
    client = desk.client("nobody")
    for screen in SCREENS:
        assert client.get(screen.path).status_code == 403


def test_whoever_is_not_signed_in_is_sent_to_the_sign_in_page(desk):
    for screen in SCREENS:
        answer = desk.client().get(screen.path)
        assert answer.status_code == 302
        assert answer["Location"].startswith("/accounts/login/")


def test_records_of_another_organisation_do_not_exist_for_a_reader(desk):
    other = desk.book.add_organisation("Other")
    desk.add_person("stranger", "agent", organisation=other)
    client = desk.client("stranger")
    assert client.get(f"/incidents/{desk.incident.id}").status_code == 404
    assert client.get(f"/trace/{desk.incident.id}").status_code == 404
    assert b"Checkout is slow" not in client.get("/incidents?state=any").content
    assert desk.client("agent").get(f"/incidents/{desk.incident.id}").status_code == 200


def test_pages_of_records_render(desk):
    client = desk.client("administrator")
    for path in (
        f"/incidents/{desk.incident.id}",
        f"/map/{desk.cis['db1']}",
        f"/trace/{desk.incident.number}",
        "/changes/calendar",
        "/changes/gate",
        "/changes/new",
    ):
        answer = client.get(path)
        assert answer.status_code == 200, (path, answer.content[:3000])


def test_an_unknown_page_says_so_in_words(desk):
    answer = desk.client("viewer").get("/nowhere")
    assert answer.status_code == 404
    assert b"no such page" in answer.content


def test_a_refused_page_names_the_permission_and_nothing_else(desk):
    answer = desk.client("viewer").get("/audit")
    assert answer.status_code == 403
    assert b"audit:read" in answer.content
