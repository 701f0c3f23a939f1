"""The same story over HTTP: map, change, approval, gate; each right with its twin."""

from __future__ import annotations

import json

import pytest
from django.test import Client, override_settings

from isthmus.hub.http import limits
from isthmus.identity import people, tokens
from isthmus.identity.models import User
from isthmus.kernel.instant import HOUR, to_rfc3339
from isthmus.practices.approval.models import Approval
from isthmus.practices.change.models import GateDecision


class Api:
    def __init__(self, client, **headers):
        self.client, self.headers = client, headers

    def call(self, method, path, body=None, expect=None, **headers):
        answer = self.client.generic(
            method,
            f"/api/v1{path}",
            json.dumps(body) if body is not None else "",
            content_type="application/json",
            headers={**self.headers, **headers},
        )
        if expect is not None:
            assert answer.status_code == expect, answer.content
        return answer

    def get(self, path, expect=200):
        return self.call("GET", path, expect=expect).json()

    def post(self, path, body=None, expect=200, **headers):
        return self.call("POST", path, body or {}, expect=expect, **headers).json()


@pytest.fixture
def doors(world, monkeypatch):
    """Signed-in people and a pipeline's token."""
    people.forget()
    # Sign-in is forced here: a slow password hash would only cost time.
    with override_settings(PASSWORD_HASHERS=["django.contrib.auth.hashers.MD5PasswordHasher"]):
        yield _doors(world, monkeypatch)
    people.forget()


def _doors(world, monkeypatch):
    monkeypatch.setattr(limits, "limiter", limits.Limiter())
    book = world.book
    found = {}
    for name, roles in {
        "mia": ("change_manager", "integration_engineer", "approver"),
        "ben": ("approver",),
        "vic": ("viewer",),
    }.items():
        person = book.perform(
            lambda work, name=name, roles=roles: people.create_user(
                work,
                organisation=book.organisation,
                username=name,
                password="correct horse battery",
                roles=roles,
            )
        )
        client = Client(SERVER_NAME="localhost")
        client.force_login(
            User.objects.get(person=person.id), backend="django.contrib.auth.backends.ModelBackend"
        )
        found[name] = Api(client)
    token = book.perform(
        lambda work: tokens.issue(
            work, organisation=book.organisation, name="pipeline", scopes=["gate:check"], days=1
        )[1],
        actor=book.actor("administrator"),
    )
    found["pipeline"] = Api(Client(SERVER_NAME="localhost"), authorization=f"Bearer {token}")
    return found


def change_body(world, **more):
    return {
        "title": "Release 7", "cis": ["web-1"], "environment": "production", "artefact_hash": "sha256:7", "implementation_plan": "do",
        "backout_plan": "undo", "window_start": to_rfc3339(world.now), "window_end": to_rfc3339(world.now + 4 * HOUR), **more,
    }  # fmt: skip


def test_map_change_approval_and_gate_over_http(world, doors):
    mia, ben, pipeline = doors["mia"], doors["ben"], doors["pipeline"]
    report = mia.post("/cis/import", {"rows": [
        {"kind": "ci", "name": "web-1", "ci_class": "server", "addresses": ["10.0.0.1"]},
        {"kind": "ci_relation", "source_ci": "Shop", "target_ci": "web-1"},
        {"kind": "ci_relation", "source_ci": "web-1", "target_ci": "nowhere"},
        {"kind": "ci", "name": "odd", "ci_class": "sever"},
    ]})  # fmt: skip
    assert (report["accepted"], report["parked"], report["rejected"]) == (2, 1, 1)
    assert report["rows"][3]["errors"][0]["pointer"] == "/ci_class"
    assert [each["hint"] for each in mia.get("/cmdb-gaps?state=open")["items"]] == ["nowhere"]
    assert [each["name"] for each in mia.post("/impact", {"cis": ["web-1"]})["services"]] == ["Shop"]
    assert mia.post("/cis/bind", {"hints": {"instance": "10.0.0.1:9100"}})["how"] == "address"
    graph = mia.get("/graph?ci=web-1&hops=1")
    assert {each["name"] for each in graph["nodes"]} == {"web-1", "Shop"}
    change = mia.post("/changes", change_body(world), expect=201)
    number = change["number"]
    question = {"change": number, "environment": "production", "artefact_hash": "sha256:7", "cis": ["web-1"]}
    assert pipeline.post("/gate/check", question)["decision"] == "wait"
    mia.post(f"/changes/{number}/submit")
    mia.post(f"/changes/{number}/request-approval")
    asked = pipeline.post("/gate/requests", question, expect=202)
    assert asked["token"]
    assert "token" not in pipeline.get(f"/gate/requests/{asked['token']}")
    approval = mia.get(f"/approvals?subject={change['id']}")["items"][0]
    ben.post(f"/approvals/{approval['id']}/decision", {"verdict": "approved", "comment": "go"})
    told = pipeline.post("/gate/check", question)
    assert (told["decision"], told["reasons"][-1]["rule"]) == ("allow", "gate.open")
    mia.post(
        "/freezes",
        {"name": "Sale", "starts_at": to_rfc3339(world.now - HOUR), "ends_at": to_rfc3339(world.now + HOUR)},
        expect=201,
    )
    told = pipeline.post("/gate/check", question)
    assert told["decision"] == "deny"
    assert "Sale" in told["reasons"][0]["text"]
    calendar = mia.get(
        f"/change-calendar?since={to_rfc3339(world.now - HOUR)}&until={to_rfc3339(world.now + HOUR)}"
    )
    assert {each["name"] for each in calendar["items"]} == {number, "Sale"}
    assert len(mia.get("/gate/decisions")["items"]) == GateDecision.objects.count() == 4


def test_self_approval_is_403_through_every_door_and_on_record(world, doors):
    mia = doors["mia"]
    mia.post("/cis", {"name": "web-1", "ci_class": "server"}, expect=201)
    change = mia.post("/changes", change_body(world), expect=201)
    mia.post(f"/changes/{change['id']}/submit")
    mia.post(f"/changes/{change['id']}/request-approval")
    approval = Approval.objects.get()
    mia.post(f"/approvals/{approval.id}/decision", {"verdict": "approved"}, expect=403)
    mia.post(f"/changes/{change['id']}/approve", {"comment": "me"}, expect=403)
    doors["vic"].post(f"/changes/{change['id']}/approve", expect=403)
    doors["pipeline"].post(f"/approvals/{approval.id}/decision", {"verdict": "approved"}, expect=403)
    found = Approval.objects.get()
    assert (found.state, found.version) == ("awaiting", 5), "four attempts, four entries"


@pytest.mark.parametrize(
    ("who", "method", "path", "body", "status"),
    [
        ("vic", "POST", "/changes", {"title": "x"}, 403),
        ("vic", "POST", "/cis", {"name": "x", "ci_class": "server"}, 403),
        (
            "vic",
            "POST",
            "/freezes",
            {"name": "x", "starts_at": "2026-01-01T00:00:00Z", "ends_at": "2026-01-02T00:00:00Z"},
            403,
        ),
        ("vic", "POST", "/gate/check", {"change": "CHG-000001"}, 403),
        ("pipeline", "GET", "/changes", None, 403),
        ("mia", "POST", "/changes", {"title": "x", "window_start": "yesterday"}, 422),
        ("mia", "POST", "/changes", {"title": ""}, 422),
        ("mia", "POST", "/changes", {}, 422),
        ("mia", "GET", "/changes/CHG-000404", None, 404),
        ("mia", "POST", "/changes/CHG-000404/submit", {}, 404),
        (
            "mia",
            "POST",
            "/freezes",
            {"name": "x", "starts_at": "2026-01-02T00:00:00Z", "ends_at": "2026-01-01T00:00:00Z"},
            422,
        ),
        ("mia", "POST", "/cis", {"name": "x", "ci_class": "spaceship"}, 422),
        ("mia", "GET", "/graph?ci=leaf&hops=99", None, 422),
        ("vic", "GET", "/gate/requests/made-up", None, 403),
        ("pipeline", "GET", "/gate/requests/made-up", None, 404),
    ],
)
def test_what_is_wrong_or_not_allowed_says_so_and_does_nothing(doors, who, method, path, body, status):
    answer = doors[who].call(method, path, body)
    assert answer.status_code == status, answer.content
    assert answer.headers["Content-Type"] == "application/problem+json"


def test_a_stale_version_is_412_and_the_same_key_acts_once(world, doors):
    mia = doors["mia"]
    first = mia.call("POST", "/changes", change_body(world, cis=["leaf"]), **{"Idempotency-Key": "k1"})
    again = mia.call(
        "POST",
        "/changes",
        change_body(world, cis=["leaf"]) | {"window_start": first.json()["window_start"]},
        **{"Idempotency-Key": "k1"},
    )
    assert first.status_code == 201
    assert again.status_code in {201, 409}
    change = first.json()
    mia.call(
        "PATCH",
        f"/changes/{change['id']}",
        {"title": "Better"},
        expect=200,
        **{"If-Match": first.headers["ETag"]},
    )
    mia.call(
        "PATCH",
        f"/changes/{change['id']}",
        {"title": "Worse"},
        expect=412,
        **{"If-Match": first.headers["ETag"]},
    )
