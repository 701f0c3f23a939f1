"""The scheduled comparison: what no message told is found, healed and counted; people's edits go first."""

import asyncio
import datetime as dt

from isthmus.connectors.kit.faults import Fault
from isthmus.hub.models import Due
from isthmus.hub.sweeper import sweep
from isthmus.hub.sync import boundary, comparing, loading
from isthmus.hub.sync.algorithm import Sighting
from isthmus.hub.sync.models import Comparison, Conflict
from isthmus.hub.sync.recording import NO_CAUSE
from isthmus.hub.sync.service import admit
from isthmus.ledger import reading
from isthmus.ledger.ids import source
from isthmus.ledger.models import SystemEvent


def tell(story):
    asyncio.run(asyncio.wait_for(story, 60))


def every(text, **terms):
    return {
        "incident": {
            "owner": "Service desk", "system_of_record": "hub",
            "connections": {"snow": {"compare_every": text, **terms}, "jira": {"compare_every": "PT0S"}},
        }
    }  # fmt: skip


async def turn(hub, **forward):
    """Let time pass, the sweeper and the lanes work."""
    hub.book.clock.forward(**forward)
    await hub.store(lambda: sweep(source.now()))
    await hub.settle()


async def three(hub):
    records = [await hub.opened(title=f"Till {n}") for n in range(3)]
    await hub.settle()
    await hub.store(lambda: comparing.ensure_scheduled(source.now()))
    return records, [(await hub.link(each, "snow")).external_key for each in records]


async def round_of(hub):
    for _ in range(8):
        await turn(hub, seconds=16)
    return await hub.store(lambda: Comparison.objects.get(connection="snow"))


def test_edits_that_no_message_told_are_found_healed_and_counted(desk):
    async def story():
        async with desk() as hub:
            await hub.apply(sync=every("PT1H"))
            records, keys = await three(hub)
            hub.human("snow", keys[1], title="Edited while the webhook was lost")
            hub.simulators["snow"].shelf("incident").remove(keys[2])
            assert (await hub.incident(records[1])).title == "Till 1"
            await turn(hub, minutes=50)
            assert not await hub.store(Comparison.objects.exists), "not before its time"
            await turn(hub, minutes=11)
            found = await round_of(hub)
            assert (found.asked, found.looked, found.different, found.missing) == (3, 3, 1, 1)
            assert found.finished_at
            assert (await hub.incident(records[1])).title == "Edited while the webhook was lost"
            jira = (await hub.link(records[1], "jira")).external_key
            assert (await hub.shown("jira", jira)).values["title"] == "Edited while the webhook was lost"

            def told():
                events = [each.why for row in SystemEvent.objects.all() for each in reading.history(row.id)]
                return " ".join(reason.text for why in events for reason in why)

            assert "Compared 3 of 3 incident links with snow: 1 differed, 1 were gone." in (
                await hub.store(told)
            )
            row = await hub.store(lambda: Due.objects.get(what=comparing.WHAT))
            assert row.payload == {"every": 3_600_000_000}, "the next round is set"
            assert row.due_at > source.now()

    tell(story())


def test_equal_sides_are_only_read(desk):
    async def story():
        async with desk() as hub:
            await hub.apply(sync=every("PT1H"))
            await three(hub)
            writes = [len(each.writes()) for each in hub.simulators.values()]
            await turn(hub, minutes=61)
            found = await round_of(hub)
            assert (found.looked, found.different, found.missing) == (3, 0, 0)
            assert writes == [len(each.writes()) for each in hub.simulators.values()]

    tell(story())


def test_a_round_goes_in_small_batches_and_waits_while_the_lane_is_busy(desk, monkeypatch):
    async def story():
        async with desk() as hub:
            await hub.apply(sync=every("PT1H"))
            await three(hub)
            monkeypatch.setattr(comparing, "BATCH_MAX", 1)
            monkeypatch.setattr(comparing, "BUSY", -1)
            await turn(hub, minutes=61)
            assert not await hub.store(Comparison.objects.exists), "a busy lane is left alone"
            monkeypatch.setattr(comparing, "BUSY", 20)
            await turn(hub, seconds=31)
            assert (await hub.store(Comparison.objects.get)).asked == 1
            await turn(hub, seconds=16)
            assert (await hub.store(Comparison.objects.get)).asked == 2

    tell(story())


def test_schedules_follow_the_blueprint_and_people_may_begin_at_once(desk):
    async def story():
        async with desk() as hub:
            await hub.apply(sync=every("PT1H"))
            await three(hub)
            rows = await hub.store(
                lambda: list(Due.objects.filter(what=comparing.WHAT).values_list("subject", "key"))
            )
            assert rows == [("snow", "incident")], "PT0S means never"
            await hub.perform(lambda work: comparing.run_now(work, "snow", "incident"))
            assert (await round_of(hub)).looked == 3
            await hub.apply(sync=every("PT0S"))
            await hub.store(lambda: comparing.ensure_scheduled(source.now()))
            assert not await hub.store(Due.objects.filter(what=comparing.WHAT).exists)

    tell(story())


def test_an_interval_too_short_to_mean_it_is_refused():
    flow = boundary.Flow(
        owner="desk", system_of_record="hub",
        connections={"snow": boundary.Terms(compare_every=dt.timedelta(seconds=5))},
    )  # fmt: skip
    (problem,) = boundary.problems({"incident": flow}, ["snow"])
    assert problem.path == "/incident/connections/snow/compare_every"


def test_a_write_that_was_confirmed_and_not_kept_is_found_and_written_again(desk):
    """The answer showed the record as written, so only a later look can tell."""

    async def story():
        async with desk() as hub:
            await hub.apply(sync=every("PT1H"))
            (record, *_), (key, *_) = await three(hub)
            hub.book.clock.forward(minutes=10)
            hub.simulators["snow"].faults.plan(Fault.LYING_200, method="PATCH")
            await hub.edit(record, title="Wanted everywhere", tags=["pos"])
            await hub.settle()
            assert (await hub.run_of(record, "snow")).operation is None, "nobody could know"
            assert (await hub.shown("snow", key)).values["title"] == "Till 0"
            await turn(hub, minutes=61)
            for _ in range(12):
                await turn(hub, seconds=35)
            found = await hub.store(lambda: Comparison.objects.get(connection="snow"))
            assert found.different == 1
            assert (await hub.shown("snow", key)).values["title"] == "Wanted everywhere"
            jira = (await hub.link(record, "jira")).external_key
            assert (await hub.shown("jira", jira)).values["title"] == "Wanted everywhere"
            assert (await hub.incident(record)).title == "Wanted everywhere"
            row = await hub.store(lambda: Conflict.objects.get(record=record))
            assert (row.winner, row.theirs) == ("ours", "Till 0"), "what lost stays recoverable"
            writes = len(hub.simulators["snow"].writes())
            for _ in range(8):
                await turn(hub, seconds=35)
            assert len(hub.simulators["snow"].writes()) == writes

    tell(story())


def test_a_replica_that_lags_is_not_taken_for_a_rollback(desk):
    async def story():
        async with desk() as hub:
            await hub.apply(sync=every("PT1H"))
            (record, *_), (key, *_) = await three(hub)
            link = await hub.link(record, "snow")
            seen = await hub.shown("snow", key)
            await hub.edit(record, title="Newer")
            await hub.settle()
            run = await hub.run_of(record, "snow")

            def late(work):
                (loaded,) = loading.load(work, [link.id]).values()
                sight = Sighting(observation=seen, seen_at=work.now, start=run.tick + 1)
                return admit(work, loaded, sight, cause=NO_CAUSE)[0].verdict

            assert await hub.perform(late) == "dirty"
            await turn(hub, seconds=3)
            assert (await hub.incident(record)).title == "Newer"
            assert (await hub.shown("snow", key)).values["title"] == "Newer"
            assert not await hub.store(Conflict.objects.exists)

    tell(story())
