"""One mail, three ways in: posted, handed over by SMTP, read from a mailbox. Each opens, parks and ignores the same."""

from __future__ import annotations

import asyncio
import smtplib
from dataclasses import replace

import pytest
from tests.stories import world as worlds

from isthmus import django_settings
from isthmus.connectors.kit.mailing import own_id
from isthmus.connectors.mail.simulator import OURS, MailSimulator
from isthmus.hub import metrics, polling
from isthmus.hub.intake.appender import Appender
from isthmus.hub.intake.current_entrances import CurrentEntrances
from isthmus.hub.intake.mails import Mails
from isthmus.hub.intake.refusals import Refusals
from isthmus.hub.models import Due, ParkedMessage
from isthmus.hub.pump import completing, parking
from isthmus.hub.streaming import Streams
from isthmus.ledger.ids import source

WHOLE = "Title: Checkout is slow\nImpact: high\nUrgency: 1"
WAYS = ("post", "smtp", "imap")


class Desk:
    """A mailbox, a mail server and a hub that takes mail from both of them."""

    def __init__(self, world):
        self.world = world
        self.partner = world.partners.start("mail", "desk")
        self.written = MailSimulator()

    @property
    def simulator(self):
        return self.partner.inside

    def post(self, raw):
        assert self.world.post("/mail/desk", raw, token=self.simulator.secret) == 202

    def imap(self, raw):
        self.world.partners.inside(lambda: self.simulator.deliver(raw))
        self.world.poll()

    def smtp(self, raw):
        def act(address):
            with smtplib.SMTP(*address, timeout=10) as server:
                assert server.sendmail("alice@example.test", [OURS], raw) == {}

        async def run():
            entrances = CurrentEntrances()
            await asyncio.to_thread(worlds._everywhere, entrances.refresh)
            appender = Appender(
                self.world.log, queue_max=9, loop=asyncio.get_running_loop(), notify=lambda: None
            )
            appender.start()
            listener = Mails(entrances, lambda: appender, Refusals(), source)
            await listener.start(replace(django_settings.ISTHMUS, smtp_listen="127.0.0.1:0"))
            try:
                await asyncio.to_thread(act, listener.address)
            finally:
                await listener.stop()
                await asyncio.to_thread(appender.stop)

        asyncio.run(run())

    def send(self, way, raw):
        """Send a mail on one of its ways and let everything happen."""
        getattr(self, way)(raw)
        self.world.settle()


@pytest.fixture
def desk(book, monkeypatch):
    with worlds.opened(book, monkeypatch, systems=()) as world:
        made = Desk(world)
        for name, value in world.partners.environment().items():
            monkeypatch.setenv(name, value)
        config = made.simulator.config(made.partner.url) | {"smtp_peers": ["127.0.0.1/32"]}
        terms = {"requests_per_minute": 60_000, "request_seconds_max": 3}
        world.apply(
            connections={"desk": {"connector": "mail", "config": config, "limits": terms}},
            sync={
                "incident": {
                    "owner": "Desk lead",
                    "system_of_record": "hub",
                    "connections": {"desk": {"direction": "in"}},
                }
            },
            routes=[],
        )
        world.settle()
        yield made


@pytest.mark.parametrize("way", WAYS)
def test_a_mail_that_says_everything_opens_one_incident_by_every_way_and_by_all_of_them(desk, way):
    raw = desk.written.write("Help", WHOLE)
    desk.send(way, raw)
    incident = desk.world.incident()
    assert (incident.title, incident.impact, incident.urgency) == ("Checkout is slow", "2", "1")
    for each in WAYS:
        desk.send(each, raw)
    assert desk.world.incident().version == incident.version


@pytest.mark.parametrize("way", WAYS)
def test_a_mail_that_says_too_little_is_one_draft_with_its_reason_however_often_it_comes(desk, way):
    raw = desk.written.write("Help", WHOLE.replace("Impact: high\n", ""))
    desk.send(way, raw)
    for each in WAYS:
        desk.send(each, raw)
    row = ParkedMessage.objects.get()
    assert [each["path"] for each in row.problems] == ["/impact"]
    assert desk.world.incidents() == []
    desk.world.do(
        "agent", lambda work: parking.redrive(work, row.id, completing.checked(row, {"impact": "2"}))
    )
    desk.world.settle()
    assert desk.world.incident().impact == "2"
    for each in WAYS:
        desk.send(each, raw)
    assert len(desk.world.incidents()) == 1
    assert ParkedMessage.objects.count() == 1


@pytest.mark.parametrize("way", WAYS)
def test_machines_that_answer_each_other_open_nothing(desk, way):
    write = desk.written.write
    for headers in (
        {"Auto_Submitted": "auto-replied"},
        {"List_Post": "<mailto:list@example.test>"},
        {"Message_ID": own_id("page", "example.test")},
    ):
        desk.send(way, write("Help", WHOLE, **headers))
    assert desk.world.incidents() == []
    assert not ParkedMessage.objects.exists()
    desk.send(way, write("Help", WHOLE))
    assert len(desk.world.incidents()) == 1


def test_a_rebuilt_mailbox_is_read_anew_without_a_second_incident_or_draft(desk):
    desk.send("imap", desk.written.write("Help", WHOLE))
    desk.send("imap", desk.written.write("Help", "Please help"))
    before = desk.world.log.durable("desk")
    desk.world.partners.inside(desk.simulator.imap.folders["INBOX"].rebuild)
    desk.world.poll()
    assert desk.world.log.durable("desk") == before + 2, "it was read anew"
    assert len(desk.world.incidents()) == 1
    assert ParkedMessage.objects.count() == 1


def test_new_mail_is_heard_at_once_and_a_break_is_healed(desk):
    """The stream rings, so the poll is due long before its interval ends; nothing of it is the poll's own doing."""
    world = desk.world
    streams = Streams(world.log)

    def due():
        return Due.objects.get(what=polling.WHAT, subject="desk").due_at <= world.book.clock.now()

    async def until(read):
        async with asyncio.timeout(20):
            while not await asyncio.to_thread(worlds._everywhere, read):
                await streams.tend()
                await asyncio.sleep(0.02)

    async def act():
        try:
            for _ in range(2):
                await until(due)  # It rings when it opens.
                await polling.run_due(world.log, world.book.clock.now())
                assert not await asyncio.to_thread(worlds._everywhere, due)
                world.partners.inside(lambda: desk.simulator.deliver(desk.written.write("Help", WHOLE)))
                await until(due)
                await polling.run_due(world.log, world.book.clock.now())
                world.partners.inside(desk.simulator.break_streams)
                await until(metrics.STREAM_BREAKS.labels("desk")._value.get)
                world.book.clock.forward(
                    seconds=5
                )  # Longer than the first rest, shorter than the poll waits.
        finally:
            await streams.close()

    asyncio.run(act())
    world.settle()
    assert len(world.incidents()) == 2


def test_an_answer_by_another_way_is_a_comment_on_the_same_incident(desk):
    raw = desk.written.write("Help", WHOLE)
    desk.send("imap", raw)
    thread = raw.decode().partition("Message-ID: <")[2].partition(">")[0]
    desk.send("smtp", desk.written.write("Re: Help", "It works again.", In_Reply_To=f"<{thread}>"))
    assert len(desk.world.incidents()) == 1
    assert not ParkedMessage.objects.exists()
