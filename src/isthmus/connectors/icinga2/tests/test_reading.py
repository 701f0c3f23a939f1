"""What is Icinga's own in reading: hard states, pending objects, downtimes, what no poll could see."""

from contextlib import aclosing

import pytest

from isthmus.connectors.icinga2.tests.played import HOST, QUEUE, play, states, told
from isthmus.connectors.kit.conformance.playing import poll
from isthmus.connectors.kit.faults import Fault
from isthmus.kernel.errors import NotFound, Retryable


def test_a_soft_state_is_no_alert_and_a_hard_one_is():
    async def act(simulator, client):
        simulator.add(QUEUE)
        simulator.check(QUEUE, 2, times=1)
        soft, mark = await poll(client)
        simulator.check(QUEUE, 2, times=1)
        hard, mark = await poll(client, mark)
        simulator.check(QUEUE, 0)
        return soft, hard, (await poll(client, mark))[0]

    soft, hard, over = play(act)
    assert soft == []
    assert states(hard) == [(QUEUE, "firing", "critical")]
    assert states(over) == [(QUEUE, "resolved", None)]
    assert over[0].values["ends_at"] > hard[0].values["starts_at"]
    assert hard[0].values["labels"] == {"host": HOST, "check": "queue-depth", "address": "192.0.2.7"}


def test_a_host_that_is_down_is_an_alert_of_its_own():
    async def act(simulator, client):
        simulator.add(HOST, address="192.0.2.9")
        simulator.check(HOST, 1, "PING CRITICAL")
        return (await poll(client))[0]

    (found,) = play(act)
    assert states([found]) == [(HOST, "firing", "critical")]
    assert found.values["labels"] == {"host": HOST, "address": "192.0.2.9"}
    assert found.values["summary"] == f"{HOST}: PING CRITICAL"


def test_an_object_that_was_never_checked_is_no_problem_whatever_icinga_shows():
    """Found with a real Icinga: until its first check a host is shown as DOWN, a service as UNKNOWN."""

    async def act(simulator, client):
        simulator.add(HOST, last_hard_state=1, state=1)
        simulator.add(QUEUE, last_hard_state=3, state=3)
        polled, _ = await poll(client)
        async with aclosing(client.stream("alert")) as pages:
            opened = list((await anext(pages)).observations)
            simulator.downtime(QUEUE, "grace")
            simulator.check(HOST, 1)
            return polled, opened, await told(pages, 1)

    polled, opened, after = play(act)
    assert (polled, opened) == ([], [])
    assert states(after) == [(HOST, "firing", "critical")], (
        "a downtime of what is pending says nothing of its state"
    )


def test_a_problem_whose_object_is_pending_again_has_not_ended():
    async def act(simulator, client):
        simulator.add(QUEUE)
        simulator.check(QUEUE, 2)
        _, mark = await poll(client)
        simulator.add(QUEUE, last_hard_state=3, state=3)
        lost, mark = await poll(client, mark)
        simulator.check(QUEUE, 0)
        return lost, (await poll(client, mark))[0]

    lost, over = play(act)
    assert lost == []
    assert states(over) == [(QUEUE, "resolved", None)]


def test_a_state_that_nobody_has_heard_of_is_kept_and_reported():
    async def act(simulator, client):
        simulator.add(QUEUE)
        simulator.check(QUEUE, 7)
        return (await poll(client))[0][0]

    found = play(act)
    assert found.unknown == {"state": 7}
    assert "severity" not in found.values


def test_custom_variables_become_labels_only_where_they_are_named():
    async def act(simulator, client):
        simulator.add(HOST, vars={"team": "payments", "snmp_community": "s3cret", "list": [1]})
        simulator.add(QUEUE, vars={"runbook": "queues", "password": "s3cret"})
        simulator.check(QUEUE, 2)
        return (await poll(client))[0][0]

    bare = play(act)
    named = play(act, labels=["host.vars.team", "vars.runbook", "host.vars.list", "vars.absent"])
    assert "s3cret" not in str(bare.values)
    assert set(bare.values["labels"]) == {"host", "check", "address"}
    assert named.values["labels"] | {"team": "payments", "runbook": "queues"} == named.values["labels"]
    assert "s3cret" not in str(named.values)


def test_poll_and_stream_name_the_same_event():
    async def act(simulator, client):
        simulator.add(QUEUE)
        async with aclosing(client.stream("alert")) as pages:
            await anext(pages)
            simulator.check(QUEUE, 2)
            streamed = await told(pages, 1)
            polled, mark = await poll(client)
            simulator.check(QUEUE, 0)
            streamed += await told(pages, 1)
            polled += (await poll(client, mark))[0]
        return streamed, polled

    streamed, polled = play(act)
    assert [each.event_id for each in streamed] == [each.event_id for each in polled]
    assert [each.values["labels"] for each in streamed] == [each.values["labels"] for each in polled]


def test_a_short_outage_is_told_by_the_stream_although_no_poll_could_see_it():
    async def act(simulator, client):
        simulator.add(QUEUE)
        async with aclosing(client.stream("alert")) as pages:
            await anext(pages)
            simulator.check(QUEUE, 2)
            simulator.check(QUEUE, 0)
            return await told(pages, 2), (await poll(client))[0]

    streamed, polled = play(act)
    assert states(streamed) == [(QUEUE, "firing", "critical"), (QUEUE, "resolved", None)]
    assert polled == []


def test_what_recovered_while_no_stream_was_open_is_told_when_the_next_one_opens():
    async def act(simulator, client):
        simulator.add(QUEUE)
        simulator.check(QUEUE, 2)
        async with aclosing(client.stream("alert")) as pages:
            before = await told(pages, 1)
        simulator.check(QUEUE, 0)
        async with aclosing(client.stream("alert")) as pages:
            return before + await told(pages, 1)

    assert states(play(act)) == [(QUEUE, "firing", "critical"), (QUEUE, "resolved", None)]


def test_an_object_that_is_new_to_the_stream_is_read_and_told():
    async def act(simulator, client):
        async with aclosing(client.stream("alert")) as pages:
            await anext(pages)
            simulator.add(QUEUE, address="192.0.2.33")
            simulator.check(QUEUE, 1)
            return await told(pages, 1)

    (found,) = play(act)
    assert states([found]) == [(QUEUE, "firing", "warning")]


def test_a_person_acknowledges_and_takes_it_back_and_puts_it_in_downtime():
    async def act(simulator, client):
        simulator.add(QUEUE)
        simulator.check(QUEUE, 2)
        async with aclosing(client.stream("alert")) as pages:
            await told(pages, 1)
            simulator.acknowledge(QUEUE, "grace", "mine")
            (taken,) = await told(pages, 1)
            simulator.withdraw(QUEUE)
            (back,) = await told(pages, 1)
            name = simulator.downtime(QUEUE, "grace")
            (quiet,) = await told(pages, 1)
            simulator.end_downtime(name)
            (loud,) = await told(pages, 1)
        return taken, back, quiet, loud

    taken, back, quiet, loud = play(act)
    assert (taken.values["acknowledged"], taken.values["acknowledged_by"]) == (True, "grace")
    assert taken.partner_actor == "grace"
    assert back.values["acknowledged"] is False
    assert "acknowledged_by" not in back.values
    assert (quiet.values["silenced"], loud.values["silenced"]) == (True, False)
    assert len({each.event_id for each in (taken, back, quiet, loud)}) == 4


def test_an_object_that_is_deleted_while_it_is_a_problem_has_ended():
    async def act(simulator, client):
        simulator.add(QUEUE)
        simulator.check(QUEUE, 2)
        _, mark = await poll(client)
        simulator.delete(QUEUE)
        return (await poll(client, mark))[0]

    (found,) = play(act)
    assert (found.values["state"], found.values["labels"]["host"]) == ("resolved", HOST)


def test_a_downtime_is_a_silence_until_it_is_gone():
    async def act(simulator, client):
        name = simulator.downtime(QUEUE, "grace", "window")
        found, mark = await poll(client, kind="silence")
        simulator.end_downtime(name)
        return name, found, (await poll(client, mark, kind="silence"))[0]

    name, (found,), (gone,) = play(act)
    assert found.external.key == gone.external.key == name
    assert found.values["matchers"] == [
        {"label": "host", "op": "=", "value": HOST},
        {"label": "check", "op": "=", "value": "queue-depth"},
    ]
    assert (found.values["state"], gone.values["state"], found.partner_actor) == (
        "active",
        "expired",
        "grace",
    )


def test_a_proxys_404_does_not_look_like_no_problems():
    async def act(simulator, client):
        simulator.faults.plan(Fault.STATUS, status=404)
        await poll(client)

    with pytest.raises((NotFound, Retryable)):
        play(act)
