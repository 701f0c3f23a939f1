"""One record in ServiceNow and Jira at once, over the real connectors, their simulators and the real book."""

import asyncio
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import connection

from isthmus.connectors.kit.faults import Fault
from isthmus.hub.lanes import service as lanes
from isthmus.hub.lanes.models import Delivery
from isthmus.hub.sync import service
from isthmus.hub.sync.models import Conflict, Link
from isthmus.ledger import scope
from isthmus.practices.incident.comments import comment
from isthmus.practices.incident.models import Incident


def tell(story):
    asyncio.run(asyncio.wait_for(story, 60))


async def both_keys(hub, record):
    return [(await hub.link(record, name)).external_key for name in ("snow", "jira")]


def test_a_new_record_is_created_in_every_system_once(desk):
    async def story():
        async with desk() as hub:
            record = await hub.opened()
            await hub.settle()
            await hub.settle()
            assert len(hub.objects("snow")) == len(hub.objects("jira")) == 1
            for name in ("snow", "jira"):
                link = await hub.link(record, name)
                assert link.external_key
                assert link.state == "active"
                run = await hub.run_of(record, name)
                assert (run.operation, run.parked) == (None, 0), link.parts
                deliveries = await hub.store(lambda: list(Delivery.objects.values_list("state", flat=True)))
                assert deliveries == ["done", "done"]

    tell(story())


def test_an_edit_here_is_written_once_and_its_echo_writes_nothing(desk):
    async def story():
        async with desk() as hub:
            record = await hub.opened()
            await hub.settle()
            await hub.edit(record, title="Till 4 and 5 are down", priority="1")
            await hub.settle()
            keys = await both_keys(hub, record)
            assert (await hub.shown("snow", keys[0])).values["title"] == "Till 4 and 5 are down"
            assert (await hub.shown("jira", keys[1])).values["priority"] == "Highest"
            before = [len(each.writes()) for each in hub.simulators.values()]
            for name, key in zip(("snow", "jira"), keys, strict=True):
                await hub.observe(name, await hub.shown(name, key))
            await hub.settle()
            assert before == [len(each.writes()) for each in hub.simulators.values()]

    tell(story())


def test_an_edit_there_reaches_the_other_system(desk):
    async def story():
        async with desk() as hub:
            record = await hub.opened()
            await hub.settle()
            snow, jira = await both_keys(hub, record)
            hub.human("snow", snow, title="Renamed in ServiceNow")
            hub.human("jira", jira, description="Described in Jira")
            await hub.poll("snow")
            await hub.poll("jira")
            await hub.settle()
            found = await hub.incident(record)
            assert (found.title, found.description) == ("Renamed in ServiceNow", "Described in Jira")
            assert (await hub.shown("jira", jira)).values["title"] == "Renamed in ServiceNow"
            assert (await hub.shown("snow", snow)).values["description"] == "Described in Jira"

    tell(story())


def test_an_object_opened_there_becomes_a_record_and_appears_in_the_other_system(desk):
    async def story():
        async with desk() as hub:
            (key,) = hub.simulators["snow"].seed("incident", 1)
            seen = await hub.shown("snow", key)
            (outcome,) = await hub.observe("snow", seen)
            assert outcome.what == "entry"
            (again,) = await hub.observe("snow", seen)
            assert again.what == "repeat"
            await hub.settle()
            assert len(hub.objects("snow")) == 1, "the object itself must not be created a second time"
            (issue,) = hub.objects("jira")
            assert issue["fields"]["summary"] == seen.values["title"]
            assert await hub.store(Incident.objects.count) == 1

    tell(story())


def test_unlinked_objects_go_their_own_ways(desk):
    async def story():
        async with desk() as hub:
            record = await hub.opened()
            await hub.settle()
            _, jira = await both_keys(hub, record)
            await hub.perform(
                lambda work: service.unlink(
                    work, Link.objects.get(record=record, connection="jira"), why="test"
                )
            )
            await hub.edit(record, title="Only in ServiceNow from now on")
            await hub.settle()
            assert (await hub.shown("jira", jira)).values["title"] == "Till 4 is down"

    tell(story())


def test_comments_travel_both_ways_and_never_twice(desk):
    async def story():
        async with desk() as hub:
            record = await hub.opened()
            await hub.settle()
            snow, jira = await both_keys(hub, record)
            await hub.perform(
                lambda work: comment(work, Incident.objects.get(id=record), "written here", public=True)
            )
            await hub.settle()
            hub.simulators["snow"].human_comment("incident", snow, "written there")
            await hub.poll("snow")
            await hub.settle()
            await hub.poll("snow")
            await hub.poll("jira")
            await hub.settle()
            from isthmus.connectors.kit.ports import TicketSystem
            from isthmus.hub import connections
            from isthmus.kernel.observation import ExternalRef

            for name, kind, key in (("snow", "incident", snow), ("jira", "issue", jira)):
                client = await hub.store(lambda name=name: connections.open(name).client)
                assert isinstance(client, TicketSystem)
                bodies = sorted(
                    each.body
                    for each in await client.comments(ExternalRef(connection=name, kind=kind, key=key))
                )
                await client.close()
                assert bodies == ["written here", "written there"]

    tell(story())


@pytest.mark.parametrize("fault", [Fault.RESET_AFTER_COMMIT, Fault.RESET_BEFORE_COMMIT])
def test_a_broken_connection_during_creation_leaves_one_object(desk, fault):
    async def story():
        async with desk() as hub:
            hub.simulators["snow"].faults.plan(fault, method="POST")
            record = await hub.opened()
            await hub.settle()
            hub.book.clock.forward(minutes=5)
            await hub.settle()
            link = await hub.link(record, "snow")
            assert link.external_key
            assert len(hub.objects("snow")) == 1

    tell(story())


def test_refusals_for_a_while_end_in_one_effect_with_growing_waits(desk):
    async def story():
        async with desk() as hub:
            hub.simulators["snow"].faults.plan(Fault.STATUS, method="POST", times=3, status=503)
            record = await hub.opened()
            waits = []
            for _ in range(4):
                await hub.settle()
                row = await hub.store(lambda: Delivery.objects.get(connection="snow"))
                if row.state == "done":
                    break
                assert row.fault == "retryable"
                waits.append(row.next_at - row.updated_at)
                hub.book.clock.forward(seconds=20)
            assert len(waits) == 3
            assert waits == sorted(waits)
            assert len(hub.objects("snow")) == 1
            assert (await hub.link(record, "snow")).external_key

    tell(story())


def test_retry_after_is_a_lower_bound(desk):
    async def story():
        async with desk() as hub:
            hub.simulators["snow"].faults.plan(
                Fault.STATUS, method="POST", status=429, retry_after_seconds=40
            )
            await hub.opened()
            await hub.settle()
            hub.book.clock.forward(seconds=30)
            await hub.settle()
            assert len(hub.simulators["snow"].writes()) == 1
            hub.book.clock.forward(seconds=15)
            await hub.settle()
            assert len(hub.objects("snow")) == 1

    tell(story())


def test_a_permanent_refusal_is_a_dead_letter_that_a_newer_edit_brings_back(desk):
    async def story():
        async with desk() as hub:
            hub.simulators["snow"].faults.plan(Fault.STATUS, method="POST", status=400)
            record = await hub.opened()
            await hub.settle()
            hub.book.clock.forward(minutes=30)
            await hub.settle()
            row = await hub.store(lambda: Delivery.objects.get(connection="snow"))
            assert (row.state, row.fault) == ("dead", "rejected")
            assert row.cause
            assert row.remedy
            assert len(hub.simulators["snow"].writes()) == 1
            await hub.edit(record, title="Another title")
            await hub.settle()
            assert [each["short_description"] for each in hub.objects("snow")] == ["Another title"]

    tell(story())


def test_a_refusal_says_why_although_the_record_changed_during_the_call(desk):
    """The level is asked for anew meanwhile, and owes the very values that were refused."""

    async def story():
        async with desk() as hub:
            jira, record = hub.simulators["jira"], ""

            def assigned():
                with scope.everywhere("test"):
                    incident = Incident.objects.get(id=record)
                    hub.book.perform(
                        lambda work: work.change(incident, {"assignment_group": "Tills"}, why=[])
                    )
                connection.close()

            def during(method, path):
                if method == "POST" and path.endswith("/issue"):
                    with ThreadPoolExecutor(1) as pool:
                        pool.submit(assigned).result()
                return take(method, path)

            take, jira.faults.take = jira.faults.take, during
            jira.faults.plan(Fault.STATUS, method="POST", path="/issue", status=400, times=9)
            record = await hub.opened()
            await hub.settle()
            row = await hub.store(lambda: Delivery.objects.get(connection="jira"))
            assert (row.state, row.fault) == ("dead", "rejected")
            assert "answered 400" in row.cause
            assert len(jira.writes()) == 1

    tell(story())


def test_a_dead_letter_can_be_retried_by_hand(desk):
    async def story():
        async with desk() as hub:
            hub.simulators["jira"].revoked = True
            await hub.opened()
            await hub.settle()
            row = await hub.store(lambda: Delivery.objects.get(connection="jira"))
            assert (row.state, row.fault) == ("dead", "operator")
            hub.simulators["jira"].revoked = False
            await hub.perform(lambda work: lanes.retry(work, row.id))
            await hub.settle()
            assert len(hub.objects("jira")) == 1

    tell(story())


def test_a_sick_system_does_not_hold_up_the_other(desk):
    async def story():
        async with desk() as hub:
            hub.simulators["jira"].faults.plan(Fault.STATUS, times=1_000, status=503)
            for number in range(20):
                await hub.opened(title=f"Till {number}")
            await hub.settle()
            for _ in range(6):
                hub.book.clock.forward(seconds=2)
                await hub.settle()
            assert len(hub.objects("snow")) == 20
            calls = len(hub.simulators["jira"].calls)
            hub.book.clock.forward(seconds=1)
            await hub.settle()
            assert len(hub.simulators["jira"].calls) - calls <= 1, "an open breaker lets one probe through"
            hub.simulators["jira"].faults.clear()
            for _ in range(12):
                hub.book.clock.forward(minutes=5)
                await hub.settle()
            assert len(hub.objects("jira")) == 20

    tell(story())


def test_both_sides_at_once_is_one_conflict_and_the_loser_can_be_restored(desk):
    async def story():
        async with desk() as hub:
            hub.flow = {
                "incident": {
                    **hub.flow["incident"],
                    "fields": [{"id": "titles", "field": "title", "policy": "manual"}],
                }
            }
            await hub.apply()
            record = await hub.opened()
            await hub.settle()
            snow, jira = await both_keys(hub, record)
            hub.human("snow", snow, title="Theirs")
            await hub.edit(record, title="Ours")
            # The lane looks before it overwrites nothing: the poll comes first here.
            await hub.poll("snow")
            await hub.settle()
            (found,) = await hub.store(lambda: list(Conflict.objects.filter(field="title")))
            assert (found.ours, found.theirs, found.state) == ("Ours", "Theirs", "open")
            assert (await hub.shown("snow", snow)).values["title"] == "Theirs"
            assert (await hub.shown("jira", jira)).values["title"] == "Till 4 is down"
            await hub.perform(lambda work: service.decide(work, Conflict.objects.get(id=found.id), "theirs"))
            await hub.settle()
            assert (await hub.shown("jira", jira)).values["title"] == "Theirs"
            await hub.perform(lambda work: service.restore_loser(work, Conflict.objects.get(id=found.id)))
            await hub.settle()
            assert (await hub.shown("snow", snow)).values["title"] == "Ours"
            assert (await hub.shown("jira", jira)).values["title"] == "Ours"

    tell(story())


@pytest.mark.parametrize(
    ("when", "travels"), [("connection == 'snow'", True), ("connection != 'snow'", False)]
)
def test_a_rule_lets_a_value_in_or_blocks_it_by_name(desk, when, travels):
    async def story():
        async with desk() as hub:
            rule = {"id": "prio-from-snow", "field": "priority", "policy": "latest", "when": when}
            hub.flow = {"incident": {**hub.flow["incident"], "fields": [rule]}}
            await hub.apply()
            record = await hub.opened()
            await hub.settle()
            snow, _ = await both_keys(hub, record)
            hub.human("snow", snow, priority="1")
            await hub.poll("snow")
            await hub.settle()
            assert (await hub.incident(record)).priority == ("1" if travels else "3")
            assert (await hub.shown("snow", snow)).values["priority"] == ("1" if travels else "3")
            from isthmus.ledger.reading import history

            link = await hub.link(record, "snow")
            rules = await hub.store(lambda: [why.rule for entry in history(link.id) for why in entry.why])
            assert ("prio-from-snow" in rules) is not travels

    tell(story())


def test_a_crash_between_send_and_commit_leaves_one_object(desk):
    async def story():
        async with desk() as hub:
            await hub.opened()
            lane = hub.lanes["snow"]
            # The first half of a round: claimed, planned, committed as sent, called. Then the process dies.
            begun = await hub.store(lambda: lane._take(5))
            lane._start(begun)
            await asyncio.wait(lane._tasks)
            lane._tasks.clear()
            assert len(hub.objects("snow")) == 1
            hub.book.clock.forward(minutes=10)
            await hub.settle()
            hub.book.clock.forward(minutes=10)
            await hub.settle()
            assert len(hub.objects("snow")) == 1
            row = await hub.store(lambda: Delivery.objects.get(connection="snow"))
            assert row.state == "done"

    tell(story())


def test_calls_per_minute_are_never_exceeded(desk):
    async def story():
        async with desk() as hub:
            for number in range(3):
                await hub.opened(title=f"Till {number}")
            lane = hub.lanes["snow"]
            lane.terms.bucket.per_minute = 3
            working = asyncio.create_task(hub.settle())
            await asyncio.sleep(1)
            assert len(hub.simulators["snow"].calls) == 3, "a creation takes a look-up and a write"
            lane.terms.bucket.calls.clear()
            working.cancel()

    tell(story())


def test_a_paused_connection_is_not_called_but_still_heard(desk):
    async def story():
        async with desk() as hub:
            record = await hub.opened()
            await hub.settle()
            snow, jira = await both_keys(hub, record)
            await hub.perform(lambda work: lanes.pause(work, "jira", "maintenance"))
            calls = len(hub.simulators["jira"].calls)
            hub.human("snow", snow, title="While Jira rests")
            await hub.poll("snow")
            await hub.settle()
            assert (await hub.incident(record)).title == "While Jira rests"
            assert len(hub.simulators["jira"].calls) == calls
            await hub.perform(lambda work: lanes.resume(work, "jira"))
            hub.book.clock.forward(seconds=2)
            await hub.settle()
            assert (await hub.shown("jira", jira)).values["title"] == "While Jira rests"

    tell(story())


def test_the_webhook_of_a_creation_before_its_answer_makes_no_second_record(desk):
    async def story():
        async with desk() as hub:
            record = await hub.opened()
            lane = hub.lanes["snow"]
            begun = await hub.store(lambda: lane._take(5))
            lane._start(begun)
            await asyncio.wait(lane._tasks)
            (created,) = hub.objects("snow")
            (outcome,) = await hub.observe("snow", await hub.shown("snow", created["sys_id"]))
            assert outcome.what == "repeat"
            assert record in outcome.records
            await hub.settle()
            assert await hub.store(Incident.objects.count) == 1
            assert (await hub.link(record, "snow")).external_key == created["sys_id"]

    tell(story())


def test_two_existing_objects_are_joined_without_writing_by_themselves(desk):
    async def story():
        async with desk(routes=[]) as hub:
            (key,) = hub.simulators["snow"].seed("incident", 1)
            theirs = (await hub.shown("snow", key)).values["title"]
            record = await hub.opened(title="Ours, older")
            ref = (await hub.shown("snow", key)).external
            await hub.perform(
                lambda work: service.link(work, Incident.objects.get(id=record), "snow", external=ref)
            )
            await hub.settle()
            assert (await hub.shown("snow", key)).values["title"] == theirs
            assert (await hub.incident(record)).title == "Ours, older"
            (found,) = await hub.store(lambda: list(Conflict.objects.filter(field="title")))
            assert (found.ours, found.theirs, found.rule) == ("Ours, older", theirs, "adoption.queue")
            await hub.perform(lambda work: service.decide(work, Conflict.objects.get(id=found.id), "ours"))
            await hub.settle()
            assert (await hub.shown("snow", key)).values["title"] == "Ours, older"

    tell(story())


def test_a_write_that_does_not_stick_is_parked_in_sight_and_retried_by_time(desk):
    async def story():
        async with desk() as hub:
            record = await hub.opened()
            await hub.settle()
            snow, _ = await both_keys(hub, record)
            hub.simulators["snow"].instance.ignored.add("short_description")
            await hub.edit(record, title="Will not stick")
            for _ in range(6):
                await hub.settle()
                hub.book.clock.forward(minutes=2)
            run = await hub.run_of(record, "snow")
            row = await hub.store(lambda: Delivery.objects.get(connection="snow"))
            assert (run.operation, run.parked) == (None, 1), row.cause
            assert "parked" in row.outcome
            assert (await hub.incident(record)).title == "Will not stick"
            hub.simulators["snow"].instance.ignored.clear()
            hub.book.clock.forward(hours=7)
            await hub.settle()
            assert (await hub.shown("snow", snow)).values["title"] == "Will not stick"
            assert (await hub.run_of(record, "snow")).parked == 0

    tell(story())


def test_after_a_restore_every_object_is_read_again_once_lanes_are_resumed(desk):
    async def story():
        async with desk() as hub:
            record = await hub.opened()
            await hub.settle()
            snow, _ = await both_keys(hub, record)
            await hub.perform(service.after_restore)
            hub.human("snow", snow, title="Changed while the backup was old")
            await hub.settle()
            assert (await hub.incident(record)).title == "Till 4 is down", "lanes start paused"
            for name in hub.lanes:
                await hub.perform(lambda work, name=name: lanes.resume(work, name))
            hub.book.clock.forward(seconds=2)
            await hub.settle()
            assert (await hub.incident(record)).title == "Changed while the backup was old"

    tell(story())
