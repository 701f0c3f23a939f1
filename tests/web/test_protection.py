from __future__ import annotations

import re

from isthmus.identity.models import RoleGrant, ServiceAccount
from isthmus.identity.roles import ROLES
from isthmus.web.console.menu import SCREENS


def test_every_page_carries_the_strict_policy(desk):
    answer = desk.client("viewer").get("/")
    policy = answer["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert "frame-ancestors 'none'" in policy
    assert answer["X-Content-Type-Options"] == "nosniff"
    assert "no-store" in answer["Cache-Control"]


def test_no_page_needs_an_inline_script_or_style(desk):
    client = desk.client("administrator")
    paths = [each.path for each in SCREENS] + [
        f"/incidents/{desk.incident.id}",
        f"/map/{desk.cis['db1']}",
        "/accounts/login/",
    ]
    for path in paths:
        text = client.get(path).content.decode()
        assert not re.search(r"<script(?![^>]*\bsrc=)[^>]*>", text), path
        assert not re.search(r"\sstyle=|<style|\son[a-z]+=\"", text), path


def test_a_form_without_its_token_changes_nothing(desk):
    client = desk.client("agent", enforce_csrf_checks=True)
    answer = client.post(f"/incidents/{desk.incident.id}/comment", {"body": "hello"})
    assert answer.status_code == 403
    assert b"hello" not in client.get(f"/incidents/{desk.incident.id}").content


def test_every_post_route_is_refused_without_its_permission(desk):
    client = desk.client("viewer")
    incident = desk.incident.id
    posts = [
        f"/incidents/{incident}/comment", f"/incidents/{incident}/change", f"/incidents/{incident}/resolve",
        "/incidents/many", "/audit/verify", "/audit/download", "/configuration/apply", "/people/add", "/tokens/issue",
        "/systems/x/pause", "/systems/x/resume", "/systems/x/probe", "/conflicts/x/decide",
        "/incidents/many/undo", f"/incidents/{incident}/major", f"/incidents/{incident}/stand-down",
        f"/incidents/{incident}/collision-check", "/suspects/x/judge", "/links/add", "/links/x/unlink", "/links/x/compare", "/links/x/insist",
        "/changes/freezes", "/changes/freezes/x/lift", "/deliveries/parked/x/retry", "/deliveries/parked/x/dismiss",
    ]  # fmt: skip
    for path in posts:
        assert client.post(path).status_code == 403, path


def test_get_never_acts(desk):
    client = desk.client("administrator")
    for path in (f"/incidents/{desk.incident.id}/comment", "/audit/verify", "/tokens/issue", "/people/add"):
        assert client.get(path).status_code == 405, path


def test_an_administrator_without_a_second_factor_reaches_only_its_set_up(desk):
    client = desk.client()
    desk.sign_in(client, "administrator", second_factor=False)
    answer = client.get("/people")
    assert answer.status_code == 302
    assert answer["Location"] == "/accounts/2fa/totp/activate/"
    assert client.get("/api/v1/me").status_code == 401
    for role in set(ROLES) - {"administrator"}:
        desk.sign_in(client, role, second_factor=False)
        assert client.get("/").status_code == 200


def test_a_form_cannot_send_the_reader_elsewhere(desk):
    client = desk.client("agent")
    answer = client.post(
        f"/incidents/{desk.incident.id}/comment", {"body": "x", "next": "https://evil.example/"}
    )
    assert answer.status_code == 303
    assert answer["Location"] == f"/incidents/{desk.incident.id}"


def test_a_trace_shows_people_accounts_and_the_blueprint_only_to_who_may_see_them(desk):
    desk.token("incident:read")
    account = ServiceAccount.objects.get().id
    person = desk.people["agent"]
    grant = RoleGrant.objects.filter(holder=person).first()
    for wanted in (person, account, grant.id, grant.trace):
        assert desk.client("viewer").get(f"/trace/{wanted}").status_code == 404
        assert desk.client("viewer").get(f"/trace/{wanted}?format=json").status_code == 404
        assert desk.client("viewer").get(f"/api/v1/traces/{wanted}").status_code == 404
        assert desk.client("auditor").get(f"/trace/{wanted}").status_code == 200
    assert desk.client("viewer").get(f"/trace/{desk.incident.id}").status_code == 200
