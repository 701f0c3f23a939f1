from __future__ import annotations

import json

import pytest

from isthmus.hub.http import limits
from isthmus.identity.roles import ROLES


def call(desk, method, path, *, token="", body=None, **headers):
    client = desk.client()
    extra = {f"HTTP_{name.upper()}": value for name, value in headers.items()}
    if token:
        extra["HTTP_AUTHORIZATION"] = f"Bearer {token}"
    data = json.dumps(body) if body is not None else ""
    return (
        getattr(client, method)(f"/api/v1{path}", data, content_type="application/json", **extra)
        if method != "get"
        else client.get(f"/api/v1{path}", **extra)
    )


READS = {
    "/systems": "system:read", "/deliveries": "delivery:read", "/deliveries/parked": "delivery:read", "/conflicts": "conflict:read",
    "/links": "link:read", "/journal": "audit:read", "/audit/checkpoints": "audit:read", "/blueprint": "configuration:read",
    "/blueprint/generations": "configuration:read", "/tokens": "token:read", "/people": "people:read", "/incidents": "incident:read",
}  # fmt: skip


@pytest.mark.parametrize("role", sorted(ROLES))
def test_every_resource_answers_whoever_may_read_it_and_refuses_everybody_else(desk, role):
    client = desk.client(role)
    for path, permission in READS.items():
        answer = client.get(f"/api/v1{path}")
        assert answer.status_code == (200 if permission in ROLES[role] else 403), (
            path,
            role,
            answer.content[:500],
        )


def test_without_a_token_every_resource_says_401_as_a_problem(desk):
    for path in READS:
        answer = call(desk, "get", path)
        assert answer.status_code == 401
        assert answer["Content-Type"] == "application/problem+json"
        body = answer.json()
        assert {"type", "title", "status", "detail", "remedy", "errors", "trace"} <= body.keys()
        assert "Bearer" in answer["WWW-Authenticate"]


def test_a_token_may_do_what_its_scopes_say_and_nothing_else(desk):
    token = desk.token("incident:read")
    assert call(desk, "get", "/incidents", token=token).status_code == 200
    assert call(desk, "post", "/incidents", token=token, body={"title": "x"}).status_code == 403
    assert call(desk, "get", "/journal", token=token).status_code == 403


def test_a_token_expires(desk):
    token = desk.token("incident:read", days=1)
    assert call(desk, "get", "/incidents", token=token).status_code == 200
    desk.book.clock.forward(hours=24)
    assert call(desk, "get", "/incidents", token=token).status_code == 401


def test_a_revoked_token_is_refused_within_two_seconds_even_where_it_was_remembered(desk):
    from isthmus.identity import tokens
    from isthmus.identity.models import ServiceAccount

    token = desk.token("incident:read")
    assert call(desk, "get", "/incidents", token=token).status_code == 200
    remembered = dict(tokens._known)
    desk.book.perform(lambda work: tokens.revoke(work, ServiceAccount.objects.get()))
    tokens._known.update(remembered)  # as in another process, which did not see the revocation happen
    desk.book.clock.forward(seconds=2)
    assert call(desk, "get", "/incidents", token=token).status_code == 401


def test_a_made_up_token_is_refused(desk):
    good = desk.token("incident:read")
    for token in (
        "",
        "x",
        "ist_",
        good[:-1] + ("A" if good[-1] != "A" else "B"),
        good.replace("ist_", "abc_"),
        good + "x",
    ):
        assert call(desk, "get", "/incidents", token=token or "nonsense").status_code == 401


def test_issuing_and_revoking_by_the_api(desk):
    client = desk.client("administrator")
    made = client.post(
        "/api/v1/tokens",
        {"name": "pipeline", "scopes": ["gate:check"], "days": 7},
        content_type="application/json",
    )
    assert made.status_code == 201
    token = made.json()["token"]
    assert "token_hash" not in made.json()
    assert call(desk, "get", "/me", token=token).json()["permissions"] == ["gate:check"]
    listed = client.get("/api/v1/tokens").content.decode()
    assert token not in listed
    assert client.post(f"/api/v1/tokens/{made.json()['id']}/revoke").status_code == 200
    assert call(desk, "get", "/me", token=token).status_code == 401


def test_wildcards_and_human_permissions_are_never_scopes(desk):
    client = desk.client("administrator")
    for scope in ("*", "incident:*", "approval:decide", "people:write", "nonsense"):
        answer = client.post(
            "/api/v1/tokens", {"name": "x", "scopes": [scope]}, content_type="application/json"
        )
        assert answer.status_code == 422, scope
        assert answer.json()["errors"][0]["pointer"] == "/body/scopes"


def test_a_session_needs_its_csrf_token_and_a_service_token_does_not(desk):
    client = desk.client("agent", enforce_csrf_checks=True)
    answer = client.post(
        f"/api/v1/incidents/{desk.incident.id}/comments", {"body": "x"}, content_type="application/json"
    )
    assert answer.status_code == 403
    token = desk.token("incident:write", "incident:read")
    answer = call(desk, "post", f"/incidents/{desk.incident.id}/comments", token=token, body={"body": "x"})
    assert answer.status_code in {200, 201}, answer.content


def test_the_same_key_repeats_the_answer_and_another_body_is_refused(desk):
    token = desk.token("incident:write", "incident:read")
    given = {"title": "Printer on fire", "impact": "3", "urgency": "3"}
    first = call(desk, "post", "/incidents", token=token, body=given, idempotency_key="k-1")
    again = call(desk, "post", "/incidents", token=token, body=given, idempotency_key="k-1")
    assert first.status_code == again.status_code == 201, first.content
    assert first.json() == again.json()
    other = call(
        desk, "post", "/incidents", token=token, body={**given, "title": "Other"}, idempotency_key="k-1"
    )
    assert other.status_code == 409
    titles = [each["title"] for each in call(desk, "get", "/incidents", token=token).json()["items"]]
    assert titles.count("Printer on fire") == 1
    assert "Other" not in titles


def test_another_version_than_the_current_one_is_refused(desk):
    token = desk.token("incident:write", "incident:read")
    path = f"/incidents/{desk.incident.id}"
    found = call(desk, "get", path, token=token)
    mark = found["ETag"]
    changed = call(desk, "patch", path, token=token, body={"category": "db"}, if_match=mark)
    assert changed.status_code == 200, changed.content
    stale = call(desk, "patch", path, token=token, body={"category": "net"}, if_match=mark)
    assert stale.status_code == 412
    assert call(desk, "get", path, token=token).json()["category"] == "db"


def test_pages_are_followed_by_the_link_header(desk):
    token = desk.token("people:read")
    path, seen = "/people?limit=3", []
    for _ in range(10):
        answer = call(desk, "get", path, token=token)
        seen += [each["id"] for each in answer.json()["items"]]
        if "Link" not in answer:
            break
        path = answer["Link"].split(">")[0].split("/api/v1")[1]
    assert len(seen) == len(set(seen)) == len(ROLES) + 1


def test_a_wrong_cursor_limit_or_path_is_a_problem_with_a_pointer(desk):
    token = desk.token("people:read")
    assert (
        call(desk, "get", "/people?cursor=%21%21", token=token).json()["errors"][0]["pointer"]
        == "/query/cursor"
    )
    assert call(desk, "get", "/people?limit=0", token=token).status_code == 422
    answer = call(desk, "get", "/nowhere", token=token)
    assert answer.status_code == 404
    assert answer["Content-Type"] == "application/problem+json"


def test_a_body_that_does_not_fit_names_the_place(desk):
    client = desk.client("administrator")
    answer = client.post("/api/v1/tokens", {"scopes": "x"}, content_type="application/json")
    assert answer.status_code == 422
    assert {each["pointer"] for each in answer.json()["errors"]} >= {"/body/name"}
    broken = client.post("/api/v1/tokens", "{", content_type="application/json")
    assert broken.status_code in {400, 422}
    assert broken["Content-Type"] == "application/problem+json"


def test_a_caller_that_calls_too_often_is_told_when_to_come_back(desk):
    token = desk.token("people:read")
    answer = call(desk, "get", "/people", token=token)
    assert int(answer["RateLimit-Remaining"]) < int(answer["RateLimit-Limit"])
    limits.limiter.__init__(burst=2, per_second=1)
    codes = [call(desk, "get", "/people", token=token).status_code for _ in range(4)]
    assert 429 in codes
    last = call(desk, "get", "/people", token=token)
    assert int(last["Retry-After"]) >= 1
    limits.limiter.__init__()


def test_another_organisations_records_are_not_found(desk):
    other = desk.book.add_organisation("Other")
    token = desk.token("incident:read", "trace:read", organisation=other)
    assert call(desk, "get", f"/incidents/{desk.incident.id}", token=token).status_code == 404
    assert call(desk, "get", f"/traces/{desk.incident.id}", token=token).status_code == 404
    assert call(desk, "get", "/incidents", token=token).json()["items"] == []


def test_the_trace_of_a_number_holds_every_version(desk):
    token = desk.token("trace:read")
    story = call(desk, "get", f"/traces/{desk.incident.number}", token=token).json()
    assert story["complete"] is True
    versions = [each["version"] for each in story["entries"] if each["record"] == desk.incident.id]
    assert versions == list(range(1, desk.incident.version + 1))


def test_the_openapi_document_is_published_and_names_every_resource(desk):
    answer = desk.client().get("/api/v1/openapi.json")
    assert answer.status_code == 200
    assert answer.json()["openapi"].startswith("3.1")
    assert {f"/api/v1{path}" for path in READS} <= set(answer.json()["paths"])
