"""What the API is asked and told: how alerts stand, what ended unseen, silences both ways."""

import time
from pathlib import Path

import pytest

from isthmus.connectors.alertmanager.simulator import AlertmanagerSimulator
from isthmus.connectors.kit import registry
from isthmus.connectors.kit.conformance.playing import Play, poll
from isthmus.connectors.kit.faults import Fault
from isthmus.kernel.errors import NotFound, Rejected, UnknownOutcome
from isthmus.kernel.instant import HOUR, SECOND

INSTALLED = registry.at(Path(__file__).parents[1])
LABELS = {"alertname": "QueueDepth", "instance": "web-01.example.test", "severity": "critical"}
OTHER = {**LABELS, "instance": "web-02.example.test"}


PLAY = Play(INSTALLED, "prometheus")
running, play = PLAY.running, PLAY.play


def silence(client, **more):
    now = int(time.time() * SECOND)
    asked = {
        "matchers": [{"label": "instance", "op": "=", "value": "web-01.example.test"}],
        "starts_at": now, "ends_at": now + HOUR, "by": "Ada", "comment": "change window", "alert": "",
        "idempotency_key": "k-1",
    }  # fmt: skip
    return client.silence(**{**asked, **more})


def test_a_change_of_standing_is_news_and_a_repetition_is_not():
    async def act(simulator, client):
        simulator.fire(LABELS)
        plain, mark = await poll(client)
        again, mark = await poll(client, mark)
        held = simulator.add_silence({"instance": "web-01.example.test"})
        silenced, mark = await poll(client, mark)
        still, mark = await poll(client, mark)
        simulator.expire_silence(held)
        released, mark = await poll(client, mark)
        return [each[0] for each in (plain, again, silenced, still, released)], held

    (plain, again, silenced, still, released), held = play(act)
    assert plain.event_id == again.event_id != ""
    assert [each.values["silenced"] for each in (plain, silenced, released)] == [False, True, False]
    assert silenced.event_id == released.event_id == "", "a repeated id would be taken for no news"
    assert silenced.evidence["silenced_by"] == [held]
    assert still.event_id == plain.event_id


def test_an_alert_that_is_silenced_when_first_seen_is_news_even_if_a_webhook_told_of_it():
    async def act(simulator, client):
        simulator.fire(LABELS)
        simulator.add_silence({"alertname": "QueueDepth"})
        return (await poll(client))[0][0]

    assert play(act).event_id == ""


def test_what_is_no_longer_listed_has_ended_also_while_it_was_silenced():
    async def act(simulator, client):
        key = simulator.fire(LABELS)
        simulator.fire(OTHER)
        simulator.add_silence({"instance": "web-01.example.test"})
        _, mark = await poll(client)
        simulator.resolve(key)
        found, mark = await poll(client, mark)
        return key, found, (await poll(client, mark))[0]

    key, found, after = play(act)
    ended = [each for each in found if each.values["state"] == "resolved"]
    assert [each.external.key for each in ended] == [key]
    assert ended[0].values["labels"] == LABELS, "an identity made of labels must find the alert"
    assert ended[0].event_id == f"{key}:{ended[0].values['starts_at']}:resolved"
    assert [each.values["state"] for each in after] == ["firing"], "an end is told once"


def test_after_a_restart_an_absent_alert_has_not_ended():
    async def act(simulator, client):
        key = simulator.fire(LABELS)
        _, mark = await poll(client)
        simulator.restart()
        empty, mark = await poll(client, mark)
        simulator.started -= 3_600
        return key, empty, (await poll(client, mark))[0]

    key, empty, later = play(act)
    assert empty == [], "Prometheus has not sent everything again yet"
    assert [(each.external.key, each.values["state"]) for each in later] == [(key, "resolved")]


def test_a_silence_is_created_read_back_listed_and_expired():
    async def act(simulator, client):
        key = simulator.fire(LABELS)
        made = await silence(client)
        muted = simulator.silenced_by(simulator.shelf("alert").get(key))
        listed, _ = await poll(client, kind="silence")
        ended = await client.unsilence(silence=made.ref.key, by="Ada", comment="", idempotency_key="u-1")
        again = await client.unsilence(silence=made.ref.key, by="Ada", comment="", idempotency_key="u-1")
        return made, muted, listed, ended, again

    made, muted, listed, ended, again = play(act)
    assert muted == [made.ref.key]
    assert [each.external.key for each in listed] == [made.ref.key]
    seen = listed[0]
    assert seen.kind == "silence"
    assert seen.values["comment"] == "change window", "our mark is not part of what people wrote"
    assert seen.correlation
    assert seen.partner_actor == "Ada"
    assert seen.values["matchers"] == [{"label": "instance", "op": "=", "value": "web-01.example.test"}]
    assert [each.observation.values["state"] for each in (made, ended, again)] == [
        "active",
        "expired",
        "expired",
    ]


@pytest.mark.parametrize("fault", [Fault.RESET_AFTER_COMMIT, Fault.TIMEOUT_AFTER_COMMIT, Fault.BAD_JSON])
def test_a_silence_whose_answer_was_lost_is_found_again_and_not_doubled(fault):
    async def act(simulator, client):
        simulator.faults.plan(fault, method="WRITE", hang_seconds=0.1)
        with pytest.raises(UnknownOutcome):
            await silence(client)
        made = await silence(client)
        other = await silence(client, idempotency_key="k-2")
        return made.ref.key, other.ref.key, [key for key, _ in simulator.shelf("silence").all()]

    made, other, held = play(act)
    assert held == [made, other]


def test_a_silence_that_is_gone_is_done():
    async def act(simulator, client):
        return await client.unsilence(silence="no-such", by="Ada", comment="", idempotency_key="u-1")

    assert play(act).ref.key == "no-such"


def test_a_matcher_that_cannot_be_expressed_is_refused_and_nothing_is_written():
    async def act(simulator, client):
        with pytest.raises(Rejected) as caught:
            await silence(client, matchers=[{"label": "a", "op": "<", "value": "1"}])
        return caught.value.problems[0].path, simulator.writes()

    assert play(act) == ("/matchers/0", [])


def test_every_operator_survives_the_way_there_and_back():
    matchers = [{"label": f"l{n}", "op": op, "value": "x"} for n, op in enumerate(("=", "!=", "=~", "!~"))]

    async def act(simulator, client):
        return (await silence(client, matchers=matchers)).observation.values["matchers"]

    assert play(act) == matchers


def test_without_matchers_exactly_one_alert_is_silenced():
    async def act(simulator, client):
        key = simulator.fire(LABELS)
        other = simulator.fire(OTHER)
        made = await silence(client, matchers=[], alert=key)
        with pytest.raises(NotFound):
            await silence(client, matchers=[], alert="0" * 16, idempotency_key="k-2")
        shelf = simulator.shelf("alert")
        return made, simulator.silenced_by(shelf.get(key)), simulator.silenced_by(shelf.get(other))

    made, muted, other = play(act)
    assert (muted, other) == ([made.ref.key], [])
    assert [each["label"] for each in made.observation.values["matchers"]] == sorted(LABELS)


def test_another_tools_acknowledgement_is_seen_and_a_plain_silence_is_none():
    async def act(simulator, client):
        simulator.fire(LABELS)
        simulator.fire(OTHER)
        simulator.add_silence({"instance": "web-01.example.test"}, comment="ACK! by karma", by="grace")
        simulator.add_silence({"instance": "web-02.example.test"}, comment="window")
        return (await poll(client))[0]

    found = {each.values["labels"]["instance"][:6]: each.values for each in play(act)}
    assert (found["web-01"]["acknowledged"], found["web-01"]["acknowledged_by"]) == (True, "grace")
    assert (found["web-02"]["acknowledged"], found["web-02"]["silenced"]) == (False, True)


def test_a_silenced_alert_is_not_notified_as_in_the_real_one():
    """Recorded from 0.25: a muted alert is left out of webhooks, its end included. Polls are the only way to learn it."""
    simulator = AlertmanagerSimulator()
    key = simulator.fire(LABELS)
    simulator.fire(OTHER)
    simulator.add_silence({"instance": "web-01.example.test"})
    simulator.resolve(key)
    assert [each["labels"]["instance"] for each in simulator.notify()["alerts"]] == ["web-02.example.test"]
