"""A class of alerts that loses full automation tells its ladder once; one that earns it again stops it."""

from __future__ import annotations

import asyncio

import msgspec

from isthmus.blueprint.sections import Parsed
from isthmus.kernel.record import Reason
from isthmus.practices.monitoring import accuracy
from isthmus.practices.monitoring.blueprint import MonitoringSection
from isthmus.practices.monitoring.checks import check
from isthmus.practices.monitoring.models import AccuracySample, Alert

ON_CALL = {
    "channels": {"ops": {"connection": "slack", "recipient": "C0OPS"}},
    "ladders": {"desk": {"steps": [{"after": "PT0S", "notify": [{"channel": "ops"}]}]}},
}
GOVERNED = {"threshold": 0.9, "verdicts_min": 2, "window": "P30D"}
WHY = [Reason(rule="test", text="For the test.")]


def play(world, act, **accuracy_terms):
    async def run():
        more = {"monitoring": {"automation": {"accuracy": {**GOVERNED, **accuracy_terms}}}}
        async with world("slack", more=more, **ON_CALL) as found:
            await act(found)

    asyncio.run(run())


def said(found):
    return [str(each) for each in found.simulators["slack"].messages()]


async def judged(found, verdict):
    def act(work):
        alert = work.create(
            Alert,
            organisation=found.book.organisation,
            values={"identity": work.trace, "decision": "opened"},
            why=WHY,
        )
        sample = work.create(
            AccuracySample, organisation=found.book.organisation, why=WHY,
            values={"alert": alert.id, "alert_class": "DiskFull", "verdict": "open", "seed": "s"},
        )  # fmt: skip
        accuracy.judge(work, sample.id, verdict, "It was no outage." if verdict == "wrong" else "")

    await found.perform(act)


def test_the_loss_is_told_once_and_ends_when_it_is_earned_again(world):
    async def act(found):
        for _ in range(3):
            await judged(found, "right")
        await found.forward(1)
        assert said(found) == []
        await judged(found, "wrong")
        await found.forward(60)
        (message,) = said(found)
        assert "DiskFull is only drafted now" in message
        assert "75.0%" in message
        await judged(found, "wrong")
        await found.forward(60)
        assert len(said(found)) == 1, "it is not lost twice"

    play(world, act, ladder="desk")


def test_without_a_ladder_nobody_is_told(world):
    async def act(found):
        for verdict in ("right", "right", "wrong"):
            await judged(found, verdict)
        await found.forward(60)
        assert said(found) == []

    play(world, act)


def test_a_ladder_that_does_not_exist_is_refused(book):
    section = msgspec.convert({"automation": {"accuracy": {"ladder": "nowhere"}}}, MonitoringSection)
    (problem,) = check(section, Parsed(values={}))
    assert problem.path == "/automation/accuracy/ladder"
    assert "on_call" in problem.remedy
