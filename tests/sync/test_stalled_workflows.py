"""The watchdog over real connectors: it asks the partner before it alarms; a lost message is found, silence is told."""

import asyncio

import pytest

from isthmus.connectors.kit.faults import Fault
from isthmus.hub import due
from isthmus.hub.models import Due
from isthmus.hub.sweeper import sweep
from isthmus.ledger import reading
from isthmus.ledger.ids import source
from isthmus.practices.incident import custody, hooks, ledger, service, waits
from isthmus.practices.incident.models import Comment, Custody, Wait

WAITS = {
    "partner_acknowledgement": {
        "limit": "PT10M",
        "ask_within": "PT30S",
        "partners": {"jira": "PT20M"},
        "path": "night",
    }
}
PATHS = {"paths": {"night": {"hierarchical": ["shift lead"]}}}


def tell(story):
    asyncio.run(asyncio.wait_for(story, 90))


@pytest.fixture
def alarms(monkeypatch):
    found = []
    monkeypatch.setattr(
        hooks,
        "_stalled",
        [lambda _work, each: found.append((each.workflow, each.partner, each.path, each.since, each.text))],
    )
    return found


async def turn(hub, **forward):
    """Let time pass, and the sweeper and the lanes work as long as anything is due."""
    hub.book.clock.forward(**forward)
    for _ in range(4):
        await hub.store(lambda: sweep(source.now()))
        await hub.settle()


async def waiting(hub, partner):
    return await hub.store(lambda: Wait.objects.filter(partner=partner).order_by("-id").first())


async def told(hub, record):
    return await hub.store(lambda: " ".join(why.text for each in reading.history(record) for why in each.why))


def test_a_partner_that_took_the_ticket_and_never_moves_is_told_at_its_limit_with_age_and_path(desk, alarms):
    async def story():
        async with desk(waits=WAITS, incident=PATHS) as hub:
            record = await hub.opened()
            await hub.settle()
            await turn(hub, minutes=9)
            assert alarms == []
            await turn(hub, minutes=2)
            await turn(hub, seconds=3)
            ((workflow, partner, path, since, text),) = alarms
            assert (workflow, partner, path) == ("partner_acknowledgement", "snow", "night")
            assert since < source.now() - 10 * 60_000_000
            assert "shows no move" in text
            await turn(hub, minutes=5)
            assert len(alarms) == 1, "once"
            await turn(hub, minutes=5)
            await turn(hub, seconds=3)
            assert [each[1] for each in alarms] == ["snow", "jira"], "each limit at its own time"
            assert (await waiting(hub, "snow")).state == "escalated"
            assert "shows no move" in await told(hub, record)

    tell(story())


def test_a_move_whose_message_was_lost_is_found_by_asking_and_nobody_is_alarmed(desk, alarms):
    async def story():
        async with desk(waits=WAITS, incident=PATHS) as hub:
            record = await hub.opened()
            await hub.settle()
            key = (await hub.link(record, "snow")).external_key
            hub.human("snow", key, state="2")  # its webhook never comes
            await turn(hub, minutes=11)
            await turn(hub, minutes=1)
            assert (await hub.incident(record)).state == "in_progress", "the workflow goes on"
            assert (await waiting(hub, "snow")).state == "recovered"
            assert "Lost event recovered" in await told(hub, record)
            assert alarms == []

    tell(story())


def test_a_move_that_is_seen_in_time_ends_the_wait_quietly(desk, alarms):
    async def story():
        async with desk(waits=WAITS, incident=PATHS) as hub:
            record = await hub.opened()
            await hub.settle()
            key = (await hub.link(record, "snow")).external_key
            hub.human("snow", key, state="2")
            await hub.observe("snow", await hub.shown("snow", key))
            assert (await waiting(hub, "snow")).state == "ended"
            await turn(hub, minutes=15)
            assert "Lost event" not in await told(hub, record)
            assert alarms == []

    tell(story())


def test_a_partner_that_cannot_be_asked_is_told_as_such(desk, alarms):
    async def story():
        async with desk(waits=WAITS, incident=PATHS) as hub:
            await hub.opened()
            await hub.settle()
            hub.simulators["snow"].faults.plan(Fault.STATUS, status=503, times=500)
            await turn(hub, minutes=11)
            await turn(hub, seconds=40)
            assert [each[1] for each in alarms] == ["snow"]
            assert "did not answer" in alarms[0][4]

    tell(story())


def test_without_a_declared_limit_nobody_waits(desk, alarms):
    async def story():
        async with desk() as hub:
            await hub.opened()
            await hub.settle()
            await turn(hub, hours=48)
            assert not await hub.store(Wait.objects.exists)
            assert alarms == []

    tell(story())


def test_a_process_that_dies_while_it_looks_leaves_the_wait_to_fire_once(desk, alarms):
    async def story():
        async with desk(waits=WAITS, incident=PATHS) as hub:
            await hub.opened()
            await hub.settle()
            hub.book.clock.forward(minutes=11)
            claimed = await hub.store(lambda: due.claim(source.now(), seconds=15, what=waits.WHAT))
            assert claimed, "the process had taken it and died before anything was written"
            assert alarms == []
            await turn(hub, seconds=20)
            await turn(hub, seconds=5)
            await turn(hub, minutes=3)
            assert [each[1] for each in alarms] == ["snow"]
            assert not await hub.store(Due.objects.filter(what=waits.WHAT, subject=claimed[0].subject).exists)

    tell(story())


DESKS = {"service-desk": {}, "vendor": {"kind": "supplier", "connection": "jira"}}
CONTRACT = {"name": "support", "from": ["service-desk"], "to": ["vendor"], "accept_within": "PT15M"}


async def forwarded(hub):
    record = await hub.opened()
    steps = [{"text": "Restarted the till", "done": True}, {"text": "Changed the cable", "done": True}]
    await hub.perform(
        lambda work: service.update(
            work, service.get(work, record), {"root_cause": "Dead mainboard", "steps": steps}
        )
    )
    row = await hub.perform(
        lambda work: custody.offer(work, service.get(work, record), taker="vendor", reason="Please repair.")
    )
    await hub.settle()
    return record, row.id


def only_at_snow():
    return {
        "desks": DESKS, "forwarding": {"contracts": [CONTRACT]}, "incident": PATHS,
        "routes": [{"id": "all", "kind": "incident", "to": ["snow"]}],
    }  # fmt: skip


def test_forwarded_to_a_partners_desk_it_has_one_ticket_with_cause_and_steps(desk):
    async def story():
        async with desk(**only_at_snow()) as hub:
            record, row = await forwarded(hub)
            (issue,) = hub.objects("jira")
            assert issue["fields"]["summary"] == "Till 4 is down"
            said = (await hub.store(lambda: Comment.objects.get(record=record))).body
            assert "Root cause: Dead mainboard" in said
            assert said.count("[x]") == 2
            there = (await hub.shown("jira", (await hub.link(record, "jira")).external_key)).comments or ()
            assert any("Dead mainboard" in each.body for each in there)
            assert (await hub.store(lambda: Custody.objects.get(id=row))).state == "offered"
            assert len(hub.objects("snow")) == 1

    tell(story())


def test_work_begun_at_the_partner_accepts_and_its_silence_escalates(desk, alarms):
    async def story():
        async with desk(**only_at_snow()) as hub:
            record, row = await forwarded(hub)
            key = (await hub.link(record, "jira")).external_key
            hub.human("jira", key, status="Work in progress")
            await hub.observe("jira", await hub.shown("jira", key))
            held = await hub.store(lambda: ledger.of(service.Incident.objects.get(id=record)))
            assert held.holder == "vendor"
            await turn(hub, minutes=20)
            assert alarms == []
            second, other = await forwarded(hub)
            await turn(hub, minutes=16)
            await turn(hub, seconds=70)
            assert [each[:2] for each in alarms] == [("custody_offer", "vendor")]
            assert (await hub.store(lambda: Custody.objects.get(id=other))).escalated_at
            held = await hub.store(lambda: ledger.of(service.Incident.objects.get(id=second)))
            assert held.holder == "service-desk"
            assert row != other

    tell(story())


def test_an_acceptance_whose_message_was_lost_is_found_before_anybody_is_alarmed(desk, alarms):
    async def story():
        async with desk(**only_at_snow()) as hub:
            record, row = await forwarded(hub)
            hub.human("jira", (await hub.link(record, "jira")).external_key, status="Work in progress")
            await turn(hub, minutes=16)
            await turn(hub, seconds=70)
            assert (await hub.store(lambda: Custody.objects.get(id=row))).state == "accepted"
            assert (await hub.store(lambda: Wait.objects.get(about=row))).state == "recovered"
            assert alarms == []

    tell(story())
