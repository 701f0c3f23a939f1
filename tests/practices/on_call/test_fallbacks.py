"""E2: one message whatever fails: sick channels, lost answers, restarts, processes that died."""

from __future__ import annotations

import pytest
from tests.practices.on_call.ladders import (
    CHANNELS,
    counts,
    play,
    policy,
    section,
    used,
)

from isthmus.connectors.kit.faults import Fault
from isthmus.hub import connections
from isthmus.hub.lanes.models import Delivery
from isthmus.ledger.columns import open_json
from isthmus.practices.on_call import duty
from isthmus.practices.on_call.models import ContactCard


def test_slack_500_and_the_mail_server_gets_it_once(world):
    async def act(found):
        found.simulators["slack"].faults.plan(Fault.STATUS, status=500, times=1_000)
        incident = await found.opened()
        await used(found, incident, 50)
        for _ in range(8):
            await found.forward(5)
        assert len(found.simulators["smtp"].messages()) == 1
        assert counts(found) == (0, 1)
        assert incident.number in found.simulators["smtp"].messages()[0]["title"]
        found.simulators["slack"].faults.clear()
        for _ in range(8):
            await found.forward(30)
        assert len(found.simulators["smtp"].messages()) == 1
        assert counts(found) == (0, 1), "what was given up is not sent after all"
        sent = (await found.notifications(recipient="channel:slack-ops"))[0]
        assert [each["state"] for each in sent.receipts] == ["no receipt", "delivered"]

    play(world, act, **section(**policy("sla", "shares")))


def test_slack_refusing_falls_to_mail_at_once(world):
    async def act(found):
        found.simulators["slack"].channels.clear()
        incident = await found.opened()
        await used(found, incident, 50)
        assert len(found.simulators["smtp"].messages()) == 1

    play(world, act, **section(**policy("sla", "shares")))


def test_a_busy_slack_is_waited_for_within_patience(world):
    async def act(found):
        found.simulators["slack"].faults.plan(Fault.STATUS, status=429, retry_after_seconds=3)
        incident = await found.opened()
        await used(found, incident, 50)
        for _ in range(3):
            await found.forward(2)
        assert counts(found) == (1, 1)
        assert found.simulators["smtp"].messages() == []

    play(world, act, **section(**policy("sla", "shares")))


@pytest.mark.parametrize("fault", [Fault.RESET_AFTER_COMMIT, Fault.BAD_JSON])
def test_a_lost_answer_makes_no_second_message_in_slack(world, fault):
    async def act(found):
        found.simulators["slack"].faults.plan(fault, path="chat.postMessage")
        incident = await found.opened()
        await used(found, incident, 50)
        for _ in range(20):
            await found.forward(5)
        assert counts(found)[0] == 1

    channels = {**CHANNELS, "slack-ops": {**CHANNELS["slack-ops"], "patience": "PT2M"}}
    play(world, act, **section(**policy("sla", "shares"), channels=channels))


def test_a_restart_in_the_middle_repeats_nothing_and_loses_nothing(world):
    async def act(found):
        await found.opened()
        await found.forward(30)
        assert counts(found) == (1, 1)
        await found.reopen()
        await found.forward(5)
        assert counts(found) == (1, 1)
        # The hub is down over the second step and comes back before the third.
        found.book.clock.forward(seconds=20)
        await found.reopen()
        await found.settle()
        assert counts(found) == (2, 2)
        await found.forward(10)
        assert counts(found) == (3, 3)

    play(world, act, **section(**policy("priority", "timed", priorities=["1"])))


def test_a_process_that_died_during_the_call_looks_before_it_sends(world):
    """The store as a killed process leaves it: calls begun, messages sent, no answer recorded."""

    async def act(found):
        incident = await found.opened()
        lanes, found.lanes = found.lanes, {}
        await used(found, incident, 50)
        found.lanes = lanes
        payloads = await found.store(
            lambda: {
                each.connection: open_json(each.payload)["message"]
                for each in Delivery.objects.filter(verb="notify")
            }
        )
        keys = {each.connection: each.key for each in await found.store(lambda: list(Delivery.objects.all()))}
        # Slack had it before the process died, Teams had not.
        client = (await found.store(lambda: connections.open("slack"))).client
        await client.notify(message=payloads["slack"], idempotency_key=keys["slack"])
        await client.close()
        await found.perform(
            lambda work: [
                work.advance(Delivery, where={"id": each.id}, values={"state": "sending"})
                for each in Delivery.objects.filter(verb="notify")
            ]
        )
        await found.reopen()
        for _ in range(4):
            await found.forward(5)
        assert counts(found) == (1, 1), (
            "found in Slack; Teams cannot be asked: once more, as nothing else is left"
        )
        sent = {each.recipient: each for each in await found.notifications()}
        assert sent["channel:slack-ops"].receipts[-1]["read_back"] is True
        assert [each["state"] for each in sent["channel:teams-ops"].receipts] == [
            "in doubt",
            "delivered",
        ]

    play(world, act, **section(**policy("sla", "shares")))


def test_an_address_is_sealed_with_the_persons_key(world):
    async def act(found):
        card = [{"channel": "mail", "address": "very-private@home.test"}]
        await found.perform(lambda work: duty.set_card(work, found.people["ada"], methods=card))
        from isthmus.kernel.actor import system
        from isthmus.ledger import erasure

        held = await found.store(lambda: ContactCard.objects.get(person=found.people["ada"]).methods)
        assert held == card
        await found.store(lambda: erasure.erase_person(found.people["ada"], actor=system("test"), why="left"))
        held = await found.store(lambda: ContactCard.objects.get(person=found.people["ada"]).methods)
        assert held == "[erased]"

    play(world, act, **section())
