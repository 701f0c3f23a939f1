"""A verb may take several requests. If one fails after a write was answered, what was made is looked for, never made twice."""

import asyncio

import pytest

from isthmus.connectors.kit.faults import Fault
from isthmus.hub.lanes import service as lanes
from isthmus.hub.lanes.models import Delivery
from isthmus.practices.incident.comments import comment

REFUSALS = [429, 500, 503]


def tell(story):
    asyncio.run(asyncio.wait_for(story, 60))


def posts(hub, end):
    calls = hub.simulators["jira"].writes()
    return [each for each in calls if each.method == "POST" and each.path.endswith(end)]


async def settled_in_time(hub):
    for _ in range(3):
        await hub.settle()
        hub.book.clock.forward(minutes=10)
    await hub.settle()


@pytest.mark.parametrize("status", REFUSALS)
def test_a_creation_that_cannot_be_read_back_makes_one_object(desk, status):
    async def story():
        async with desk() as hub:
            jira = hub.simulators["jira"]
            jira.faults.plan(Fault.STATUS, method="GET", path="/issue/", status=status)
            record = await hub.opened()
            await settled_in_time(hub)
            assert len(hub.objects("jira")) == len(posts(hub, "/issue")) == 1
            link = await hub.link(record, "jira")
            assert link.external_key
            assert (await hub.run_of(record, "jira")).operation is None

    tell(story())


def test_a_creation_whose_object_may_not_be_read_is_found_when_it_may(desk):
    async def story():
        async with desk() as hub:
            jira = hub.simulators["jira"]
            jira.faults.plan(Fault.STATUS, method="GET", path="/issue/", status=403, times=50)
            record = await hub.opened()
            await settled_in_time(hub)
            row = await hub.store(lambda: Delivery.objects.get(connection="jira"))
            assert (row.state, row.fault) == ("dead", "operator")
            jira.faults.clear()
            hub.book.clock.forward(minutes=10)
            await hub.perform(lambda work: lanes.retry(work, row.id))
            await settled_in_time(hub)
            assert len(hub.objects("jira")) == len(posts(hub, "/issue")) == 1
            assert (await hub.link(record, "jira")).external_key

    tell(story())


@pytest.mark.parametrize("status", REFUSALS)
def test_a_comment_that_cannot_be_read_back_is_written_once(desk, status):
    async def story():
        async with desk() as hub:
            record = await hub.opened()
            await hub.settle()
            hub.simulators["jira"].faults.plan(Fault.STATUS, method="GET", path="/issue/", status=status)
            incident = await hub.incident(record)
            await hub.perform(lambda work: comment(work, incident, "Once only.", public=True))
            await settled_in_time(hub)
            assert len(posts(hub, "/comment")) == 1
            run = await hub.run_of(record, "jira")
            assert (run.operation, run.parked) == (None, 0)

    tell(story())


@pytest.mark.parametrize("status", REFUSALS)
def test_an_edit_that_cannot_be_read_back_is_written_once(desk, status):
    async def story():
        async with desk() as hub:
            record = await hub.opened()
            await hub.settle()
            key = (await hub.link(record, "jira")).external_key
            writes = len(hub.simulators["jira"].writes())
            # The first look of a write is at what it changes; the second is at what came of it.
            jira = hub.simulators["jira"]
            jira.after_read.append(
                lambda: jira.faults.plan(Fault.STATUS, method="GET", path="/issue/", status=status)
            )
            await hub.edit(record, title="Till 5 is down")
            await settled_in_time(hub)
            assert len(jira.writes()) == writes + 1
            assert (await hub.shown("jira", key)).values["title"] == "Till 5 is down"
            assert (await hub.run_of(record, "jira")).operation is None

    tell(story())


def test_a_refusal_before_any_write_is_no_doubt(desk):
    """Nothing was made: it is tried again by its backoff, not after the wait for a late request."""

    async def story():
        async with desk() as hub:
            hub.simulators["jira"].faults.plan(Fault.STATUS, method="POST", path="/issue", status=503)
            record = await hub.opened()
            await hub.settle()
            assert (await hub.run_of(record, "jira")).operation is None
            assert len(hub.objects("jira")) == 1

    tell(story())
