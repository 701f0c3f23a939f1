"""E2: an integration that fails pages its owner."""

from __future__ import annotations

from tests.practices.on_call.ladders import (
    play,
    policy,
    section,
)

from isthmus.hub.models import ConnectionState
from isthmus.practices.on_call import escalating


def test_an_integration_that_fails_pages_its_owner_and_then_level_two(world):
    async def act(found):
        await found.settle()
        assert await found.escalations() == []

        def broken(work):
            key = {"organisation": found.book.organisation, "connection": "teams"}
            work.upsert(ConnectionState, key=key, values={"breaker": "open", "last_error_at": work.now})

        await found.perform(broken)
        await found.forward(10)
        assert [each["to"] for each in found.simulators["smtp"].messages()] == ["ada@example.test"]
        assert "teams" in found.simulators["smtp"].messages()[0]["title"]
        await found.forward(299)
        assert len(found.simulators["smtp"].messages()) == 1
        await found.forward(2)
        assert [each["to"] for each in found.simulators["smtp"].messages()] == [
            "ada@example.test",
            "ben@example.test",
        ]

    owned = {"owners": {"connections": {"teams": "ops"}}}
    ladder = {
        "steps": [
            {"after": "PT0S", "notify": [{"rota": "@owner"}]},
            {"after": "PT5M", "notify": [{"rota": "second"}]},
        ]
    }
    play(world, act, **section(**policy("integration", "owner"), **owned, ladders={"owner": ladder}))


def test_an_integration_that_recovers_or_is_acknowledged_pages_nobody_further(world):
    async def act(found):
        key = {"organisation": found.book.organisation, "connection": "teams"}

        async def breaker(state):
            await found.perform(
                lambda work: work.upsert(
                    ConnectionState, key=key, values={"breaker": state, "last_error_at": work.now}
                )
            )

        await breaker("open")
        await found.forward(10)
        await breaker("closed")
        await found.forward(600)
        assert len(found.simulators["smtp"].messages()) == 1
        await breaker("open")
        await found.forward(10)
        (running,) = await found.escalations(state="running")
        await found.perform(lambda work: escalating.acknowledge(work, escalating.of(running.id), door="api"))
        await found.forward(600)
        assert len(found.simulators["smtp"].messages()) == 2

    ladder = {
        "steps": [
            {"after": "PT0S", "notify": [{"rota": "ops"}]},
            {"after": "PT5M", "notify": [{"rota": "second"}]},
        ]
    }
    play(world, act, **section(**policy("integration", "owner"), ladders={"owner": ladder}))
