"""Against a real IMAP conversation: what is new, what is marked when, what a rebuild, a break and a crash leave."""

import datetime as dt

import pytest

from isthmus.connectors.kit.mailing import CUT_HEADER
from isthmus.connectors.mail.tests.mailboxes import name_of, played
from isthmus.kernel.errors import Retryable


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
