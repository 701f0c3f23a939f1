"""Nagios both ways: one alert whatever the way, commands whose effect is looked for, what nobody notifies of."""

import json
import time
from pathlib import Path

import pytest

from isthmus.connectors.kit import registry
from isthmus.connectors.kit.conformance.playing import Play, poll
from isthmus.connectors.kit.faults import Fault
from isthmus.kernel.errors import NeedsOperator, NotFound, Rejected, UnknownOutcome
from isthmus.kernel.instant import HOUR, SECOND

FOLDER = Path(__file__).parents[1]
INSTALLED = registry.at(FOLDER)
SOURCE = INSTALLED.connector.source
QUEUE = "web-01.example.test;Queue depth"


PLAY = Play(INSTALLED, "nagios")
running, play = PLAY.running, PLAY.play


def parsed(told):
    here = INSTALLED.context("nagios", {"secret": {"secret": "env:S"}})
    return SOURCE.parse(json.dumps(told).encode(), {}, here)


def recorded(name):
    return parsed(json.loads((FOLDER / "fixtures" / "accepted" / f"{name}__4.4.json").read_text()))


def test_a_repeated_notification_is_the_same_event_and_a_recovery_another():
    first, again, over = (recorded(name)[0] for name in ("problem", "problem_repeated", "recovery"))
    assert first.event_id == again.event_id != over.event_id
    assert (first.values["state"], over.values["state"]) == ("firing", "resolved")
    assert first.external == over.external
    assert (
        first.values["labels"]
        == over.values["labels"]
        == {"host": "web-01.example.test", "check": "Queue depth"}
    )


def test_an_acknowledgement_and_a_downtime_say_how_the_alert_stands():
    (taken,) = recorded("acknowledgement")
    assert (taken.values["acknowledged"], taken.values["acknowledged_by"], taken.partner_actor) == (
        True,
        "Ada",
        "Ada",
    )
    assert "isthmus:" not in taken.values["annotations"]["nagios_comment"]
    assert [recorded(name)[0].values["silenced"] for name in ("downtime_started", "downtime_cancelled")] == [
        True,
        False,
    ]


def test_what_nobody_has_heard_of_is_kept_and_reported_and_a_soft_state_says_nothing():
    (strange,) = recorded("unheard_of_state_and_type")
    assert strange.unknown == {"state": "PURPLE", "type": "SOMETHINGNEW"}
    assert "severity" not in strange.values
    assert recorded("soft_state_says_nothing") == []


def test_notification_and_poll_name_the_same_event():
    async def act(simulator, client):
        simulator.add(QUEUE)
        simulator.check(QUEUE, 2)
        told = [simulator.notify(QUEUE)]
        polled, mark = await poll(client)
        simulator.check(QUEUE, 0, at=int(time.time()) + 5)
        told.append(simulator.notify(QUEUE))
        return told, polled + (await poll(client, mark))[0]

    told, polled = play(act)
    heard = [each for one in told for each in parsed(one)]
    assert [each.event_id for each in heard] == [each.event_id for each in polled]
    assert [each.values["labels"] for each in heard] == [each.values["labels"] for each in polled]


def test_a_poll_finds_what_nagios_notifies_nobody_of():
    async def act(simulator, client):
        simulator.add(QUEUE)
        simulator.check(QUEUE, 2)
        simulator.human_edit("alert", QUEUE, {})
        taken, mark = await poll(client)
        simulator.carry_out("REMOVE_SVC_ACKNOWLEDGEMENT;web-01.example.test;Queue depth")
        back, mark = await poll(client, mark)
        simulator.check(QUEUE, 1, hard=False)
        soft, mark = await poll(client, mark)
        simulator.delete(QUEUE)
        return taken[0], back[0], soft, (await poll(client, mark))[0]

    taken, back, soft, gone = play(act)
    assert (taken.values["acknowledged"], taken.values["acknowledged_by"]) == (True, "a.person")
    assert (back.values["acknowledged"], back.event_id) == (False, "")
    assert [each.values["state"] for each in soft] == ["resolved"], "a soft state is no problem (yet)"
    assert gone == []


def test_a_problem_that_is_deleted_has_ended():
    async def act(simulator, client):
        simulator.add(QUEUE)
        simulator.check(QUEUE, 2)
        _, mark = await poll(client)
        simulator.delete(QUEUE)
        return (await poll(client, mark))[0]

    (gone,) = play(act)
    assert (gone.values["state"], gone.values["labels"]["check"]) == ("resolved", "Queue depth")


def acknowledge(client, key="a-1"):
    return client.acknowledge(alert=QUEUE, labels={}, by="Ada", comment="INC-1", idempotency_key=key)


def test_an_acknowledgement_is_made_once_read_back_and_taken_back():
    async def act(simulator, client):
        simulator.add(QUEUE)
        simulator.check(QUEUE, 2)
        made = await acknowledge(client)
        await acknowledge(client, "a-2")
        back = await client.unacknowledge(alert=QUEUE, labels={}, by="Ada", comment="", idempotency_key="u")
        await client.unacknowledge(alert=QUEUE, labels={}, by="Ada", comment="", idempotency_key="v")
        return made, back, [each.partition(";")[0] for each in simulator.commands]

    made, back, commands = play(act)
    assert (made.observation.values["acknowledged"], made.observation.values["acknowledged_by"]) == (
        True,
        "Ada",
    )
    assert back.observation.values["acknowledged"] is False
    assert commands == ["ACKNOWLEDGE_SVC_PROBLEM", "REMOVE_SVC_ACKNOWLEDGEMENT"]


def test_a_command_without_effect_is_an_unknown_outcome_and_is_repeated_until_it_shows():
    async def act(simulator, client):
        simulator.add(QUEUE)
        simulator.check(QUEUE, 2)
        simulator.deaf = True
        with pytest.raises(UnknownOutcome):
            await acknowledge(client)
        simulator.deaf = False
        return await acknowledge(client), len(simulator.commands)

    made, commands = play(act)
    assert made.observation.values["acknowledged"] is True
    assert commands == 2


def test_what_has_recovered_needs_no_acknowledgement_and_what_is_gone_is_said():
    async def act(simulator, client):
        simulator.add(QUEUE)
        over = await acknowledge(client)
        simulator.delete(QUEUE)
        with pytest.raises(NotFound):
            await acknowledge(client)
        return over, simulator.commands

    over, commands = play(act)
    assert (over.observation.values["state"], commands) == ("resolved", [])


def test_a_status_that_is_older_than_the_notification_does_not_look_like_a_recovery():
    """Found with a real Nagios: the file is written every few seconds, a notification is sent at once."""

    async def act(simulator, client):
        simulator.add(QUEUE)
        status = simulator._file
        old = status()
        simulator.check(QUEUE, 2)
        looks = iter([old])
        simulator._file = lambda: next(looks, "") or status()
        return await acknowledge(client), simulator.commands

    made, commands = play(act, confirm_seconds=10.0)
    assert made.observation.values["acknowledged"] is True
    assert [each.partition(";")[0] for each in commands] == ["ACKNOWLEDGE_SVC_PROBLEM"]


def silence(client, **more):
    now = int(time.time() * SECOND)
    asked = {"matchers": [], "starts_at": now, "ends_at": now + HOUR, "by": "Ada", "comment": "CHG-1", "alert": QUEUE,
             "idempotency_key": "s-1"}  # fmt: skip
    return client.silence(**{**asked, **more})


def test_a_downtime_whose_answer_was_lost_is_found_listed_and_removed_once():
    async def act(simulator, client):
        simulator.add(QUEUE)
        simulator.faults.plan(Fault.RESET_AFTER_COMMIT, path="/v1/commands")
        with pytest.raises(UnknownOutcome):
            await silence(client)
        made = await silence(client)
        listed, mark = await poll(client, kind="silence")
        for key in ("u-1", "u-2"):
            await client.unsilence(silence=made.ref.key, by="Ada", comment="", idempotency_key=key)
        return made, listed, (await poll(client, mark, kind="silence"))[0], simulator.commands

    made, listed, gone, commands = play(act)
    assert [each.external.key for each in listed] == [made.ref.key] == ["service:1"]
    assert made.observation.values["comment"] == "CHG-1"
    assert [each.values["state"] for each in gone] == ["expired"]
    assert [each.partition(";")[0] for each in commands] == ["SCHEDULE_SVC_DOWNTIME", "DEL_SVC_DOWNTIME"]


def test_exact_matchers_name_an_object_and_patterns_are_refused():
    async def act(simulator, client):
        simulator.add(QUEUE)
        host, check = QUEUE.split(";")
        exact = [{"label": "host", "op": "=", "value": host}, {"label": "check", "op": "=", "value": check}]
        made = await silence(client, alert="", matchers=exact)
        for wrong in (
            [{"label": "host", "op": "=~", "value": "web.*"}], [{"label": "team", "op": "=", "value": "x"}], [exact[1]],
        ):  # fmt: skip
            with pytest.raises(Rejected):
                await silence(client, alert="", matchers=wrong, idempotency_key="s-2")
        return made, len(simulator.commands)

    made, commands = play(act)
    assert (made.ref.key, commands) == ("service:1", 1)


def test_a_note_is_left_once():
    async def act(simulator, client):
        simulator.add(QUEUE)
        for key in ("n-1", "n-1", "n-2"):
            await client.annotate(alert=QUEUE, labels={}, by="Ada", text="look at INC-1", idempotency_key=key)
        return len(simulator.shelf("comment"))

    assert play(act) == 2


@pytest.mark.parametrize("text", ["", "ä;" * 4_000])
def test_a_text_of_any_length_keeps_the_mark_by_which_it_is_found_again(text):
    async def act(simulator, client):
        simulator.add(QUEUE)
        for _ in range(2):
            await client.annotate(alert=QUEUE, labels={}, by="Ada", text=text, idempotency_key="n-1")
            await silence(client, comment=text)
        return len(simulator.shelf("comment")), len(simulator.shelf("downtime"))

    assert play(act) == (1, 1)


def test_a_key_that_is_none_of_nagios_is_refused():
    async def act(simulator, client):
        await client.unsilence(silence="1; DROP", by="Ada", comment="", idempotency_key="u")

    with pytest.raises(Rejected):
        play(act)


def test_without_an_agent_nothing_can_be_called():
    with pytest.raises(NeedsOperator):
        INSTALLED.connector.open(INSTALLED.context("nagios", {"secret": {"secret": "env:S"}}))
