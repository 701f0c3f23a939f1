"""The second person of a blueprint, from outside: API, console page, tokens, command line."""

from __future__ import annotations

import json
from typing import Any

import pytest

from isthmus.blueprint import running
from isthmus.blueprint.models import BlueprintApproval

FIRST = {"change": {"outdated_by": "path"}}
AUTHORITIES = {"change": {"outdated_by": "path", "authorities": [{"name": "Board", "approvals": 2}]}}


@pytest.fixture(autouse=True)
def fresh() -> Any:
    running.forget()
    yield
    running.forget()


def post(client: Any, path: str, body: dict[str, Any], **more: Any) -> Any:
    return client.post(f"/api/v1{path}", json.dumps(body), content_type="application/json", **more)


def first(desk: Any) -> Any:
    engineer = desk.client("integration_engineer")
    assert post(engineer, "/blueprint/apply", {"sections": FIRST}).status_code == 200
    running.forget()
    return engineer


def test_one_applies_what_another_has_agreed_to(desk: Any) -> None:
    engineer, approver = first(desk), desk.client("approver")
    refused = post(engineer, "/blueprint/apply", {"sections": AUTHORITIES, "approved_by": "person-approver"})
    assert refused.status_code == 403, "a name that somebody types is no approval"
    planned = post(approver, "/blueprint/plan", {"sections": AUTHORITIES}).json()
    assert planned["high_tier"] == ["change/authorities"]
    assert planned["content_hash"] in refused.json()["remedy"]
    assert (
        post(engineer, "/blueprint/approvals", {"content_hash": planned["content_hash"]}).status_code == 403
    )
    given = post(approver, "/blueprint/approvals", {"content_hash": planned["content_hash"]})
    assert given.status_code == 201
    assert given.json()["approver"] == desk.people["approver"]
    applied = post(engineer, "/blueprint/apply", {"sections": AUTHORITIES})
    assert (applied.status_code, applied.json()["sequence"]) == (200, 2)


def test_no_token_agrees(desk: Any) -> None:
    token = desk.token("configuration:read", "configuration:write")
    answer = post(
        desk.client(),
        "/blueprint/approvals",
        {"content_hash": "0" * 64},
        headers={"Authorization": f"Bearer {token}"},
    )
    assert answer.status_code == 403
    assert not BlueprintApproval.objects.exists()


def test_the_console_shows_the_hash_and_takes_the_consent(desk: Any) -> None:
    engineer, approver = first(desk), desk.client("approver")
    text = json.dumps(AUTHORITIES)  # JSON is YAML
    shown = approver.post("/configuration/plan", {"text": text}).content.decode()
    planned = post(approver, "/blueprint/plan", {"sections": AUTHORITIES}).json()
    assert planned["content_hash"] in shown
    assert "/configuration/approve" in shown
    assert (
        "/configuration/approve" not in engineer.post("/configuration/plan", {"text": text}).content.decode()
    )
    approver.post("/configuration/approve", {"content_hash": planned["content_hash"]})
    assert BlueprintApproval.objects.get().approver == desk.people["approver"]
    engineer.post("/configuration/apply", {"text": text, "expected": "1"})
    running.forget()
    assert running.current(fresh=True).generation == 2
