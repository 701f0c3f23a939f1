"""ServiceNow's own clocks: what a row says, which rows are read, and what a missing permission looks like."""

import asyncio
import datetime as dt

import pytest

from isthmus.connectors.kit.ports import decode_observations, encode_observations
from isthmus.connectors.kit.reactions import Answer, error
from isthmus.connectors.servicenow.service_levels import ServiceLevels, clocks
from isthmus.connectors.servicenow.tests.connected import connected
from isthmus.kernel.errors import NeedsOperator
from isthmus.kernel.instant import HOUR, MINUTE, from_rfc3339

START = dt.datetime(2026, 11, 20, 10, 0, tzinfo=dt.UTC)
EIGHT_HOURS = dt.timedelta(hours=8)


def row(**columns):
    plain = {
        "sys_id": "1", "task": "t", "sla": {"value": "s", "display_value": "P1 resolution"}, "sla.target": "resolution",
        "sla.duration": "1970-01-01 08:00:00", "stage": "in_progress", "active": "true", "has_breached": "false",
        "schedule": "", "start_time": "2026-11-20 10:00:00", "end_time": "", "planned_end_time": "2026-11-20 18:00:00",
        "pause_duration": "1970-01-01 00:00:00", "duration": "1970-01-01 00:30:00", "business_duration": "",
        "percentage": "6.25", "sys_updated_on": "2026-11-20 10:30:00",
    }  # fmt: skip
    return {**plain, **columns}


class Clock:
    def __init__(self, simulator):
        self.now = START
        simulator.instance.clock = lambda: self.now

    def forward(self, **span):
        self.now += dt.timedelta(**span)


def played(act, **settings):
    async def run():
        async with connected(service_levels=True, **settings) as (client, simulator):
            return await act(client, simulator, Clock(simulator))

    return asyncio.run(run())


async def polled(client, watermark=""):
    found = []
    async for page in client.changed_since("incident", watermark):
        found += page.observations
        watermark = page.watermark
    return {each.external.key: each.sla_clocks for each in found if each.sla_clocks is not None}, watermark


def move(simulator, key, state, **more):
    simulator.instance.update("incident", key, {"state": state, **more}, "a.person")


def test_a_row_holds_at_its_own_time_and_without_a_pause_tells_what_it_counted():
    (found,) = clocks([row()])
    assert (found.name, found.target, found.state) == ("P1 resolution", "resolution", "running")
    assert (found.amount, found.elapsed, found.breached) == (8 * HOUR, 30 * MINUTE, False)
    assert found.at == from_rfc3339("2026-11-20T10:30:00Z"), "as old as the row, not as new as the read"
    assert found.due_at - found.started_at == 8 * HOUR
    assert found.runs == ((found.started_at, None),)
    (paused,) = clocks([row(stage="paused", pause_duration="1970-01-02 00:00:00")])
    assert (paused.state, paused.runs) == ("paused", ())


def test_business_time_counts_where_there_is_a_schedule_and_actual_time_where_there_is_none():
    spans = {"duration": "1970-01-02 02:00:00", "business_duration": "1970-01-01 03:00:00"}
    assert clocks([row(**spans)])[0].elapsed == 26 * HOUR
    assert clocks([row(**spans, schedule="8-5 weekdays")])[0].elapsed == 3 * HOUR
    assert clocks([row(duration="2 Hours")])[0].elapsed is None, "what is no duration is not guessed at"


@pytest.mark.parametrize(
    ("stage", "state"),
    [("completed", "stopped"), ("cancelled", "cancelled"), ("breached", "running"), ("achieved", "stopped"), ("odd", "unknown")],
)  # fmt: skip
def test_every_stage_has_a_word_and_an_ended_clock_holds_at_its_end(stage, state):
    (found,) = clocks([row(stage=stage, end_time="2026-11-20 11:00:00")])
    ended = state in {"stopped", "cancelled"}
    assert found.state == state
    assert found.at == from_rfc3339("2026-11-20T11:00:00Z" if ended else "2026-11-20T10:30:00Z")
    assert found.breached is (stage == "breached")


def test_of_a_promise_that_was_begun_again_the_row_that_counts_speaks():
    first = row(sys_id="1", stage="completed", active="false", end_time="2026-11-20 11:00:00")
    again = row(sys_id="2", start_time="2026-11-20 12:00:00", duration="1970-01-01 00:05:00")
    other = row(sys_id="3", sla={"value": "r", "display_value": "P1 response"}, **{"sla.target": "response"})
    found = clocks([again, first, other])
    assert [(each.name, each.elapsed) for each in found] == [
        ("P1 resolution", 5 * MINUTE), ("P1 response", 30 * MINUTE),
    ]  # fmt: skip


def test_the_stages_of_an_incident_come_with_the_poll_although_its_own_version_stands():
    async def act(client, simulator, clock):
        simulator.sla.define("P5 resolution", EIGHT_HOURS)
        key = simulator.seed("incident", 1)[0]
        told = []
        found, watermark = await polled(client)
        told.append(found[key][0])
        clock.forward(hours=9)
        version = simulator.shelf("incident").get(key)["sys_mod_count"]
        simulator.sla.recalculate()
        found, watermark = await polled(client, watermark)
        assert simulator.shelf("incident").get(key)["sys_mod_count"] == version
        told.append(found[key][0])
        for state, more in (("3", {}), ("2", {}), ("6", {"close_code": "Done", "close_notes": "Done"})):
            clock.forward(hours=1)
            move(simulator, key, state, **more)
            found, watermark = await polled(client, watermark)
            told.append(found[key][0])
        clock.forward(hours=1)
        found, _ = await polled(client, watermark)
        return told, found[key][0]

    told, overlapped = played(act)
    assert [(each.state, each.elapsed, each.breached) for each in told] == [
        ("running", 0, False), ("running", 9 * HOUR, True), ("paused", 10 * HOUR, True),
        ("running", 10 * HOUR, True), ("stopped", 11 * HOUR, True),
    ]  # fmt: skip
    assert told[3].due_at - told[0].due_at == HOUR, "a pause moves the breach"
    assert overlapped == told[-1], "the overlap brings the same again"


def test_clocks_survive_the_log_and_are_not_read_unless_asked_for():
    async def act(client, simulator, clock):
        simulator.sla.define("P5 resolution", EIGHT_HOURS)
        simulator.seed("incident", 1)
        found, _ = await polled(client)
        return found

    async def seen(client, simulator, clock):
        simulator.sla.define("P5 resolution", EIGHT_HOURS)
        simulator.seed("incident", 1)
        pages = [page async for page in client.changed_since("incident", "")]
        return [each for page in pages for each in page.observations if each.sla_clocks is not None]

    (observation,) = played(seen)
    assert decode_observations(encode_observations([observation])) == [observation]

    async def unasked():
        async with connected() as (client, simulator):
            return await act(client, simulator, None), [each.path for each in simulator.calls]

    found, paths = asyncio.run(unasked())
    assert found == {}
    assert not [each for each in paths if each.endswith("task_sla")]


def test_more_clocks_than_one_poll_takes_are_gone_through_by_the_next_ones(monkeypatch):
    monkeypatch.setattr("isthmus.connectors.servicenow.service_levels.PAGES_MAX", 2)

    async def act(client, simulator, clock):
        client._levels._size = client._page_size = 5
        simulator.sla.define("P5 resolution", EIGHT_HOURS)
        seeded = simulator.seed("incident", 23)
        watermark, rounds = "", []
        for _ in range(4):
            before = len(simulator.calls)
            found, watermark = await polled(client, watermark)
            rounds.append(set(found))
            assert len(simulator.calls) - before < 60
        return set(seeded), rounds

    seeded, rounds = played(act, overlap_seconds=0)
    assert set.union(*rounds) == seeded
    assert [len(each) for each in rounds[:3]] == [10, 10, 3], "all of one second, none twice, none left out"


def test_of_more_clocks_than_are_read_the_newest_speak(monkeypatch):
    monkeypatch.setattr("isthmus.connectors.servicenow.service_levels.PAGES_MAX", 1)

    async def act(client, simulator, clock):
        key = simulator.seed("incident", 1)[0]
        for number in range(7):
            simulator.sla.define(f"Promise {number}", EIGHT_HOURS)
            clock.forward(hours=1)
            move(simulator, key, "2", short_description=f"Changed {number} times")
        return key, await ServiceLevels(client._client, 5).of([key])

    key, found = played(act)
    assert [each.name for each in found[key]] == [f"Promise {number}" for number in range(2, 7)]


def test_a_table_that_may_not_be_read_is_told_after_the_incidents_and_by_the_probe():
    async def act(client, simulator, clock):
        simulator.sla.define("P5 resolution", EIGHT_HOURS)
        simulator.seed("incident", 1)
        simulator.instance.denied.add("task_sla")
        pages = []

        async def poll():
            async for page in client.changed_since("incident", ""):
                pages.append(page)  # noqa: PERF401 - what came before the fault is what is looked at

        with pytest.raises(NeedsOperator) as caught:
            await poll()
        incidents = sum(len(page.observations) for page in pages)
        return caught.value, incidents, pages[-1].watermark, await client.probe()

    fault, incidents, watermark, probe = played(act)
    assert (incidents, bool(watermark)) == (1, True), "tickets do not wait for clocks"
    assert "task_sla" in fault.text
    assert "contract_sla" in fault.remedy
    assert probe.missing_scopes == ("task_sla:read (task_sla)",)


def test_rows_that_are_all_left_out_are_told_and_none_at_all_is_no_fault():
    async def act(client, simulator, clock):
        simulator.seed("incident", 1)
        assert (await polled(client))[0] == {}
        simulator.sla.define("P5 resolution", EIGHT_HOURS)
        simulator.seed("incident", 2)
        simulator.instance.hidden.update(each["sys_id"] for each in simulator.sla.rows())
        with pytest.raises(NeedsOperator) as caught:
            await polled(client)
        return caught.value, await client.probe()

    fault, probe = played(act)
    assert "holds 2 service level clocks" in fault.text
    assert probe.missing_scopes == ("task_sla:read (task_sla: rows)",)


def test_a_column_that_may_not_be_read_is_told_by_name():
    async def act(client, simulator, clock):
        simulator.sla.define("P5 resolution", EIGHT_HOURS)
        simulator.seed("incident", 1)
        simulator.instance.blank.add("stage")
        with pytest.raises(NeedsOperator) as caught:
            await polled(client)
        return caught.value

    assert "without stage" in played(act).text


def test_every_permission_there_a_probe_finds_nothing_missing():
    async def act(client, simulator, clock):
        simulator.sla.define("P5 resolution", EIGHT_HOURS)
        simulator.seed("incident", 1)
        return await client.probe()

    assert played(act).missing_scopes == ()


@pytest.mark.parametrize(("status", "host"), [(401, "dev140312"), (402, "dev140312"), (403, "dev140112")])
def test_the_digits_of_a_host_are_no_status(status, host):
    class Refusing:
        async def page(self, table, *_, **__):
            answer = Answer(status=status, headers={}, body=b"", where=f"GET {host}.service-now.com/{table}")
            raise error(answer, writes=False, now=0.0)

    levels = ServiceLevels(Refusing(), 5)
    with pytest.raises(NeedsOperator) as caught:
        asyncio.run(levels.changed("", str))
    assert ("service level clocks" in caught.value.text) is (status == 403)
    if status == 401:
        with pytest.raises(NeedsOperator, match="answered 401"):
            asyncio.run(levels.probe())
    else:
        assert asyncio.run(levels.probe()) == "task_sla:read (task_sla)"
