"""Against a real IMAP conversation: when IDLE rings, and what each fault of a server asks of whom."""

import asyncio
import ssl
from contextlib import aclosing
from pathlib import Path

import msgspec
import pytest

from isthmus.connectors.kit.conformance import certificates
from isthmus.connectors.kit.conformance.playing import hanging_up
from isthmus.connectors.kit.faults import Fault
from isthmus.connectors.mail.tests.mailboxes import INSTALLED, World, played
from isthmus.kernel.errors import NeedsOperator, Retryable


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


def test_a_folder_to_move_to_that_is_not_there_is_named_by_the_probe():
    async def act(here):
        there = here.simulator.imap.folders
        done = there.pop("Done")
        moving = {"imap_after": "move", "imap_move_to": "Done"}
        assert (await here.client(**moving).probe()).missing_scopes == ("find the folder of imap_move_to",)
        there["Done"] = done
        assert (await here.client(**moving).probe()).missing_scopes == ()

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


def test_a_server_with_a_certificate_of_its_own_authority(tmp_path):
    certificate, key = certificates.written(tmp_path, "server", certificates.made("localhost"))
    authority = Path(certificate).read_text()

    async def act():
        simulator = INSTALLED.connector.simulator()
        simulator.imap.tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        simulator.imap.tls.load_cert_chain(certificate, key)
        url = (await simulator.start()).replace("127.0.0.1", "localhost")
        here = World(simulator, url)
        try:
            seeded = simulator.seed("incident", 1)
            settings = {"imap_security": "tls", "imap_ca": authority}
            assert (await here.poll(**settings))[0] == seeded
            with pytest.raises(NeedsOperator, match="certificate"):
                await here.poll(imap_security="tls")
        finally:
            await simulator.stop()

    asyncio.run(act())


def test_a_server_that_hangs_up_during_the_handshake_is_tried_again():
    async def act():
        async with hanging_up() as port:
            here = World(INSTALLED.connector.simulator(), f"imap://127.0.0.1:{port}")
            with pytest.raises(Retryable):
                await here.poll(imap_security="tls")

    asyncio.run(act())


def test_a_slow_server_is_waited_for_and_a_silent_one_is_not():
    async def act(here):
        seeded = here.simulator.seed("incident", 1)
        here.simulator.faults.plan(Fault.SLOW, path="FETCH", delay_seconds=0.3)
        assert (await here.poll())[0] == seeded
        here.simulator.faults.plan(Fault.TIMEOUT_AFTER_COMMIT, path="SEARCH")
        with pytest.raises(Retryable):
            await here.poll(limits={"request_seconds_max": 1.5})

    played(act)
