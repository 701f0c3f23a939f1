"""A new crosswalk in force: over the real blueprint, lanes and book, with Jira and ServiceNow on their simulators."""

import asyncio
import time

import pytest

from isthmus.blueprint import running
from isthmus.hub import connections
from isthmus.hub.sync import service
from isthmus.hub.sync.models import Link

SHARED = {"1": "High", "2": "Medium", "3": "Low", "4": "Low"}
"""Two levels share a word, and Highest has no level."""


def tell(story):
    asyncio.run(asyncio.wait_for(story, 60))


def crosswalk(outward, **inward):
    back = {word: level for level, word in reversed(outward.items())}
    field = {"external": "priority", "outward": outward, "inward": {**back, **inward}}
    return {"jira": {"incident": {"fields": {"priority": field}}}}


async def at_jira(hub, record):
    key = (await hub.link(record, "jira")).external_key
    return (await hub.shown("jira", key)).values["priority"]


async def parked(hub):
    """An incident whose priority somebody at Jira has set to a word without counterpart."""
    await hub.apply(mappings=crosswalk(SHARED))
    record = await hub.opened(priority="2")
    await hub.settle()
    hub.human("jira", (await hub.link(record, "jira")).external_key, priority="Highest")
    await hub.poll("jira")
    await hub.settle()
    assert (await hub.run_of(record, "jira")).parked == 1
    return record


@pytest.mark.parametrize("noticed", [True, False], ids=["noticed", "applied-in-another-process"])
def test_a_new_crosswalk_is_planned_and_written_to_affected_objects_only(desk, noticed):
    """A process looks for a new blueprint once a second; what an apply made due may be claimed before."""

    async def story():
        async with desk() as hub:
            first = await hub.opened(priority="3")
            second = await hub.opened(priority="1")
            await hub.settle()
            keys = [(await hub.link(each, "jira")).external_key for each in (first, second)]
            writes = len(hub.simulators["jira"].writes())
            crosswalk = {
                "external": "priority",
                "outward": {"1": "Highest", "2": "High", "3": "Low", "4": "Lowest"},
            }
            before = vars(running._cache).copy()
            await hub.apply(mappings={"jira": {"incident": {"fields": {"priority": crosswalk}}}})
            if not noticed:
                vars(running._cache).update(before, _checked=time.monotonic())
                connections.forget()
            await hub.settle()
            assert [(await hub.shown("jira", key)).values["priority"] for key in keys] == ["Low", "Highest"]
            assert (await hub.incident(first)).priority == "3"
            assert len(hub.simulators["jira"].writes()) == writes + 1

    tell(story())


def test_an_edit_that_was_spelled_alike_is_written_when_it_no_longer_is(desk):
    async def story():
        async with desk() as hub:
            await hub.apply(mappings=crosswalk(SHARED))
            lowered, same = await hub.opened(priority="3"), await hub.opened(priority="3")
            await hub.settle()
            await hub.edit(lowered, priority="4")
            await hub.settle()
            writes = len(hub.simulators["jira"].writes())
            assert await at_jira(hub, lowered) == "Low"
            await hub.apply(mappings=crosswalk({**SHARED, "4": "Lowest"}))
            await hub.settle()
            assert [await at_jira(hub, each) for each in (lowered, same)] == ["Lowest", "Low"]
            assert len(hub.simulators["jira"].writes()) == writes + 1

    tell(story())


def test_a_value_that_had_no_counterpart_comes_in_with_the_crosswalk_that_names_it(desk):
    async def story():
        async with desk() as hub:
            record = await parked(hub)
            hub.book.clock.forward(hours=13)
            await hub.settle()
            assert await at_jira(hub, record) == "Highest", "time alone decides nothing for its author"
            await hub.apply(mappings=crosswalk(SHARED, Highest="1"))
            await hub.settle()
            assert (await hub.incident(record)).priority == "1"
            assert await at_jira(hub, record) == "Highest"
            assert (await hub.run_of(record, "jira")).parked == 0

    tell(story())


def test_a_person_may_have_ours_written_over_a_value_without_counterpart(desk):
    async def story():
        async with desk() as hub:
            record = await parked(hub)
            await hub.perform(
                lambda work: service.retry_parked(
                    work, Link.objects.get(record=record, connection="jira"), insist=True
                )
            )
            await hub.settle()
            assert await at_jira(hub, record) == "Medium"
            assert (await hub.run_of(record, "jira")).parked == 0

    tell(story())
