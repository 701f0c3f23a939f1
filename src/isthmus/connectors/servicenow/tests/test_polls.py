import asyncio

from isthmus.connectors.servicenow.simulated.query import select
from isthmus.connectors.servicenow.tests.connected import connected

COLUMNS = frozenset({"sys_id", "n", "t"})
ROWS = [{"sys_id": str(n), "n": str(n % 3), "t": f"2026-11-20 10:00:0{n}"} for n in range(6)]


def keys(query):
    return [row["sys_id"] for row in select(lambda: ROWS, query, COLUMNS)]


def test_queries_bind_as_in_the_product():
    assert keys("n=1^ORn=2^t>2026-11-20 10:00:03") == ["4", "5"], "^OR binds to the condition before it"
    assert keys("n=1^t>2026-11-20 10:00:03^NQsys_id=0") == ["0", "4"], "^NQ starts another query"
    assert keys("sys_idIN1,5^ORDERBYDESCsys_id") == ["5", "1"]
    assert keys("nonsense=1") == ["0", "1", "2", "3", "4", "5"], "an invalid term is ignored"


def test_a_look_up_that_servicenow_ignores_finds_nobody():
    async def act():
        async with connected() as (client, simulator):
            simulator.seed("incident", 3)
            return await client.find("^correlation_idISNOTEMPTY", "incident")

    assert asyncio.run(act()) == []


def test_pages_that_access_rules_thin_out_or_empty_do_not_end_a_poll():
    async def act():
        async with connected() as (client, simulator):
            seeded = simulator.seed("incident", 350)
            order = sorted(seeded)  # one second, so the poll goes by sys_id
            simulator.instance.hidden.update(order[50:260])
            found = [
                each.external.key
                async for page in client.changed_since("incident", "")
                for each in page.observations
            ]
            return found, order[:50] + order[260:]

    found, expected = asyncio.run(act())
    assert sorted(found) == sorted(expected)


def test_a_poll_reaches_back_and_brings_the_comments():
    async def act():
        async with connected() as (client, simulator):
            key = simulator.seed("incident", 1)[0]
            _, watermark = await drain(client)
            simulator.human_comment("incident", key, "internal", public=False)
            return await drain(client, watermark)

    observations, _ = asyncio.run(act())
    assert [(each.body, each.public) for each in observations[0].comments] == [("internal", False)]


def test_state_and_approval_of_a_change_are_evidence_and_never_values():
    async def act():
        async with connected() as (client, simulator):
            key = simulator.seed("change", 1)[0]
            simulator.instance.update(
                "change_request", key, {"approval": "approved", "state": "-2"}, "change.manager"
            )
            return (await drain(client, kind="change"))[0][0]

    seen = asyncio.run(act())
    assert not {"state", "authorisation", "risk"} & set(seen.values)
    assert seen.evidence["authorisation"] == "approved"
    assert seen.evidence["state"] == "scheduled"
    assert seen.evidence["content"] == seen.values, "what was approved comes from the same read"
    assert seen.partner_actor == "change.manager"


async def drain(client, watermark="", kind="incident"):
    found = []
    async for page in client.changed_since(kind, watermark):
        found += page.observations
        watermark = page.watermark
    return found, watermark
