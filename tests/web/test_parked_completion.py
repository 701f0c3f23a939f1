"""Completing a parked mail by page, API and command; trying a sample. Only who may, only of their own organisation."""

import json

import pytest

from isthmus.blueprint import running
from isthmus.blueprint import service as blueprints
from isthmus.blueprint.source import Source
from isthmus.connectors.mail.simulator import MailSimulator
from isthmus.hub import connections
from isthmus.hub.intake import shared
from isthmus.hub.intake.message import WEBHOOK, Draft
from isthmus.hub.models import Due, ParkedMessage
from isthmus.hub.pump import parking
from isthmus.hub.pump.pump import Pump
from isthmus.ledger.ids import source

WHOLE = "Title: Checkout is slow\nImpact: high\nUrgency: 1"


@pytest.fixture
def parked(desk, monkeypatch):
    mail = MailSimulator()
    monkeypatch.setenv("MAIL_TOKEN", mail.secret)
    sections = {"connections": {"desk": {"connector": "mail", "config": mail.config("")}}}
    desk.book.perform(lambda work: blueprints.apply(work, Source(sections=sections)))
    running.forget()
    connections.forget()
    raw = mail.write("Help", WHOLE.replace("Impact: high\n", "<b>Zürich</b> is down\n"))
    draft = Draft(
        id=source.new_id(), trace=source.new_trace(), received_at=source.now(), door=WEBHOOK,
        connector="mail@1.0.0", headers=[], body=raw,
    )  # fmt: skip
    shared.log().append("desk", [draft])
    pump = Pump(shared.log())
    while pump.round():
        pass
    yield ParkedMessage.objects.get(state="parked")
    running.forget()
    connections.forget()


def asked():
    return [each.subject for each in Due.objects.filter(what=parking.REDRIVE)]


def test_the_page_shows_the_message_as_it_came_and_asks_for_what_it_does_not_say(desk, parked):
    client = desk.client("agent")
    assert f"/deliveries/parked/{parked.id}" in client.get("/deliveries?lane=parked").content.decode()
    text = client.get(f"/deliveries/parked/{parked.id}").content.decode()
    assert "&lt;b&gt;Z" in text
    assert "<b>Z" not in text
    assert 'name="impact"' in text
    assert "(missing)" in text
    assert desk.client("viewer").get(f"/deliveries/parked/{parked.id}").status_code == 403
    desk.add_person("stranger", "agent", organisation=desk.book.add_organisation("Other"))
    assert desk.client("stranger").get(f"/deliveries/parked/{parked.id}").status_code == 404


def test_what_a_person_gives_is_checked_and_then_taken_up(desk, parked):
    client, path = desk.client("agent"), f"/deliveries/parked/{parked.id}/complete"
    for wrong in ({}, {"impact": "gigantic"}):
        client.post(path, wrong)
        assert asked() == []
    assert desk.client("viewer").post(path, {"impact": "2"}).status_code == 403
    client.post(path, {"impact": "2"})
    assert asked() == [parked.id]


def test_the_api_shows_and_completes(desk, parked):
    call = {"content_type": "application/json"}
    reader = f"Bearer {desk.token('delivery:read')}"
    writer = f"Bearer {desk.token('delivery:read', 'delivery:retry')}"
    base = f"/api/v1/deliveries/parked/{parked.id}"
    shown = desk.client().get(f"{base}/message", HTTP_AUTHORIZATION=writer).json()
    assert "Title: Checkout is slow" in shown["text"]
    assert [each["name"] for each in shown["fields"] if each["missing"]] == ["impact"]
    assert desk.client().get(f"{base}/message", HTTP_AUTHORIZATION=reader).status_code == 403
    wrong = desk.client().post(
        f"{base}/complete", json.dumps({"values": {"state": "closed"}}), HTTP_AUTHORIZATION=writer, **call
    )
    assert wrong.status_code == 422
    assert wrong.json()["errors"][0]["pointer"] == "/values/state"
    done = desk.client().post(
        f"{base}/complete", json.dumps({"values": {"impact": "2"}}), HTTP_AUTHORIZATION=writer, **call
    )
    assert done.status_code == 202
    assert asked() == [parked.id]


def test_a_sample_is_read_without_any_effect(desk, parked):
    call = {
        "content_type": "application/json",
        "HTTP_AUTHORIZATION": f"Bearer {desk.token('system:read', 'system:write')}",
    }
    before = shared.log().durable("desk")

    def tried(body, **more):
        return desk.client().post("/api/v1/systems/desk/try", json.dumps({"body": body, **more}), **call)

    whole = MailSimulator().write("Help", WHOLE).decode()
    found = tried(whole)
    assert found.json()["items"][0]["values"]["title"] == "Checkout is slow"
    assert tried("no mail").status_code == 422
    assert tried("!", base64=True).status_code == 422
    assert shared.log().durable("desk") == before
    reader = {**call, "HTTP_AUTHORIZATION": f"Bearer {desk.token('system:read')}"}
    assert (
        desk.client().post("/api/v1/systems/desk/try", json.dumps({"body": whole}), **reader).status_code
        == 403
    )
