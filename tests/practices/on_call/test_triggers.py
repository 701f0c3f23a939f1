"""What begins and ends ladders beside incidents: decisions that wait, integrations that fail in each way, policies."""

from __future__ import annotations

import asyncio

import pytest

from isthmus.blueprint import validate
from isthmus.blueprint.source import Source
from isthmus.hub.lanes.models import Delivery
from isthmus.hub.models import ConnectionState, ParkedMessage
from isthmus.ledger.ids import source
from isthmus.practices.approval.models import Approval

CHANNELS = {"ops": {"connection": "smtp", "recipient": "ops@example.test"}}
ONE = {"one": {"steps": [{"after": "PT0S", "notify": [{"channel": "ops"}]}]}}


def play(world, act, **on_call):
    async def run():
        async with world("smtp", channels=CHANNELS, ladders=ONE, **on_call) as found:
            await act(found)

    asyncio.run(run())


def mails(found):
    return [each["title"] for each in found.simulators["smtp"].messages()]


def asked(found, work):
    return work.create(
        Approval, organisation=found.book.organisation, why=[],
        values={"subject_kind": "change", "subject": "1" * 26, "authority": "cab", "definition": "normal", "state": "awaiting"},
    )  # fmt: skip


def test_a_decision_that_waits_too_long_pages_and_one_that_is_made_does_not(world):
    async def act(found):
        await found.perform(lambda work: asked(found, work))
        made = await found.perform(lambda work: asked(found, work))
        await found.forward(30)
        await found.perform(
            lambda work: work.change(Approval.objects.get(id=made.id), {"state": "approved"}, why=[])
        )
        await found.forward(29)
        assert mails(found) == []
        await found.forward(2)
        assert len(mails(found)) == 1
        assert "decision waits" in mails(found)[0]
        (escalation,) = await found.escalations()
        await found.perform(
            lambda work: work.change(
                Approval.objects.get(id=escalation.subject), {"state": "refused"}, why=[]
            )
        )
        await found.settle()
        assert [each.state for each in await found.escalations()] in (["stopped"], ["finished"])
        assert [each.open for each in await found.escalations()] == [False]

    play(world, act, policies=[{"name": "slow", "trigger": "approval", "after": "PT60S", "ladder": "one"}])


def dead(work, organisation):
    work.insert(
        Delivery, id=source.new_id(), organisation=organisation, connection="smtp", kind="once", subject="s", record_kind="incident",
        record="r", verb="comment", state="dead", key=source.new_id(), payload=b"", created_at=work.now, updated_at=work.now,
    )  # fmt: skip


def parked(work, organisation):
    work.insert(
        ParkedMessage, id=source.new_id(), organisation=organisation, connection="smtp", position=1, place=0, message_id="m",
        trace="t", kind="incident", state="parked", received_at=work.now, parked_at=work.now,
    )  # fmt: skip


def silent(work, organisation):
    key = {"organisation": organisation, "connection": "smtp"}
    work.upsert(ConnectionState, key=key, values={"last_received_at": work.now - 3_600_000_000})


@pytest.mark.parametrize(
    ("fails", "words"), [(dead, "dead letters"), (parked, "could not be taken"), (silent, "silent")]
)
def test_each_way_to_fail_pages_the_owner_once(world, fails, words):
    async def act(found):
        await found.settle()
        assert mails(found) == []
        await found.perform(lambda work: fails(work, found.book.organisation))
        for _ in range(5):
            await found.forward(10)
        assert len(mails(found)) == 1
        assert words in mails(found)[0]

    play(
        world, act, policies=[{"name": "broken", "trigger": "integration", "ladder": "one"}],
        watch={"every": "PT10S", "silent_after": {"smtp": "PT30M"}},
    )  # fmt: skip


def test_a_policy_of_other_failures_or_connections_is_not_meant(world):
    async def act(found):
        await found.perform(lambda work: dead(work, found.book.organisation))
        for _ in range(3):
            await found.forward(10)
        assert mails(found) == []

    policies = [
        {"name": "breakers", "trigger": "integration", "ladder": "one", "failures": ["breaker"]},
    ]
    play(world, act, policies=policies)


def test_two_organisations_page_their_own(world):
    async def act(found):
        amber = await found.store(lambda: found.book.add_organisation("amber"))
        basalt = await found.store(lambda: found.book.add_organisation("basalt"))
        await found.apply(
            organisations={"smtp": "amber"}, channels=CHANNELS, ladders=ONE,
            policies=[{"name": "p1", "trigger": "priority", "priorities": ["1"], "ladder": "one"}],
        )  # fmt: skip
        await found.opened(organisation=basalt)
        await found.settle()
        assert mails(found) == [], "basalt's incident does not go through amber's connection"
        (nobody,) = await found.escalations()
        assert nobody.organisation == basalt
        await found.opened(organisation=amber)
        await found.settle()
        assert len(mails(found)) == 1

    play(world, act)


def problems(**on_call):
    whole = {
        "connections": {"smtp": {"connector": "smtp", "config": {"host": "h", "sender": "a@b.test"}},
                        "csv": {"connector": "csv", "config": {}}},
        "on_call": {"channels": CHANNELS, "ladders": ONE, **on_call},
    }  # fmt: skip
    return [each.message for each in validate.check(Source(sections=whole))[1] if "on_call" in each.path]


@pytest.mark.parametrize(
    ("on_call", "says"),
    [
        ({"channels": {"x": {"connection": "none"}}}, "no connection 'none'"),
        ({"channels": {"x": {"connection": "csv"}}}, "cannot carry messages"),
        ({"channels": {"x": {"connection": "smtp", "fallback": "y"}, "y": {"connection": "smtp", "fallback": "x"}}}, "circle"),
        ({"ladders": {"one": {"steps": []}}}, "1 to 20 steps"),
        ({"ladders": {"one": {"steps": [{"notify": []}]}}}, "either after or percent"),
        ({"ladders": {"one": {"steps": [{"after": "PT0S", "notify": [{"rota": "none"}]}]}}}, "no rota 'none'"),
        ({"ladders": {"one": {"steps": [{"after": "PT0S", "notify": [{"rota": "@owner", "person": "x"}]}]}}}, "exactly one"),
        ({"policies": [{"name": "a", "trigger": "age", "ladder": "one"}]}, "needs after"),
        ({"policies": [{"name": "a", "trigger": "sla", "ladder": "one"}]}, "no step by percent"),
        ({"policies": [{"name": "a", "trigger": "major", "ladder": "none"}]}, "no ladder 'none'"),
        ({"rotas": {"r": {"layers": []}}}, "needs a layer"),
        ({"rotas": {"r": {"zone": "Mars/Base", "layers": [{"name": "a", "participants": ["x"]}]}}}, "no time zone"),
        ({"rotas": {"r": {"layers": [{"name": "a", "participants": ["x"], "rotation": "PT1M"}]}}}, "not a duration"),
        ({"channels": {"x" * 49: {"connection": "smtp"}}}, "1 to 48 characters"),
        ({"policies": [{"name": "p" * 101, "trigger": "major", "ladder": "one"}]}, "1 to 100 characters"),
        ({"owners": {"otherwise": "none"}}, "no rota 'none'"),
        ({"people": {"methods": ["ops"]}}, "no channel for people"),
        ({"templates": {"sla": {"en": {"title": "{nonsense}", "text": ""}}}}, "no place {nonsense}"),
    ],
)  # fmt: skip
def test_what_cannot_work_is_refused_with_its_place(book, on_call, says):
    found = problems(**on_call)
    assert any(says in each for each in found), found


def test_what_works_is_not_refused(book):
    assert problems() == []


def test_a_percent_that_no_clock_tells_is_refused(book):
    ladders = {"one": {"steps": [{"percent": 80, "notify": [{"channel": "ops"}]}]}}
    policies = [{"name": "a", "trigger": "sla", "ladder": "one"}]
    levels = [{"name": "gold", "targets": {"resolution": {"within": "PT1H"}}}]
    whole = {
        "connections": {"smtp": {"connector": "smtp", "config": {"host": "h", "sender": "a@b.test"}}},
        "on_call": {"channels": CHANNELS, "ladders": ladders, "policies": policies}, "service_levels": levels,
    }  # fmt: skip
    (problem,) = validate.check(Source(sections=whole))[1]
    assert "80 %" in problem.message
    levels[0]["thresholds"] = [50, 80]
    assert validate.check(Source(sections=whole))[1] == []
