"""Against a real IMAP conversation: what is new, what is marked when, what a rebuild, a break and a refusal do."""

import asyncio
import datetime as dt
import ssl
from contextlib import aclosing, asynccontextmanager
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from isthmus.connectors.kit import registry
from isthmus.connectors.kit.faults import Fault
from isthmus.connectors.kit.mailing import CUT_HEADER
from isthmus.connectors.mail import mailbox
from isthmus.connectors.mail.mailbox import Envelope
from isthmus.kernel.errors import NeedsOperator, Retryable

INSTALLED = registry.at(Path(__file__).parents[1])
TODAY = dt.date(2026, 11, 28)


class World:
    """A mailbox, and clients of it as the hub makes them."""

    def __init__(self, simulator, url):
        self.simulator, self.url, self.inbox = simulator, url, simulator.imap.folders["INBOX"]

    def client(self, *, private=True, secret="", limits=None, **config):
        secrets = self.simulator.secrets() | ({"imap_password": secret} if secret else {})
        chosen = {"request_seconds_max": 2.0, "page_size_max": 5, **(limits or {})}
        return INSTALLED.connector.open(
            INSTALLED.context(
                "desk",
                {**self.simulator.config(self.url), **config},
                secrets=secrets,
                limits=msgspec.structs.replace(INSTALLED.manifest.limits, **chosen),
                allow_private_addresses=private,
            )
        )

    async def poll(self, watermark="", *, pages=99, **config):
        """Return the Message-IDs that a poll brings, and its last watermark; stop after so many pages, as a crash does."""
        client, found = self.client(**config), []
        async with aclosing(client.changed_since("incident", watermark)) as told:
            async for page in told:
                found += [name_of(each.body) for each in page.messages]
                watermark = page.watermark
                pages -= 1
                if not pages:
                    break
        await client.close()
        return found, watermark


def name_of(raw):
    source = INSTALLED.connector.source
    return source.name(raw, {}, None)


@asynccontextmanager
async def world():
    simulator = INSTALLED.connector.simulator()
    made = World(simulator, await simulator.start())
    try:
        yield made
    finally:
        await simulator.stop()


def played(act):
    async def run():
        async with world() as made:
            return await act(made)

    return asyncio.run(run())


def test_mail_is_read_once_and_stays_as_it_is():
    async def act(here):
        first = here.simulator.seed("incident", 7)
        found, mark = await here.poll()
        assert found == first
        assert await here.poll(mark) == ([], mark)
        second = here.simulator.seed("incident", 1)
        assert (await here.poll(mark))[0] == second
        assert all(not each.flags for each in here.inbox.mails)

    played(act)


def test_what_lay_there_long_before_the_first_reading_is_left_alone_for_ever():
    async def act(here):
        old = dt.datetime.now(dt.UTC) - dt.timedelta(days=40)
        here.simulator.deliver(here.simulator.write("Old", "x"), arrived=old)
        found, mark = await here.poll()
        assert found == []
        new = here.simulator.seed("incident", 1)
        found, mark = await here.poll(mark)
        assert found == new
        assert len((await here.poll(imap_history_days=60))[0]) == 2

    played(act)


def test_an_old_mail_that_somebody_moves_here_later_is_new():
    async def act(here):
        here.simulator.seed("incident", 1)
        _, mark = await here.poll()
        old = dt.datetime.now(dt.UTC) - dt.timedelta(days=400)
        moved = here.simulator.deliver(here.simulator.write("Old", "x"), arrived=old)
        assert (await here.poll(mark))[0] == [moved]

    played(act)


def test_a_rebuilt_mailbox_is_noticed_and_read_anew():
    async def act(here):
        first = here.simulator.seed("incident", 3)
        here.inbox.mails.pop(0)
        _, mark = await here.poll()
        here.inbox.rebuild()
        missed = here.simulator.seed("incident", 1)
        found, after = await here.poll(mark)
        assert found == [*first[1:], *missed], "read again, and what came meanwhile is not passed over"
        assert (await here.poll(after))[0] == []

    played(act)


def test_a_rebuild_does_not_dig_out_what_was_left_alone():
    async def act(here):
        old = dt.datetime.now(dt.UTC) - dt.timedelta(days=40)
        here.simulator.deliver(here.simulator.write("Old", "x"), arrived=old)
        fresh = here.simulator.seed("incident", 1)
        _, mark = await here.poll()
        here.inbox.rebuild()
        assert (await here.poll(mark))[0] == fresh

    played(act)


def test_what_a_crash_left_is_read_from_the_last_page_that_was_kept():
    async def act(here):
        seeded = here.simulator.seed("incident", 12)
        kept, mark = await here.poll(pages=1)
        assert kept == seeded[:5]
        assert (await here.poll(mark))[0] == seeded[5:]

    played(act)


@pytest.mark.parametrize("offers_move", [True, False])
def test_mail_is_moved_only_after_its_page_was_kept(offers_move):
    async def act(here):
        if not offers_move:
            here.simulator.imap.capabilities = ("IMAP4rev1", "IDLE", "UIDPLUS")
        done = here.simulator.imap.folders["Done"].mails
        settings = {"imap_after": "move", "imap_move_to": "Done"}
        here.simulator.seed("incident", 7)
        _, mark = await here.poll(pages=1, **settings)
        assert done == [], "the page was told, nobody said that it is on disk"
        found, mark = await here.poll(mark, **settings)
        assert len(found) == 2
        assert (len(done), here.inbox.mails) == (7, []), "what was owed is done by the next poll"
        assert await here.poll(mark, **settings) == ([], mark)

    played(act)


def test_marking_as_read_touches_what_entered_and_nothing_else():
    async def act(here):
        here.simulator.seed("incident", 1)
        here.simulator.deliver(here.simulator.write("Hello", "x", sender="eve@other.test"))
        found, _ = await here.poll(imap_after="seen")
        assert len(found) == 1
        assert [each.flags for each in here.inbox.mails] == [{"\\Seen"}, set()]

    played(act)


def test_who_may_not_write_is_counted_and_left_where_it_lies():
    async def act(here):
        write, deliver = here.simulator.write, here.simulator.deliver
        deliver(write("x", "x", sender="eve@other.test"))
        deliver(write("x", "x", Authentication_Results="mx.example.test; dmarc=fail"))
        here.simulator.imap.deliver(b"Subject: nobody wrote this\n\nx")
        taken = deliver(write("x", "x"))
        client = here.client()
        pages = [page async for page in client.changed_since("incident", "")]
        assert [reason for page in pages for reason in page.refused] == ["sender", "unproved", "shape"]
        assert [name_of(each.body) for page in pages for each in page.messages] == [taken]
        assert len(here.inbox.mails) == 4
        assert (await here.poll(pages[-1].watermark))[0] == []

    played(act)


def test_of_a_mail_that_is_too_large_the_beginning_enters_and_says_so():
    async def act(here):
        here.simulator.deliver(here.simulator.write("Large", "x\n" * 5_000))
        small = here.simulator.write("Small", "x")
        here.simulator.deliver(small)
        client = here.client(limits={"body_bytes_max": 2_000})
        found = [each async for page in client.changed_since("incident", "") for each in page.messages]
        assert [len(each.body) for each in found] == [2_000, len(small.replace(b"\n", b"\r\n"))]
        assert [CUT_HEADER in dict(each.headers) for each in found] == [True, False]

    played(act)


def test_a_break_between_two_pages_keeps_the_first():
    async def act(here):
        seeded = here.simulator.seed("incident", 8)
        pages = here.client().changed_since("incident", "")
        first = await anext(pages)
        here.simulator.break_streams()
        with pytest.raises(Retryable):
            await anext(pages)
        assert [name_of(each.body) for each in first.messages] == seeded[:5]
        assert (await here.poll(first.watermark))[0] == seeded[5:]

    played(act)


async def rung(pages, *, seconds=10):
    async with asyncio.timeout(seconds):
        return (await anext(pages)).news


async def idlers(here):
    """Return the conversations that idle, once there are any."""
    for _ in range(1_000):
        if found := here.simulator.imap.idlers():
            return found
        await asyncio.sleep(0.01)
    raise AssertionError("nobody idles")


def test_idle_rings_when_it_begins_when_mail_arrives_and_for_nothing_else():
    async def act(here):
        client = here.client()
        async with aclosing(client.stream("incident")) as pages:
            assert await rung(pages)
            waiting = asyncio.ensure_future(anext(pages))
            (talk,) = await idlers(here)
            await talk.say("* 1 FETCH (FLAGS (\\Seen))", "* OK Still here")
            done, _ = await asyncio.wait({waiting}, timeout=0.3)
            assert not done
            here.simulator.seed("incident", 1)
            assert (await asyncio.wait_for(waiting, 10)).news

    played(act)


def test_idle_is_renewed_and_rings_then():
    async def act(here):
        client = here.client()
        # The blueprint cannot ask for less than half a minute; a test need not wait for it.
        client._config = msgspec.structs.replace(client._config, imap_idle_seconds=1)
        async with aclosing(client.stream("incident")) as pages:
            assert await rung(pages)
            assert await rung(pages)
        assert [each.path for each in here.simulator.calls].count("IDLE") == 2

    played(act)


def test_a_broken_idle_is_an_error_at_once_and_so_is_closing_it():
    async def act(here):
        for stop in (
            lambda client: here.simulator.break_streams(),
            lambda client: asyncio.ensure_future(client.close()),
        ):
            client = here.client()
            pages = client.stream("incident")
            assert await rung(pages)
            waiting = asyncio.ensure_future(anext(pages))
            await idlers(here)
            await asyncio.sleep(0.05)  # The client waits in a thread of its own; either order must do.
            stop(client)
            with pytest.raises(Retryable):
                await asyncio.wait_for(waiting, 5)

    played(act)


def test_a_server_without_idle_says_so_and_polls_go_on():
    async def act(here):
        here.simulator.imap.capabilities = ("IMAP4rev1",)
        client = here.client()
        with pytest.raises(NeedsOperator, match="cannot"):
            await anext(client.stream("incident"))
        assert "streaming: false" in (await client.probe()).notes[0]
        seeded = here.simulator.seed("incident", 1)
        assert (await here.poll())[0] == seeded

    played(act)


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ({"imap_folder": "Nowhere"}, "folder"),
        ({"imap_security": "starttls"}, "cannot"),
        ({"imap_security": "tls"}, "TLS"),
        ({"imap_after": "move", "imap_move_to": "Nowhere"}, "move"),
    ],
)
def test_what_only_a_person_can_mend_is_told_to_one(config, words):
    async def act(here):
        here.simulator.seed("incident", 1)
        with pytest.raises(NeedsOperator) as caught:
            await here.poll(**config)
        assert words in str(caught.value)
        assert caught.value.remedy

    played(act)


def test_a_folder_that_may_only_be_read_is_named_as_a_missing_permission():
    async def act(here):
        assert (await here.client(imap_after="seen").probe()).missing_scopes == ()
        here.simulator.imap.read_only = True
        assert (await here.client(imap_after="seen").probe()).missing_scopes == ("change the folder",)
        assert (await here.client().probe()).missing_scopes == ()
        here.simulator.seed("incident", 1)
        with pytest.raises(NeedsOperator):
            await here.poll(imap_after="seen")

    played(act)


def test_no_password_goes_over_a_connection_where_the_server_wants_none():
    async def act(here):
        here.simulator.imap.capabilities = ("IMAP4rev1", "LOGINDISABLED")
        with pytest.raises(NeedsOperator, match="takes no password"):
            await here.poll()
        assert here.simulator.calls == []

    played(act)


def test_a_private_address_is_refused_where_they_are_ruled_out():
    async def act(here):
        with pytest.raises(NeedsOperator, match="private"):
            await here.poll(private=False)
        assert here.simulator.imap._talks == {}

    played(act)


def test_a_server_with_a_certificate_of_its_own_authority(tmp_path, own_certificate):
    certificate, key = own_certificate

    async def act():
        simulator = INSTALLED.connector.simulator()
        simulator.imap.tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        simulator.imap.tls.load_cert_chain(certificate, key)
        url = (await simulator.start()).replace("127.0.0.1", "localhost")
        here = World(simulator, url)
        try:
            seeded = simulator.seed("incident", 1)
            settings = {"imap_security": "tls", "imap_ca": certificate.read_text()}
            assert (await here.poll(**settings))[0] == seeded
            with pytest.raises(NeedsOperator, match="certificate"):
                await here.poll(imap_security="tls")
        finally:
            await simulator.stop()

    asyncio.run(act())


def test_a_slow_server_is_waited_for_and_a_silent_one_is_not():
    async def act(here):
        seeded = here.simulator.seed("incident", 1)
        here.simulator.faults.plan(Fault.SLOW, path="FETCH", delay_seconds=0.3)
        assert (await here.poll())[0] == seeded
        here.simulator.faults.plan(Fault.TIMEOUT_AFTER_COMMIT, path="SEARCH")
        with pytest.raises(Retryable):
            await here.poll(limits={"request_seconds_max": 0.5})

    played(act)


DATES = st.dates(min_value=dt.date(2020, 1, 1), max_value=dt.date(2030, 1, 1))


@given(
    st.lists(
        st.tuples(st.integers(1, 9_999), DATES), min_size=1, max_size=20, unique_by=lambda each: each[0]
    ),
    st.integers(1, 7),
)
def test_a_mark_only_moves_forward_and_never_past_a_mail_that_was_not_told(mails, size):
    found = [
        Envelope(uid=uid, size=10, arrived=dt.datetime.combine(day, dt.time(), dt.UTC))
        for uid, day in sorted(mails)
    ]
    mark = mailbox.begin("", validity=1, today=TODAY, history_days=0)
    told = []
    for page in mailbox.pages(found, count_max=size, bytes_max=35, mail_bytes_max=100):
        assert len(page) <= size
        before, mark = mark, mailbox.advanced(mark, page, [], TODAY)
        told += [each.uid for each in page]
        assert mark.read == told[-1] > before.read
        assert mark.since >= before.since
        assert mark.since <= TODAY
        assert mailbox.begin(mark.text(), validity=1, today=TODAY, history_days=0) == mark
    assert told == [each.uid for each in found]
    anew = mailbox.begin(mark.text(), validity=2, today=TODAY, history_days=0)
    assert (anew.read, anew.owed, anew.since) == (0, (), mark.since)
