"""A held connection on the page, over the API and on the command line: in sight, and released by a person."""

from __future__ import annotations

import json
from typing import Any

import pytest

from isthmus.blueprint import running, service
from isthmus.blueprint.source import Source
from isthmus.cli import systems
from isthmus.cli.client import Answer, Hub
from isthmus.hub import connections, health
from isthmus.hub.models import ConnectionState
from isthmus.hub.sync import vanishing
from isthmus.identity import local
from isthmus.ledger.models import SystemEvent


@pytest.fixture(autouse=True)
def held(desk: Any) -> Any:
    entry = {
        "connector": "roundup",
        "config": {"url": "http://127.0.0.1:9", "username": "x", "password": {"secret": "env:X"}},
    }
    desk.book.perform(lambda work: service.apply(work, Source(sections={"connections": {"desk": entry}})))
    _forget()

    def hold(work: Any) -> None:
        connection = connections.get("desk")
        vanishing._hold(work, connection, health.state_of(connection.organisation, "desk"), 9, 10)

    desk.book.perform(hold)
    yield
    _forget()


def _forget() -> None:
    running.forget()
    connections.forget()


def state() -> ConnectionState:
    return ConnectionState.objects.get(connection="desk")


def post(client: Any, action: str, body: Any) -> Any:
    path = f"/api/v1/systems/desk/{action}"
    return client.post(path, json.dumps(body), content_type="application/json")


def test_the_card_says_what_happened_and_what_helps(desk: Any) -> None:
    text = desk.client("integration_engineer").get("/systems").content.decode()
    assert "many objects vanished" in text
    assert "9 of 10 linked objects were gone within an hour" in text
    assert "Check at the partner whether our account still sees these objects" in text
    assert "They are really gone" in text
    assert "They are really gone" not in desk.client("viewer").get("/systems").content.decode()
    shown = desk.client("viewer").get("/api/v1/systems/desk").json()
    assert shown["vanished_held_at"]
    assert shown["paused"]


def test_confirming_needs_a_reason_and_the_right_and_happens_once(desk: Any) -> None:
    engineer = desk.client("integration_engineer")
    assert post(desk.client("agent"), "confirm-gone", {"reason": "x"}).status_code == 403
    assert post(engineer, "confirm-gone", {"reason": " "}).status_code == 422
    assert state().vanished_held_at
    assert post(engineer, "confirm-gone", {"reason": "Their archive ran."}).status_code == 200
    assert (state().vanished_held_at, state().paused) == (None, False)
    assert state().vanished_accepted_until > desk.book.clock.now()
    facts = [each.facts for each in SystemEvent.objects.filter(subject="connection:desk")]
    assert any(each.get("reason") == "Their archive ran." for each in facts)
    assert post(engineer, "confirm-gone", {"reason": "again"}).status_code == 409


def test_resuming_looks_again_and_believes_nothing_yet(desk: Any) -> None:
    assert post(desk.client("integration_engineer"), "resume", {}).status_code == 200
    assert (state().vanished_held_at, state().paused, state().vanished_accepted_until) == (None, False, 0)


def test_the_page_confirms_by_a_plain_form(desk: Any) -> None:
    assert desk.client("agent").post("/systems/desk/confirm-gone", {"reason": "x"}).status_code == 403
    page = desk.client("integration_engineer").post(
        "/systems/desk/confirm-gone", {"reason": "Moved."}, follow=True
    )
    assert "counts as deleted for an hour" in page.content.decode()
    assert state().vanished_held_at is None


class _Desk:
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


def test_the_command_line_confirms(desk: Any, monkeypatch: Any) -> None:
    monkeypatch.setattr(Hub, "_choose", staticmethod(lambda: _Desk(desk.client())))
    systems.systems_confirm_gone("desk", reason="Moved.", as_json=False)
    assert state().vanished_held_at is None
