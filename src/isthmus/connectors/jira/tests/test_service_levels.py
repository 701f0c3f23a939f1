import asyncio

from isthmus.connectors.jira.service_levels import clocks
from isthmus.connectors.jira.tests.connected import connected
from isthmus.connectors.kit.ports import decode_observations, encode_observations
from isthmus.kernel.instant import HOUR, MINUTE, Instant

FIELD = "customfield_10030"
ONGOING = {
    "id": "68",
    "name": "Time to resolution",
    "completedCycles": [],
    "ongoingCycle": {
        "startTime": {"iso8601": "2026-11-20T15:00:00+0000", "epochMillis": 1795186800000},
        "breachTime": {"iso8601": "2026-11-20T19:00:00+0000", "epochMillis": 1795201200000},
        "breached": False,
        "paused": True,
        "withinCalendarHours": True,
        "goalDuration": {"millis": 14400000, "friendly": "4h"},
        "elapsedTime": {"millis": 600000, "friendly": "10m"},
        "remainingTime": {"millis": 13800000, "friendly": "3h 50m"},
    },
}
COMPLETED = {
    "name": "Time to first response",
    "completedCycles": [
        {
            "startTime": {"epochMillis": 1795186800000},
            "stopTime": {"epochMillis": 1795187400000},
            "breached": True,
            "goalDuration": {"millis": 300000},
            "elapsedTime": {"millis": 600000},
        }
    ],
}
READ = Instant(1795190400000000)


def test_an_ongoing_cycle_holds_at_the_read_and_a_completed_one_at_its_end():
    found = clocks({FIELD: ONGOING, "other": COMPLETED}, [FIELD, "other"], READ)
    ongoing, ended = found
    assert (ongoing.name, ongoing.state, ongoing.at) == ("Time to resolution", "paused", READ)
    assert (ongoing.amount, ongoing.elapsed, ongoing.breached) == (4 * HOUR, 10 * MINUTE, False)
    assert ongoing.due_at - ongoing.started_at == 4 * HOUR
    assert (ended.state, ended.breached, ended.at) == ("stopped", True, ended.stopped_at)


def test_what_is_no_sla_field_is_passed_over_and_nothing_asked_is_nothing_said():
    values = {"a": None, "b": "text", "c": {"name": "x"}, "d": {"ongoingCycle": {"elapsedTime": "soon"}}}
    found = clocks(values, ["a", "b", "c", "d", "missing"], READ)
    assert [(each.name, each.elapsed) for each in found] == [("d", None)]
    assert clocks({FIELD: ONGOING}, [], READ) is None


def test_the_clocks_of_an_issue_are_read_with_it_and_survive_the_log():
    async def act():
        async with connected(sla_fields=[FIELD]) as (client, simulator):
            made = await client.create("incident", {"title": "Slow", "state": "Open"}, "link", "key")
            simulator.human_edit("incident", made.ref.key, {FIELD: ONGOING})
            return await client.read(made.ref)

    seen = asyncio.run(act())
    assert [each.name for each in seen.sla_clocks] == ["Time to resolution"]
    assert decode_observations(encode_observations([seen])) == [seen]
