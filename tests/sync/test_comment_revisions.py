"""Comments changed and removed elsewhere: done where the partner lets us, parked in sight where it does not."""

import asyncio

from isthmus.connectors.jira.adf import from_adf
from isthmus.connectors.kit.faults import Fault
from isthmus.hub.lanes.models import Delivery
from isthmus.practices.incident.comments import comment
from isthmus.practices.incident.models import Comment, Incident


def tell(story):
    asyncio.run(asyncio.wait_for(story, 60))


async def opened(hub):
    record = await hub.opened()
    await hub.settle()
    held = await hub.perform(
        lambda work: comment(work, Incident.objects.get(id=record), "as first written", public=True).id
    )
    await hub.settle()
    return record, held


async def change(hub, held, **values):
    await hub.perform(lambda work: work.change(Comment.objects.get(id=held), values, why=[]))
    await hub.settle()


def texts(hub):
    return [from_adf(each["body"]) for _, each in hub.simulators["jira"].shelf("comment").all()]


async def quiet(hub):
    for name in hub.simulators:
        await hub.poll(name)
    await hub.settle()
    return [len(each.writes()) for each in hub.simulators.values()]


def test_a_changed_comment_is_changed_where_that_is_possible_and_flagged_where_not(desk):
    async def story():
        async with desk() as hub:
            record, held = await opened(hub)
            await change(hub, held, body="as corrected")
            assert texts(hub) == ["as corrected"]
            entries = [each["value"] for _, each in hub.simulators["snow"].shelf("sys_journal_field").all()]
            assert len(entries) == 1, "never added a second time"
            assert entries[0].startswith("as first written")
            snow = await hub.store(lambda: Delivery.objects.get(connection="snow", kind="converge"))
            assert snow.outcome == "In step, except 1 comment(s) (parked)."
            assert (await hub.run_of(record, "snow")).parked == 1
            writes = await quiet(hub)
            assert await quiet(hub) == writes, "no echo"
            assert await hub.store(Comment.objects.count) == 1
            assert (await hub.store(Comment.objects.get)).body == "as corrected", (
                "the old text is not taken back"
            )

    tell(story())


def test_a_removed_comment_is_removed_and_does_not_come_back(desk):
    async def story():
        async with desk() as hub:
            record, held = await opened(hub)
            await change(hub, held, state="deleted")
            assert texts(hub) == []
            assert (await hub.run_of(record, "jira")).operation is None
            assert (await hub.run_of(record, "snow")).parked == 1
            writes = await quiet(hub)
            assert await quiet(hub) == writes
            assert (await hub.store(Comment.objects.get)).state == "deleted"

    tell(story())


def test_a_lost_answer_repeats_nothing_and_a_refusal_is_parked(desk):
    async def story():
        async with desk() as hub:
            record, held = await opened(hub)
            hub.simulators["jira"].faults.plan(Fault.RESET_AFTER_COMMIT, method="PUT", path="comment")
            await change(hub, held, body="second text")
            hub.book.clock.forward(minutes=5)
            await hub.settle()
            puts = [each for each in hub.simulators["jira"].calls if each.method == "PUT"]
            assert (texts(hub), len(puts)) == (["second text"], 1)
            hub.simulators["jira"].faults.plan(Fault.STATUS, method="PUT", path="comment", status=403)
            await change(hub, held, body="third text")
            assert texts(hub) == ["second text"]
            assert (await hub.run_of(record, "jira")).parked == 1
            await hub.perform(lambda work: comment(work, Incident.objects.get(id=record), "the next one").id)
            await hub.settle()
            assert texts(hub) == ["second text", "the next one"], "one refusal holds up no other comment"
            assert await hub.store(Comment.objects.count) == 2

    tell(story())
