"""Dead letters given up: by API, page and command line, with a reason; never what is not dead."""

from __future__ import annotations

import json
from typing import Any

import pytest
import typer

from isthmus.cli import deliveries
from isthmus.cli.client import Answer, Hub
from isthmus.hub.lanes.models import Delivery
from isthmus.identity import local
from isthmus.ledger.ids import source
from isthmus.ledger.models import SystemEvent


def owed(desk: Any, state: str = "dead", *, connection: str = "snow", kind: str = "once") -> str:
    name = source.new_id()

    def act(work: Any) -> None:
        work.insert(
            Delivery, id=name, organisation=desk.book.organisation, connection=connection, kind=kind, subject=name,
            record_kind="incident", record=desk.incident.id, verb="comment", key=name, payload=b"x", state=state,
            cause="It answered 400.", created_at=work.now, updated_at=work.now,
        )  # fmt: skip

    desk.book.perform(act)
    return name


def state_of(delivery: str) -> str:
    return str(Delivery.objects.get(id=delivery).state)


def post(client: Any, path: str, body: Any) -> Any:
    return client.post(f"/api/v1/deliveries/{path}", json.dumps(body), content_type="application/json")


def test_a_dead_letter_is_given_up_with_a_reason_that_is_journalled(desk: Any) -> None:
    dead = owed(desk)
    answer = post(desk.client("agent"), f"{dead}/discard", {"reason": "The ticket was closed by hand."})
    assert (answer.status_code, answer.json()["state"]) == (200, "dropped")
    row = Delivery.objects.get(id=dead)
    assert (row.state, row.payload) == ("dropped", None)
    event = SystemEvent.objects.get(subject=f"delivery:{dead}")
    assert event.facts["reason"] == "The ticket was closed by hand."
    assert event.facts["cause"] == "It answered 400."
    retried = post(desk.client("agent"), f"{dead}/retry", {})
    assert retried.status_code == 409, "what was given up is not tried again"


@pytest.mark.parametrize("state", ["due", "sending", "waiting", "done", "dropped"])
def test_what_is_not_dead_is_not_given_up(desk: Any, state: str) -> None:
    row = owed(desk, state)
    assert post(desk.client("agent"), f"{row}/discard", {"reason": "x"}).status_code == 409
    assert state_of(row) == state


@pytest.mark.parametrize("reason", ["", "   ", "x" * 501])
def test_without_a_reason_nothing_is_given_up(desk: Any, reason: str) -> None:
    dead = owed(desk)
    assert post(desk.client("agent"), f"{dead}/discard", {"reason": reason}).status_code == 422
    assert state_of(dead) == "dead"


def test_a_viewer_gives_nothing_up(desk: Any) -> None:
    dead, viewer = owed(desk), desk.client("viewer")
    assert post(viewer, f"{dead}/discard", {"reason": "x"}).status_code == 403
    assert post(viewer, "discard", {"ids": [dead], "reason": "x"}).status_code == 403
    assert (
        viewer.post(
            "/deliveries/many", {"id": dead, "do": "discard", "confirmed": "yes", "reason": "x"}
        ).status_code
        == 403
    )
    assert state_of(dead) == "dead"


def test_of_many_each_has_its_own_answer(desk: Any) -> None:
    dead, due = owed(desk), owed(desk, "due")
    items = post(desk.client("agent"), "discard", {"ids": [dead, due, "0" * 26], "reason": "x"}).json()[
        "items"
    ]
    assert [each["status"] for each in items] == [200, 409, 404]
    assert (state_of(dead), state_of(due)) == ("dropped", "due")


def test_the_page_shows_first_what_will_happen_and_does_it_only_then(desk: Any) -> None:
    dead, due, agent = owed(desk), owed(desk, "due"), desk.client("agent")
    chosen = {"id": [dead, due], "do": "discard"}
    preview = agent.post("/deliveries/many", chosen).content.decode()
    assert "What will happen to 1 of 2" in preview
    assert "cannot be taken back" in preview
    assert f'value="{dead}"' in preview
    assert f'value="{due}"' not in preview, "what stays as it is, is not sent along"
    assert state_of(dead) == "dead"
    without = agent.post("/deliveries/many", {**chosen, "confirmed": "yes", "reason": " "}).content.decode()
    assert "Say why" in without
    assert state_of(dead) == "dead"
    done = agent.post("/deliveries/many", {**chosen, "confirmed": "yes", "reason": "by hand"}, follow=True)
    assert done.status_code == 200
    assert (state_of(dead), state_of(due)) == ("dropped", "due")


def test_all_of_a_lane_are_retried_after_a_preview_and_no_other_lane_is(desk: Any) -> None:
    here, there, agent = owed(desk), owed(desk, connection="jira"), desk.client("agent")
    preview = agent.post("/deliveries/many", {"lane": "snow", "do": "retry"}).content.decode()
    assert "Retry 1" in preview
    assert state_of(here) == "dead"
    agent.post("/deliveries/many", {"id": [here], "do": "retry", "confirmed": "yes"})
    assert (state_of(here), state_of(there)) == ("due", "dead")


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


def test_the_command_line_gives_up_one_or_all_and_says_first_what(
    desk: Any, monkeypatch: Any, capsys: Any
) -> None:
    monkeypatch.setattr(Hub, "_choose", staticmethod(lambda: _Desk(desk.client())))
    one, other, elsewhere = owed(desk), owed(desk), owed(desk, connection="jira")

    def discard(
        *ids: str, reason: str = "x", all_dead: bool = False, connection: str = "", dry_run: bool = False
    ) -> None:
        deliveries.deliveries_discard(
            list(ids), reason=reason, all_dead=all_dead, connection=connection, dry_run=dry_run, as_json=False
        )

    discard(all_dead=True, connection="snow", dry_run=True)
    assert "2 of 2 would be given up" in capsys.readouterr().out
    assert state_of(one) == "dead"
    discard(one)
    discard(all_dead=True, connection="snow")
    assert [state_of(each) for each in (one, other, elsewhere)] == ["dropped", "dropped", "dead"]
    with pytest.raises(typer.Exit):
        discard()
    with pytest.raises(typer.Exit):
        discard(one)


def test_records_are_named_to_those_only_who_may_read_them(desk: Any) -> None:
    owed(desk)
    seen = {}
    for more in ((), ("incident:read",)):
        token = desk.token("view:read", "delivery:read", *more)
        client = desk.client(headers={"authorization": f"Bearer {token}"})
        (row,) = client.get("/api/v1/lists/deliveries?columns=record").json()["items"]
        seen[bool(more)] = row["record"]
    assert seen == {False: "Incident", True: desk.incident.number}
