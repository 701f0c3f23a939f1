"""What users rely on: rotation, the hub's own incidents, effects that happen once, a poll without gaps."""

import json
from pathlib import Path

import pytest

from isthmus.connectors.kit import registry
from isthmus.connectors.kit.conformance.playing import NOWHERE, Play, poll
from isthmus.connectors.kit.conformance.world import NOW
from isthmus.kernel.errors import NeedsOperator, NotFound, Rejected

FOLDER = Path(__file__).parents[1]
INSTALLED = registry.at(FOLDER)
SOURCE = INSTALLED.connector.source


PLAY = Play(INSTALLED, "pagerduty-eu")
context, play = PLAY.context, PLAY.play


def body(name):
    return (FOLDER / "fixtures" / "accepted" / f"{name}.json").read_bytes()


def effect(client, verb, alert, key="k-1", **more):
    return getattr(client, verb)(
        alert=alert, labels={}, by="Alice", **{"comment": "on it", **more}, idempotency_key=key
    )


def test_any_of_the_signatures_of_a_rotation_lets_in_and_none_of_them_does_not():
    simulator = INSTALLED.connector.simulator()
    here, sent = context(NOWHERE, simulator), body("incident_triggered")
    headers = {name.lower(): value for name, value in simulator.sign(sent).items()}
    assert headers["x-pagerduty-signature"].count("v1=") == 2
    assert SOURCE.authenticate(headers, sent, here, NOW) is None
    assert SOURCE.authenticate(headers, sent + b" ", here, NOW).status == 401
    rotated = context(secrets={"secret": "the new one", "previous_secret": simulator.webhook_secret})
    assert SOURCE.authenticate(headers, sent, rotated, NOW) is None
    gone = context(secrets={"secret": "the new one"})
    assert SOURCE.authenticate(headers, sent, gone, NOW).reason == "wrong"


def test_a_redelivery_is_the_same_event_and_the_next_change_is_another():
    sent = json.loads(body("incident_acknowledged_by_a_person"))
    first = SOURCE.parse(json.dumps(sent).encode(), {}, context())[0]
    sent["event"]["id"] = "another-delivery-of-the-same"
    assert SOURCE.parse(json.dumps(sent).encode(), {}, context())[0].event_id == first.event_id
    sent["event"]["occurred_at"] = "2026-11-20T15:10:00Z"
    assert SOURCE.parse(json.dumps(sent).encode(), {}, context())[0].event_id != first.event_id


def test_the_partners_acknowledgement_travels_inward_and_ends_with_the_incident():
    held = SOURCE.parse(body("incident_acknowledged_by_a_person"), {}, context())[0].values
    assert (held["acknowledged"], held["acknowledged_by"]) == (True, "Tenex Engineer")
    assert SOURCE.parse(body("incident_triggered"), {}, context())[0].values["acknowledged"] is False
    assert "acknowledged" not in SOURCE.parse(body("incident_resolved"), {}, context())[0].values


def test_an_incident_that_the_hub_raised_is_not_an_alert_and_another_prefix_is():
    assert SOURCE.parse(body("own_incident_is_not_taken"), {}, context()) == []
    assert len(SOURCE.parse(body("own_incident_is_not_taken"), {}, context(own_key_prefix="other/"))) == 1


def test_a_priority_in_the_table_goes_before_the_urgency():
    found = SOURCE.parse(
        body("priority_updated_while_acknowledged"), {}, context(urgencies={"P1": "error", "high": "warning"})
    )
    assert found[0].values["severity"] == "error"
    assert SOURCE.parse(body("urgency_nobody_declared"), {}, context())[0].unknown == {"severity": "severe"}


def test_webhook_and_poll_name_the_same_event():
    async def act(simulator, client):
        _, watermark = await poll(client)
        name = simulator.trigger("Checkout is slow")
        simulator.turn(name, "acknowledged", "Alice")
        found, watermark = await poll(client, watermark)
        sent = [json.dumps(each.payload).encode() for each in simulator.outbox.pending]
        told = [SOURCE.parse(each, {}, context())[0] for each in sent]
        simulator.turn(name, "resolved", "Alice")
        ended, _ = await poll(client, watermark)
        return told, found, ended

    told, found, ended = play(act)
    assert [each.event_id for each in found] == [told[-1].event_id]
    assert found[0].values["acknowledged_by"] == "Alice"
    assert ended[-1].values["state"] == "resolved"


@pytest.mark.parametrize(("verb", "status"), [("acknowledge", "acknowledged"), ("resolve", "resolved")])
def test_an_effect_happens_once_in_the_name_of_the_configured_user(verb, status):
    async def act(simulator, client):
        name = simulator.trigger("Checkout is slow")
        for _ in range(2):
            written = await effect(client, verb, name)
        return simulator, written

    simulator, written = play(act)
    writes = [(each.method, each.path.rpartition("/")[2]) for each in simulator.writes()]
    assert writes == [("PUT", "PI000001"), ("POST", "notes")]
    assert all(each.headers["from"] == "hub@example.test" for each in simulator.writes())
    assert simulator.shelf("alert").get("PI000001")["status"] == status
    assert written.observation.values["state"] == ("resolved" if status == "resolved" else "firing")


def test_acknowledging_what_is_resolved_changes_nothing():
    async def act(simulator, client):
        name = simulator.trigger("Checkout is slow")
        simulator.turn(name, "resolved")
        await effect(client, "acknowledge", name, comment="")
        return simulator.writes()

    assert play(act) == []


def test_an_acknowledgement_is_not_taken_back_by_paging_somebody():
    async def act(simulator, client):
        name = simulator.trigger("Checkout is slow")
        assert (await effect(client, "unacknowledge", name)).ref.key == name
        simulator.turn(name, "acknowledged")
        with pytest.raises(Rejected) as caught:
            await effect(client, "unacknowledge", name)
        return caught.value, simulator.writes()

    refusal, writes = play(act)
    assert "Reassign" in refusal.remedy
    assert writes == []


def test_two_notes_with_one_key_are_one_and_with_two_keys_are_two():
    async def act(simulator, client):
        name = simulator.trigger("Checkout is slow")
        for key in ("k-1", "k-1", "k-2"):
            await client.annotate(alert=name, labels={}, by="Alice", text="Looking", idempotency_key=key)
        return [each["content"] for _, each in simulator.shelf("note").all()]

    notes = play(act)
    assert len(notes) == 2
    assert all(each.startswith("Alice: Looking\n[isthmus:") for each in notes)


def test_without_a_user_nothing_is_written_and_a_strange_key_is_not_put_into_a_path():
    async def act(simulator, client):
        name = simulator.trigger("Checkout is slow")
        with pytest.raises(NeedsOperator) as caught:
            await effect(client, "acknowledge", name)
        with pytest.raises(Rejected):
            await effect(client, "acknowledge", "../users")
        with pytest.raises(NotFound):
            await effect(client, "acknowledge", "PNOBODY")
        return caught.value, simulator.writes()

    refusal, writes = play(act, **{"from": ""})
    assert "from" in refusal.remedy
    assert writes == []


def test_polls_look_only_at_the_named_services():
    async def act(simulator, client):
        _, watermark = await poll(client)
        simulator.trigger("Checkout is slow")
        found, _ = await poll(client, watermark)
        return found

    assert play(act, services=["POTHER"]) == []
    assert len(play(act, services=["PSVC001"])) == 1
