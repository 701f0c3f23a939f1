"""Zabbix both ways: the trigger is the alert, updates of people, errors in the body of a 200, ends that no one told."""

import json
import time
from pathlib import Path

import pytest

from isthmus.connectors.kit import registry
from isthmus.connectors.kit.conformance.playing import Play, poll
from isthmus.connectors.kit.faults import Fault
from isthmus.kernel.errors import NeedsOperator, NotFound, Rejected, Retryable, UnknownOutcome
from isthmus.kernel.instant import HOUR, SECOND

FOLDER = Path(__file__).parents[1]
INSTALLED = registry.at(FOLDER)
SOURCE = INSTALLED.connector.source
HOST = "web-01.example.test"


PLAY = Play(INSTALLED, "zabbix")
running, play = PLAY.running, PLAY.play


def parsed(told):
    here = INSTALLED.context("zabbix", {"secret": {"secret": "env:S"}})
    return SOURCE.parse(json.dumps(told).encode(), {}, here)[0]


def recorded(name):
    return parsed(json.loads((FOLDER / "fixtures" / "accepted" / f"{name}__7.0.json").read_text()))


def methods(simulator):
    return [json.loads(each.body)["method"] for each in simulator.calls]


def test_a_problem_that_comes_again_is_the_same_alert_and_another_event():
    first, over = recorded("problem"), recorded("recovery")
    assert first.external == over.external
    assert first.values["labels"] == over.values["labels"]
    assert first.values["labels"]["component"] == "queue, shop", "no value of a tag is lost"
    assert first.event_id != over.event_id
    assert over.values["ends_at"] > over.values["starts_at"]


def test_a_persons_update_says_who_has_it_and_who_gave_it_back():
    taken, back = recorded("acknowledged_by_a_person"), recorded("acknowledgement_taken_back")
    assert (taken.values["acknowledged"], taken.values["acknowledged_by"]) == (True, "Grace Hopper (grace)")
    assert back.values["acknowledged"] is False
    assert len({taken.event_id, back.event_id, recorded("problem").event_id}) == 3


def test_a_severity_that_nobody_has_heard_of_is_kept():
    strange = recorded("unheard_of_severity_and_wide_text")
    assert strange.unknown == {"severity": "9"}
    assert "severity" not in strange.values


def test_notification_and_poll_name_the_same_events():
    async def act(simulator, client):
        event = simulator.problem(simulator.add_trigger(HOST), tags={"scope": "performance"})
        told = [simulator.notify(event)]
        polled, mark = await poll(client)
        simulator.recover(event)
        told.append(simulator.notify(event))
        return told, polled + (await poll(client, mark))[0]

    told, polled = play(act)
    heard = [parsed(each) for each in told]
    assert [each.event_id for each in heard] == [each.event_id for each in polled]
    assert [each.values["labels"] for each in heard] == [each.values["labels"] for each in polled]
    assert [each.values["state"] for each in polled] == ["firing", "resolved"]


def test_a_poll_says_who_acknowledged_and_what_is_suppressed_and_repeats_no_event():
    async def act(simulator, client):
        event = simulator.problem(simulator.add_trigger(HOST))
        plain, mark = await poll(client)
        simulator.update(event, 2 | 4, message="mine")
        taken, mark = await poll(client, mark)
        still, mark = await poll(client, mark)
        simulator.update(event, 32)
        quiet, mark = await poll(client, mark)
        return plain[0], taken[0], still[0], quiet[0]

    plain, taken, still, quiet = play(act)
    assert plain.event_id == still.event_id != ""
    assert taken.event_id == quiet.event_id == ""
    assert (taken.values["acknowledged"], taken.values["acknowledged_by"]) == (True, "Grace Hopper")
    assert (taken.values["silenced"], quiet.values["silenced"]) == (False, True)


def test_several_open_problems_of_a_trigger_are_one_alert_until_the_last_has_ended():
    async def act(simulator, client):
        trigger = simulator.add_trigger(HOST)
        first, second = simulator.problem(trigger), simulator.problem(trigger)
        both, mark = await poll(client)
        simulator.recover(first)
        one, mark = await poll(client, mark)
        simulator.recover(second)
        return both, one, (await poll(client, mark))[0]

    both, one, none = play(act)
    assert [len(both), len(one), len(none)] == [1, 1, 1]
    assert [each[0].values["state"] for each in (both, one, none)] == ["firing", "firing", "resolved"]


def acknowledge(client, trigger, key="a-1"):
    return client.acknowledge(alert=trigger, labels={}, by="Ada", comment="INC-1", idempotency_key=key)


def test_an_acknowledgement_is_made_once_read_back_and_taken_back():
    async def act(simulator, client):
        trigger = simulator.add_trigger(HOST)
        event = simulator.problem(trigger)
        made = await acknowledge(client, trigger)
        await acknowledge(client, trigger, "a-2")
        back = await client.unacknowledge(alert=trigger, labels={}, by="Ada", comment="", idempotency_key="u")
        return made, back, simulator.shelf("event").get(event)["updates"], methods(simulator)

    made, back, updates, called = play(act)
    assert made.observation.values["acknowledged"] is True
    assert back.observation.values["acknowledged"] is False
    assert called.count("event.acknowledge") == 2
    assert [each["action"] for each in updates] == ["6", "20"]
    assert updates[0]["message"].startswith("Ada: INC-1 [isthmus:")


def test_a_note_whose_answer_was_lost_is_found_and_not_doubled():
    async def act(simulator, client):
        trigger = simulator.add_trigger(HOST)
        event = simulator.problem(trigger)
        note = {"alert": trigger, "labels": {}, "by": "Ada", "text": "see INC-1", "idempotency_key": "n"}
        # Two reads come before the write; all calls have one path.
        simulator.faults.plan(Fault.SLOW, times=2, delay_seconds=0)
        simulator.faults.plan(Fault.RESET_AFTER_COMMIT)
        with pytest.raises(UnknownOutcome):
            await client.annotate(**note)
        await client.annotate(**note)
        await client.annotate(**{**note, "idempotency_key": "m"})
        return len(simulator.shelf("event").get(event)["updates"])

    assert play(act) == 2


def test_a_problem_is_closed_where_its_trigger_allows_it():
    async def act(simulator, client):
        closable, fixed = simulator.add_trigger(HOST), simulator.add_trigger(HOST, manual_close=False)
        for trigger in (closable, fixed):
            simulator.problem(trigger)
        for key in ("c-1", "c-2"):
            await client.resolve(alert=closable, labels={}, by="Ada", comment="", idempotency_key=key)
        with pytest.raises(Rejected) as caught:
            await client.resolve(alert=fixed, labels={}, by="Ada", comment="", idempotency_key="c-3")
        return caught.value, (await poll(client))[0], fixed

    refusal, left, fixed = play(act)
    assert "manual closing" in refusal.remedy
    assert [each.external.key for each in left] == [fixed]


def silence(client, **more):
    now = int(time.time() * SECOND)
    asked = {
        "matchers": [{"label": "host", "op": "=", "value": HOST}], "starts_at": now, "ends_at": now + HOUR, "by": "Ada",
        "comment": "CHG-1", "alert": "", "idempotency_key": "s-1",
    }  # fmt: skip
    return client.silence(**{**asked, **more})


def test_a_host_is_put_in_maintenance_once_listed_and_released():
    async def act(simulator, client):
        simulator.add_host(HOST)
        made = await silence(client)
        again = await silence(client)
        listed, mark = await poll(client, kind="silence")
        for key in ("u-1", "u-2"):
            await client.unsilence(silence=made.ref.key, by="Ada", comment="", idempotency_key=key)
        return made, again, listed, (await poll(client, mark, kind="silence"))[0]

    made, again, listed, gone = play(act)
    assert made.ref == again.ref
    assert [each.external.key for each in listed] == [made.ref.key]
    assert listed[0].values["matchers"] == [{"label": "host", "op": "=", "value": HOST}]
    assert listed[0].correlation
    assert [each.values["state"] for each in gone] == ["expired"]


def test_a_long_comment_fits_into_a_name_and_is_found_again():
    async def act(simulator, client):
        simulator.add_host(HOST)
        return [(await silence(client, comment="why " * 100)).ref for _ in range(2)]

    first, again = play(act)
    assert first == again


def test_an_alert_is_suppressed_and_released():
    async def act(simulator, client):
        trigger = simulator.add_trigger(HOST)
        simulator.problem(trigger)
        made = await silence(client, alert=trigger)
        quiet = (await poll(client))[0][0].values["silenced"]
        for key in ("u-1", "u-2"):
            await client.unsilence(silence=made.ref.key, by="Ada", comment="", idempotency_key=key)
        with pytest.raises(Rejected):
            await silence(client, alert=trigger, starts_at=int((time.time() + 900) * SECOND))
        with pytest.raises(NotFound):
            await silence(client, alert="99999")
        return made.ref.key, quiet, (await poll(client))[0][0].values["silenced"], methods(simulator)

    key, quiet, loud, called = play(act)
    assert key.startswith("event:")
    assert (quiet, loud) == (True, False)
    assert called.count("event.acknowledge") == 2


@pytest.mark.parametrize(
    "matchers",
    [
        [],
        [{"label": "host", "op": "=~", "value": "web.*"}],
        [{"label": "team", "op": "=", "value": "x"}],
        [{"label": "host", "op": "=", "value": "nobody"}],
    ],
)
def test_what_zabbix_cannot_say_is_refused_and_nothing_is_written(matchers):
    async def act(simulator, client):
        simulator.add_host(HOST)
        with pytest.raises(Rejected):
            await silence(client, matchers=matchers)
        return "maintenance.create" in methods(simulator)

    assert play(act) is False


def test_a_repeated_maintenance_is_no_plain_silence_and_says_so():
    async def act(simulator, client):
        simulator.maintain(HOST, repeated=True)
        return (await poll(client, kind="silence"))[0][0]

    assert "repeated" in play(act).unknown["time_periods"]


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        ("Not authorized.", NeedsOperator), ("Session terminated, re-login, please.", NeedsOperator),
        ('No permissions to call "problem.get".', NeedsOperator),
        ("No permissions to referred object or it does not exist!", NotFound), ("Invalid parameter.", Rejected),
    ],
)  # fmt: skip
def test_an_error_in_the_body_of_a_200_is_the_reaction_that_it_needs(data, expected):
    async def act(simulator, client):
        body = {
            "jsonrpc": "2.0",
            "error": {"code": -32602, "message": "Invalid params.", "data": data},
            "id": 1,
        }
        simulator.faults.plan(Fault.SCHEMA_DRIFT, drift=lambda _: body)
        await poll(client)

    with pytest.raises(expected) as caught:
        play(act)
    assert data not in str(caught.value)


def test_an_answer_in_another_shape_is_tried_again():
    async def act(simulator, client):
        simulator.faults.plan(
            Fault.SCHEMA_DRIFT, drift=lambda _: {"jsonrpc": "2.0", "result": [{"no": "id"}], "id": 1}
        )
        await poll(client)

    with pytest.raises(Retryable):
        play(act)


def test_a_key_that_is_none_of_zabbix_is_refused_and_without_an_address_nothing_can_be_called():
    async def act(simulator, client):
        await client.unsilence(silence="maintenance:1 OR 1", by="Ada", comment="", idempotency_key="u")

    with pytest.raises(Rejected):
        play(act)
    with pytest.raises(NeedsOperator):
        INSTALLED.connector.open(INSTALLED.context("zabbix", {"secret": {"secret": "env:S"}}))
