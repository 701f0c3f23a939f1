"""What is Icinga's own: hard states only, one alert whatever the way, actions that are read back, names that are no code."""

import asyncio
import json
import time
from contextlib import aclosing, asynccontextmanager
from pathlib import Path

import pytest

from isthmus.connectors.icinga2 import mapping
from isthmus.connectors.icinga2.filters import of_matchers
from isthmus.connectors.icinga2.simulator import Icinga2Simulator
from isthmus.connectors.kit import registry
from isthmus.connectors.kit.faults import Fault
from isthmus.kernel.errors import NeedsOperator, NotFound, Rejected, Retryable, UnknownOutcome
from isthmus.kernel.instant import HOUR, SECOND

FOLDER = Path(__file__).parents[1]
INSTALLED = registry.at(FOLDER)
QUEUE = "web-01.example.test!queue-depth"
HOST = "web-01.example.test"


@asynccontextmanager
async def running(**config):
    simulator = Icinga2Simulator()
    url = await simulator.start()
    context = INSTALLED.context(
        "icinga",
        {**simulator.config(url), **config},
        secrets=simulator.secrets(),
        allow_private_addresses=True,
    )
    client = INSTALLED.connector.open(context)
    try:
        yield simulator, client
    finally:
        await client.close()
        await simulator.stop()


def play(act, **config):
    async def run():
        async with running(**config) as (simulator, client):
            return await act(simulator, client)

    return asyncio.run(run())


async def poll(client, watermark="", kind="alert"):
    found = []
    async for page in client.changed_since(kind, watermark):
        found += page.observations
        watermark = page.watermark
    return found, watermark


async def told(pages, count):
    found = []
    async with asyncio.timeout(20):
        while len(found) < count:
            found += (await anext(pages)).observations
    return found


def states(found):
    return [(each.external.key, each.values["state"], each.values.get("severity")) for each in found]


# Recordings -----------------------------------------------------------------------------------------------


def recorded(name):
    return [json.loads(line) for line in (FOLDER / "fixtures" / "events" / name).read_text().splitlines()]


def test_a_recorded_stream_tells_hard_states_acknowledgements_and_downtimes_only():
    lines = (FOLDER / "fixtures" / "events" / "problem_to_recovery__2.13.jsonl").read_bytes().splitlines()
    objects = json.loads((FOLDER / "fixtures" / "api" / "service__2.13.json").read_text())["results"]
    found = _followed(lines, objects)
    assert [(each.values["state"], each.values.get("severity")) for each in found if ":2" in each.event_id][
        :1
    ] == [("firing", "critical")]
    kinds = [each.event_id.split(":")[-2] for each in found]
    assert "AcknowledgementSet" in kinds
    assert "DowntimeTriggered" in kinds
    taken = next(each for each in found if "AcknowledgementSet" in each.event_id)
    assert (taken.values["acknowledged"], taken.values["acknowledged_by"]) == (True, "Ada")
    assert found[-1].values["state"] == "resolved"
    soft = [each for each in recorded("problem_to_recovery__2.13.jsonl") if each.get("state_type") == 0]
    assert soft, "the recording holds a soft state, which is told to nobody"


def test_stream_and_object_name_the_same_event_in_the_recording():
    first = json.loads((FOLDER / "fixtures" / "api" / "service__2.13.json").read_text())["results"][0]
    hard = next(
        each
        for each in recorded("problem_to_recovery__2.13.jsonl")
        if each["type"] == "StateChange" and each["state_type"] == 1 and each["state"] == 2
    )
    config = INSTALLED.context("icinga", Icinga2Simulator().config("https://x")).config
    listed = mapping.from_object(_object(first), "icinga", config)
    event = mapping.decode_event(json.dumps(hard).encode())
    streamed = mapping.from_event(event, mapping.changed(_object(first), event), "icinga", config, None)
    assert streamed.event_id == listed.event_id
    assert streamed.values["labels"] == listed.values["labels"]


def _object(result):
    return mapping.msgspec.convert(result, mapping.Object, strict=False)


def _followed(lines, objects):
    from isthmus.connectors.icinga2.following import Following

    class Reader:
        async def objects(self, condition, variables):
            return [_object(each) for each in objects]

        async def acknowledgements(self):
            return {}

    config = INSTALLED.context("icinga", Icinga2Simulator().config("https://x")).config
    following = Following(Reader(), "icinga", config)

    async def run():
        await following.told([])
        return await following.told(lines)

    return asyncio.run(run())


@pytest.mark.parametrize(
    "line", [b"{", b"[]", b'{"type":"StateChange"}', b'{"type":"StateChange","timestamp":"now"}', b"\xff"]
)
def test_a_line_that_is_no_event_breaks_the_stream_so_that_everything_is_read_anew(line):
    with pytest.raises(Retryable):
        _followed([line], [])


# Reading --------------------------------------------------------------------------------------------------


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


# Acting ---------------------------------------------------------------------------------------------------


def acknowledge(client, key="a-1", comment="INC-1"):
    return client.acknowledge(alert=QUEUE, labels={}, by="Ada", comment=comment, idempotency_key=key)


def test_an_acknowledgement_is_made_once_read_back_and_taken_back():
    async def act(simulator, client):
        simulator.add(QUEUE)
        simulator.check(QUEUE, 2)
        made = await acknowledge(client)
        await acknowledge(client, "a-2")
        back = await client.unacknowledge(alert=QUEUE, labels={}, by="Ada", comment="", idempotency_key="u")
        again = await client.unacknowledge(alert=QUEUE, labels={}, by="Ada", comment="", idempotency_key="v")
        actions = [each.path for each in simulator.calls if "/actions/" in each.path]
        return made, back, again, actions

    made, back, again, actions = play(act)
    assert made.observation.values["acknowledged"] is True
    assert made.observation.values["acknowledged_by"] == "Ada"
    assert back.observation.values["acknowledged"] is False
    assert again.observation.values["acknowledged"] is False
    assert actions == ["/v1/actions/acknowledge-problem", "/v1/actions/remove-acknowledgement"]


def test_what_has_recovered_needs_no_acknowledgement_and_what_is_gone_is_said():
    async def act(simulator, client):
        simulator.add(QUEUE)
        over = await acknowledge(client)
        simulator.delete(QUEUE)
        with pytest.raises(NotFound):
            await acknowledge(client)
        return over, [each.path for each in simulator.calls if "/actions/" in each.path]

    over, actions = play(act)
    assert over.observation.values["state"] == "resolved"
    assert actions == []


def test_a_note_whose_answer_was_lost_is_found_and_not_doubled():
    async def act(simulator, client):
        simulator.add(QUEUE)
        simulator.faults.plan(Fault.RESET_AFTER_COMMIT, path="/actions/")
        note = {"alert": QUEUE, "labels": {}, "by": "Ada", "text": "look at INC-1", "idempotency_key": "n-1"}
        with pytest.raises(UnknownOutcome):
            await client.annotate(**note)
        await client.annotate(**note)
        await client.annotate(**{**note, "idempotency_key": "n-2"})
        return [each["author"] for _, each in simulator.shelf("comment").all()]

    assert play(act) == ["Ada", "Ada"]


def silence(client, **more):
    now = int(time.time() * SECOND)
    asked = {"matchers": [], "starts_at": now, "ends_at": now + HOUR, "by": "Ada", "comment": "CHG-1", "alert": QUEUE,
             "idempotency_key": "s-1"}  # fmt: skip
    return client.silence(**{**asked, **more})


def test_a_downtime_whose_answer_was_lost_is_found_and_not_doubled_and_removed_once():
    async def act(simulator, client):
        simulator.add(QUEUE)
        simulator.faults.plan(Fault.RESET_AFTER_COMMIT, path="/actions/schedule-downtime")
        with pytest.raises(UnknownOutcome):
            await silence(client)
        made = await silence(client)
        count = len(simulator.shelf("downtime"))
        for key in ("u-1", "u-2"):
            await client.unsilence(silence=made.ref.key, by="Ada", comment="", idempotency_key=key)
        return made, count, len(simulator.shelf("downtime"))

    made, count, left = play(act)
    assert (count, left) == (1, 0)
    assert made.observation.values["comment"] == "CHG-1"
    assert made.observation.correlation


def test_matchers_put_every_object_that_fits_in_downtime_and_one_key_ends_them_all():
    async def act(simulator, client):
        for number in (1, 2, 3):
            simulator.add(f"web-0{number}.example.test!queue-depth")
        simulator.add("db-01.example.test!queue-depth")
        made = await silence(
            client,
            alert="",
            matchers=[
                {"label": "host", "op": "=~", "value": "web-.*"},
                {"label": "check", "op": "=", "value": "queue-depth"},
                {"label": "host", "op": "!=", "value": "web-03.example.test"},
            ],
        )
        hosts = sorted(each["host_name"] for _, each in simulator.shelf("downtime").all())
        await client.unsilence(silence=made.ref.key, by="Ada", comment="", idempotency_key="u")
        return hosts, len(simulator.shelf("downtime"))

    assert play(act) == (["web-01.example.test", "web-02.example.test"], 0)


def test_values_never_become_part_of_an_expression():
    found = of_matchers([{"label": "host", "op": "=", "value": '" || true || "'}])
    assert found["filter"] == "(host.name == v0)"
    assert found["filter_vars"] == {"v0": '" || true || "'}
    assert found["all_services"] is True


@pytest.mark.parametrize(
    "matchers",
    [[], [{"label": "team", "op": "=", "value": "x"}], [{"label": "host", "op": "<", "value": "x"}]],
)
def test_what_icinga_cannot_say_is_refused_and_nothing_is_written(matchers):
    async def act(simulator, client):
        with pytest.raises(Rejected):
            await silence(client, alert="", matchers=matchers)
        return [each for each in simulator.calls if "/actions/" in each.path]

    assert play(act) == []


def test_a_permission_that_is_missing_is_named():
    async def act(simulator, client):
        simulator.permissions = ["objects/query/*", {"permission": "events/*"}, "actions/acknowledge-problem"]
        return (await client.probe()).missing_scopes

    assert play(act) == (
        "actions/remove-acknowledgement", "actions/schedule-downtime", "actions/remove-downtime", "actions/add-comment",
    )  # fmt: skip


def test_a_wrong_password_needs_a_person():
    async def act(simulator, client):
        simulator.password = "another"
        await anext(client.stream("alert"))

    with pytest.raises(NeedsOperator):
        play(act)
