"""E2: which step of which ladder is due, and whom it tells; real lanes and simulators, a clock that moves."""

from __future__ import annotations

import json
import re

from tests.practices.on_call.ladders import (
    LEVELS,
    ROTAS,
    counts,
    play,
    policy,
    section,
    used,
)

from isthmus.kernel.instant import SECOND
from isthmus.practices.incident import service as incidents
from isthmus.practices.on_call import duty, escalating


def test_at_half_three_quarters_and_all_of_the_time_each_channel_gets_one_message(world):
    async def act(found):
        incident = await found.opened()
        for seconds, percent, expected in ((30, 50, 1), (15, 75, 2), (15, 100, 3)):
            await found.forward(seconds - 1)
            assert counts(found) == (expected - 1, expected - 1), "not before its time"
            await found.forward(1)
            await used(found, incident, percent)
            await used(found, incident, percent)
            assert counts(found) == (expected, expected), "once, though the clock said it twice"
        first, second, last = found.simulators["slack"].messages()
        assert incident.number in first["text"]
        assert "50 %" in first["text"]
        left = [int(re.search(r"(\d+) s left", each["text"])[1]) for each in (first, second)]
        assert 15 < left[0] <= 30, "a slow machine takes a second or two itself"
        assert 0 < left[1] <= 15
        assert "overdue by" in last["text"]
        assert "Till 4 is down" not in json.dumps(first), "restricted data stays behind the link"
        assert f"https://hub.example.test/incidents/{incident.id}" in json.dumps(first)

    play(world, act, **section(**policy("sla", "shares")))


def test_the_clock_of_a_service_level_of_a_minute_tells_at_30_45_and_60_seconds(world):
    async def act(found):
        await found.opened()
        await found.settle()
        seen = []
        for _ in range(14):
            await found.forward(5)
            seen.append(counts(found))
        assert [seen.index((each, each)) for each in (1, 2, 3)] == [5, 8, 11], "at 30, 45 and 60 s"
        assert seen[-1] == (3, 3)

    play(world, act, more=LEVELS, **section(**policy("sla", "shares")))


def test_a_ladder_by_time_does_the_same(world):
    async def act(found):
        await found.opened()
        await found.settle()
        seen = []
        for _ in range(14):
            await found.forward(5)
            seen.append(counts(found))
        assert [seen.index((each, each)) for each in (1, 2, 3)] == [5, 8, 11], "at 30, 45 and 60 s"
        assert seen[-1] == (3, 3)

    play(world, act, **section(**policy("priority", "timed", priorities=["1"])))


def test_another_priority_begins_no_ladder(world):
    async def act(found):
        await found.opened(impact="4", urgency="4")
        await found.forward(600)
        assert counts(found) == (0, 0)
        assert await found.escalations() == []

    play(world, act, **section(**policy("priority", "timed", priorities=["1"])))


def test_the_rota_decides_and_an_override_sends_the_next_one_to_somebody_else(world):
    async def act(found):
        await found.opened()
        await found.settle()
        now = found.now()
        await found.perform(
            lambda work: duty.override(work, "ops", person="cai", starts_at=now, ends_at=now + 3_600 * SECOND)
        )
        await found.opened(title="Till 5 is down")
        await found.settle()
        assert [each["to"] for each in found.simulators["smtp"].messages()] == [
            "ada@example.test",
            "cai@example.test",
        ]
        await found.forward(300)
        assert [each["to"] for each in found.simulators["smtp"].messages()][2:] == ["ben@example.test"] * 2

    play(world, act, **section(**policy("priority", "people", priorities=["1"])))


def test_nobody_on_duty_brings_the_next_step_forward(world):
    async def act(found):
        await found.opened()
        await found.settle()
        assert [each["to"] for each in found.simulators["smtp"].messages()] == ["ben@example.test"]

    rotas = {**ROTAS, "ops": {"layers": [{"name": "one", "participants": ["nobody-here"]}]}}
    play(world, act, **section(**policy("priority", "people", priorities=["1"]), rotas=rotas))


def test_a_gap_takes_no_step_of_a_later_round(world):
    async def act(found):
        await found.opened()
        await found.settle()
        (held,) = await found.escalations()
        assert (held.state, held.fired, len(await found.notifications())) == ("running", ["0:0", "0:1"], 0)
        await found.forward(60)
        assert (await found.escalations())[0].fired == ["0:0", "0:1"]
        await found.apply(**section(**urgent, ladders=again))
        await found.forward(61)
        assert [each["to"] for each in found.simulators["smtp"].messages()] == ["ada@example.test"]

    nobody = {"ops": {"layers": [{"name": "one", "participants": ["nobody-here"]}]}}
    steps = [{"after": "PT0S", "notify": [{"rota": "ops"}]}, {"after": "PT1M", "notify": [{"rota": "ops"}]}]
    again = {"people": {"repeat": 20, "repeat_after": "PT1M", "steps": steps}}
    urgent = policy("priority", "people", priorities=["1"])
    play(world, act, **section(**urgent, rotas=nobody, ladders=again))


def test_a_resolved_incident_calls_nobody_any_more(world):
    async def act(found):
        incident = await found.opened()
        await found.forward(30)
        await found.on(incident, incidents.resolve, code="solved", notes="Restarted.")
        await found.forward(600)
        assert counts(found) == (1, 1)
        assert [(each.state, each.open) for each in await found.escalations()] == [("stopped", False)]
        await found.on(incident, incidents.reopen)
        await found.forward(30)
        assert counts(found) == (2, 2), "taken up again, a ladder of its own begins"

    play(world, act, **section(**policy("priority", "timed", priorities=["1"])))


def test_a_manual_page_functional_and_hierarchical(world):
    async def act(found):
        incident = await found.opened(assignment_group="desk")
        await found.perform(
            lambda work: escalating.start(
                work, key=f"manual:{incident.id}", policy="", trigger="manual", ladder="up", subject_kind="incident",
                subject=incident.id, organisation=incident.organisation, comment="Please help",
            )
        )  # fmt: skip
        await found.settle()
        again = await found.store(lambda: incidents.Incident.objects.get(id=incident.id))
        assert again.assignment_group == "network"
        await found.forward(60)
        assert [each["to"] for each in found.simulators["smtp"].messages()] == [
            "ben@example.test",
            "cai@example.test",
        ]

    groups = {"groups": {"network": {"members": ["ben"], "manager": "cai"}, "desk": {"members": ["ada"]}}}
    up = {
        "steps": [
            {"after": "PT0S", "assign": "network", "notify": [{"group": "@assigned"}]},
            {"after": "PT1M", "notify": [{"manager_of": "@assigned"}]},
        ]
    }
    play(world, act, **section(ladders={"up": up}, **groups))


def test_age_stall_and_major_begin_their_ladders_when_it_is_time(world):
    async def act(found):
        incident = await found.opened(impact="3", urgency="3")
        await found.forward(50)
        await found.on(incident, incidents.update, {"category": "till"})
        await found.forward(50)
        assert [each.policy for each in await found.escalations()] == ["old"]
        await found.forward(15)
        assert [each.policy for each in await found.escalations()] == ["old", "still"]
        await found.on(incident, incidents.declare_major, owner="desk", reason="Everywhere")
        await found.settle()
        assert [each.policy for each in await found.escalations()] == ["old", "still", "big"]

    one = {"one": {"steps": [{"after": "PT0S", "notify": [{"channel": "mail-ops"}]}]}}
    policies = [
        {"name": "old", "trigger": "age", "ladder": "one", "after": "PT90S"},
        {"name": "still", "trigger": "stall", "ladder": "one", "after": "PT60S"},
        {"name": "big", "trigger": "major", "ladder": "one"},
    ]
    play(world, act, **section(ladders=one, policies=policies))
