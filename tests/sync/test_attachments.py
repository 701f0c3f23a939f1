"""Files of one record in ServiceNow and Jira: equal byte for byte, added once, never echoed."""

import asyncio
import hashlib
import random
from dataclasses import replace

from isthmus.connectors.kit.faults import Fault
from isthmus.hub.lanes.models import Delivery
from isthmus.hub.models import Due
from isthmus.hub.sync import attachments as carried
from isthmus.hub.sync import blobs
from isthmus.hub.sync.models import AttachmentPlace, BlobPart
from isthmus.kernel.actor import Origin, system
from isthmus.practices.incident import attachments
from isthmus.practices.incident.models import Attachment, Incident


def tell(story):
    asyncio.run(asyncio.wait_for(story, 60))


def content(size=700_000):
    return random.Random(size).randbytes(size)


async def opened(hub):
    record = await hub.opened()
    await hub.settle()
    keys = {name: (await hub.link(record, name)).external_key for name in ("snow", "jira")}
    return record, keys


async def add(hub, record, name, body):
    def act():
        incident = Incident.objects.get(id=record)
        stored = attachments.store(incident, [body], actor=system("test"), origin=Origin(channel="page"))
        return hub.book.perform(
            lambda work: (
                attachments.attach(
                    work, Incident.objects.get(id=record), stored, filename=name, content_type="text/plain"
                ).id
            )
        )

    return await hub.store(act)


async def quiet(hub):
    """Look everywhere until nothing moves: polls, lanes, time."""
    for _ in range(3):
        await hub.settle()
        for name in hub.simulators:
            await hub.poll(name)
        hub.book.clock.forward(seconds=5)
    await hub.settle()


def files(hub, keys):
    return {name: hub.simulators[name].files(key) for name, key in keys.items()}


def test_a_file_added_here_is_equal_everywhere_and_does_not_come_back(desk):
    async def story():
        async with desk() as hub:
            record, keys = await opened(hub)
            body = content()
            await add(hub, record, "Größe.log", body)
            await quiet(hub)
            assert files(hub, keys) == {key: {"Größe.log": [body]} for key in keys}
            (held,) = await hub.store(lambda: list(Attachment.objects.all()))
            assert held.sha256 == hashlib.sha256(body).hexdigest()
            writes = [len(each.writes()) for each in hub.simulators.values()]
            await quiet(hub)
            assert writes == [len(each.writes()) for each in hub.simulators.values()], "an echo was written"

    tell(story())


def test_a_file_added_there_reaches_the_other_system_with_an_equal_hash(desk):
    async def story():
        async with desk() as hub:
            record, keys = await opened(hub)
            one, two = content(11), content(400_000)
            hub.simulators["snow"].human_attach("incident", keys["snow"], "a.txt", one)
            hub.simulators["jira"].human_attach("incident", keys["jira"], "b.bin", two)
            await quiet(hub)
            assert files(hub, keys) == {key: {"a.txt": [one], "b.bin": [two]} for key in keys}

            def look():
                rows = {each.filename: each for each in Attachment.objects.filter(record=record)}
                return {
                    name: (each.connection, each.sha256, b"".join(attachments.content(each)))
                    for name, each in rows.items()
                }

            assert await hub.store(look) == {
                "a.txt": ("snow", hashlib.sha256(one).hexdigest(), one),
                "b.bin": ("jira", hashlib.sha256(two).hexdigest(), two),
            }

    tell(story())


def test_a_file_whose_answer_was_lost_is_not_added_twice(desk):
    async def story():
        async with desk() as hub:
            record, keys = await opened(hub)
            for name in keys:
                hub.simulators[name].faults.plan(Fault.RESET_AFTER_COMMIT, method="POST", path="attachment")
            body = content(5000)
            await add(hub, record, "x.bin", body)
            await quiet(hub)
            states = await hub.store(
                lambda: set(Delivery.objects.filter(verb="attach").values_list("state", flat=True))
            )
            assert states == {"due"}, "an unknown outcome is waited out"
            hub.book.clock.forward(minutes=5)
            await quiet(hub)
            assert files(hub, keys) == {key: {"x.bin": [body]} for key in keys}
            assert await hub.store(Attachment.objects.count) == 1

    tell(story())


def test_a_record_linked_later_receives_the_files_it_already_has(desk):
    async def story():
        async with desk(routes=[{"id": "s", "kind": "incident", "to": ["snow"]}]) as hub:
            record = await hub.opened()
            body = content(3)
            await add(hub, record, "early.txt", body)
            await quiet(hub)
            from isthmus.hub.sync import service

            await hub.perform(lambda work: service.link(work, Incident.objects.get(id=record), "jira"))
            await quiet(hub)
            key = (await hub.link(record, "jira")).external_key
            assert hub.simulators["jira"].files(key) == {"early.txt": [body]}

    tell(story())


def test_a_file_too_large_to_travel_is_shown_and_its_content_stays(desk):
    async def story():
        async with desk() as hub:
            flow = {"incident": {**hub.flow["incident"], "attachment_bytes_max": 1000}}
            await hub.apply(sync=flow)
            record, keys = await opened(hub)
            hub.simulators["jira"].human_attach("incident", keys["jira"], "huge.bin", content(1001))
            hub.simulators["jira"].human_attach("incident", keys["jira"], "fits.bin", content(1000))
            await quiet(hub)
            assert list(hub.simulators["snow"].files(keys["snow"])) == ["fits.bin"]
            rows = await hub.store(
                lambda: {each.filename: each.state for each in Attachment.objects.filter(record=record)}
            )
            assert rows == {"huge.bin": "oversized", "fits.bin": "stored"}

    tell(story())


def test_a_file_that_one_partner_cannot_take_is_a_dead_letter_with_its_cause(desk, monkeypatch):
    async def story():
        async with desk() as hub:
            record, keys = await opened(hub)
            true = carried.bytes_max
            monkeypatch.setattr(
                carried, "bytes_max", lambda flow, name: 10 if name == "jira" else true(flow, name)
            )
            await add(hub, record, "x.bin", content(11))
            await quiet(hub)
            assert list(hub.simulators["snow"].files(keys["snow"])) == ["x.bin"]
            dead = await hub.store(lambda: Delivery.objects.get(verb="attach", connection="jira"))
            assert (dead.state, dead.fault) == ("dead", "rejected")
            assert "11 bytes" in dead.cause

    tell(story())


def test_a_lost_memory_maps_equal_files_instead_of_adding_them_again(desk):
    """After a restore the hub does not know any more what it had sent: content tells."""

    async def story():
        async with desk() as hub:
            record, keys = await opened(hub)
            body = content(9000)
            await add(hub, record, "x.bin", body)
            await quiet(hub)

            def forget(work):
                for each in AttachmentPlace.objects.all():
                    work.remove(AttachmentPlace, {"id": each.id})

            await hub.perform(forget)
            hub.simulators["snow"].human_edit("incident", keys["snow"], {"title": "touched"})
            hub.simulators["jira"].human_edit("incident", keys["jira"], {"description": "touched"})
            await quiet(hub)
            assert files(hub, keys) == {key: {"x.bin": [body]} for key in keys}
            assert await hub.store(Attachment.objects.count) == 1

    tell(story())


def test_a_connection_without_files_keeps_its_files_to_itself(desk):
    async def story():
        async with desk() as hub:
            flow = {
                "incident": {
                    **hub.flow["incident"],
                    "connections": {"snow": {}, "jira": {"attachments": False}},
                }
            }
            await hub.apply(sync=flow)
            record, keys = await opened(hub)
            await add(hub, record, "ours.txt", b"ours")
            hub.simulators["jira"].human_attach("incident", keys["jira"], "theirs.txt", b"theirs")
            await quiet(hub)
            assert files(hub, keys) == {"snow": {"ours.txt": [b"ours"]}, "jira": {"theirs.txt": [b"theirs"]}}

    tell(story())


def test_contents_are_sealed_and_unclaimed_ones_are_removed(desk):
    async def story():
        async with desk() as hub:
            record, _ = await opened(hub)

            def store():
                incident = Incident.objects.get(id=record)
                return attachments.store(
                    incident, [b"secret words " * 10], actor=system("test"), origin=Origin(channel="page")
                )

            stored = await hub.store(store)
            (part,) = await hub.store(lambda: list(BlobPart.objects.filter(blob=stored.blob)))
            assert b"secret" not in bytes(part.sealed)
            row = await hub.store(lambda: Due.objects.get(what=blobs.UNCLAIMED))
            await hub.perform(lambda work: blobs.remove_unclaimed(work, row, work.now))
            assert not await hub.store(BlobPart.objects.exists)
            kept = await add(hub, record, "k.txt", b"kept")
            claimed = await hub.store(lambda: Due.objects.get(what=blobs.UNCLAIMED, subject=kept))
            await hub.perform(lambda work: blobs.remove_unclaimed(work, claimed, work.now))
            assert await hub.store(BlobPart.objects.exists)

    tell(story())


def test_a_partner_that_cuts_a_file_short_is_asked_again(desk):
    async def story():
        async with desk() as hub:
            record, keys = await opened(hub)
            body = content(2000)
            simulator = hub.simulators["jira"]
            simulator.human_attach("incident", keys["jira"], "x.bin", body)
            whole, cut = simulator.project.content, [True]
            simulator.project.content = lambda key: whole(key)[: 1000 if cut and cut.pop() else None]
            await quiet(hub)
            hub.book.clock.forward(minutes=1)
            await quiet(hub)
            assert hub.simulators["snow"].files(keys["snow"]) == {"x.bin": [body]}
            held = await hub.store(lambda: Attachment.objects.get(record=record))
            assert replace(
                blobs.Stored(blob=held.id, size=held.size, sha256=held.sha256), blob=""
            ) == blobs.Stored(blob="", size=2000, sha256=hashlib.sha256(body).hexdigest())

    tell(story())
