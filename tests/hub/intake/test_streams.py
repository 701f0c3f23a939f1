"""The door of streams over real sockets: who may speak, framing, TLS, back-pressure, and what a restart leaves."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from dataclasses import replace

import pytest

from isthmus import django_settings
from isthmus.connectors.kit.conformance import certificates
from isthmus.hub.intake.appender import Appender
from isthmus.hub.intake.current_entrances import CurrentEntrances
from isthmus.hub.intake.log import LogUnavailable
from isthmus.hub.intake.refusals import Refusals
from isthmus.hub.intake.streams import Streams, parse_address, tls
from isthmus.kernel.errors import NeedsOperator
from isthmus.ledger.ids import source

YAML = """
connections:
  hosts:
    connector: syslog
    config:
      sources: {sources}
      certificates: {certificates}
      secret: {{secret: "env:TINY_TOKEN"}}
      rules:
        - kind: alert
          key: /host
          fields: {{summary: /message}}
"""
MESSAGE = "<34>1 2026-11-20T14:57:24Z host-{} app - - - Zürich 🚒"


def said(number: int) -> bytes:
    return MESSAGE.format(number).encode()


class Fragile:
    """A log whose disk is full for a while; everything else is the real one."""

    def __init__(self, log):
        self.log, self.full = log, 0

    def append(self, connection, drafts):
        if self.full:
            self.full -= 1
            raise LogUnavailable("The disk is full.")
        return self.log.append(connection, drafts)


def played(hub, act, *, sources='["127.0.0.1"]', certificates="[]", **settings):
    hub.apply(YAML.format(sources=sources, certificates=certificates))

    async def run():
        entrances, refusals, fragile = CurrentEntrances(), Refusals(), Fragile(hub.log)
        await asyncio.to_thread(_refresh, entrances)
        appender = Appender(fragile, queue_max=1000, loop=asyncio.get_running_loop(), notify=lambda: None)
        appender.start()
        streams = Streams(entrances, lambda: appender, refusals, source)
        try:
            await streams.start(replace(django_settings.ISTHMUS, stream_listen="127.0.0.1:0", **settings))
            return await act(streams, fragile), dict(refusals.take())
        finally:
            await streams.stop()
            await asyncio.to_thread(appender.stop)

    found, refused = asyncio.run(run())
    return found, sorted((each.reason, count) for each, count in refused.items())


def _refresh(entrances):
    from isthmus.ledger import scope

    with scope.everywhere("test"):
        entrances.refresh()


async def send(streams, *parts, secured=None):
    """Send parts one after the other, close, and wait until the hub has closed too."""
    reader, writer = await asyncio.open_connection(
        *streams.address, ssl=secured, server_hostname="hub.example.test" if secured else None
    )
    for part in parts:
        writer.write(part)
        await writer.drain()
    if not secured:
        with contextlib.suppress(OSError):  # Hung up on before it had read everything.
            writer.write_eof()
            await asyncio.wait_for(reader.read(), 20)
    writer.close()
    if secured:
        await asyncio.sleep(0)


async def durable(hub, count):
    async with asyncio.timeout(20):
        while await asyncio.to_thread(hub.log.durable, "hosts") < count:  # noqa: ASYNC110 - a file, no event
            await asyncio.sleep(0.01)


def kept(hub):
    return [each.body for each in hub.log.read("hosts", 0, messages_max=1_000)]


def test_messages_of_both_framings_are_durable_in_their_order(hub):
    async def act(streams, _):
        stream = b"".join(b"%d %s" % (len(said(n)), said(n)) if n % 2 else said(n) + b"\n" for n in range(20))
        await send(streams, stream[:333], stream[333:334], stream[334:])

    _, refused = played(hub, act)
    assert kept(hub) == [said(n) for n in range(20)]
    assert refused == []
    message = hub.log.read("hosts", 0, messages_max=1)[0]
    assert (message.door, dict(message.headers)) == ("stream", {"x-isthmus-peer": "127.0.0.1"})


def test_the_last_line_may_end_with_the_connection_but_half_a_counted_message_is_none(hub):
    async def act(streams, _):
        await send(streams, said(1))
        await send(streams, b"%d %s" % (len(said(2)) + 1, said(2)))

    played(hub, act)
    assert kept(hub) == [said(1)]


def test_a_stranger_is_hung_up_on_and_counted(hub):
    async def act(streams, _):
        await send(streams, said(1) + b"\n")

    _, refused = played(hub, act, sources='["192.0.2.0/24"]')
    assert kept(hub) == []
    assert refused == [("stranger", 1)]


def test_what_has_no_shape_is_counted_and_the_next_is_taken(hub):
    async def act(streams, _):
        await send(streams, b"no priority\n" + b"<999>x\n" + said(1) + b"\n")

    _, refused = played(hub, act)
    assert kept(hub) == [said(1)]
    assert refused == [("shape", 2)]


def test_a_message_that_is_too_long_ends_the_stream_with_what_was_before_it(hub):
    async def act(streams, _):
        await send(streams, said(1) + b"\n" + b"9999999 <34>")

    _, refused = played(hub, act)
    assert kept(hub) == [said(1)]
    assert refused == [("framing", 1)]


def test_while_the_disk_is_full_nothing_is_lost_and_nothing_is_doubled(hub):
    async def act(streams, log):
        log.full = 2
        await send(streams, b"".join(said(n) + b"\n" for n in range(5)))

    _, refused = played(hub, act)
    assert sorted(kept(hub)) == [said(n) for n in range(5)]
    assert refused == []


def test_a_client_certificate_says_who_speaks_and_none_is_no_one(hub, tmp_path):
    authority = certificates.made("Authority", None)
    server, client, forged = (
        certificates.made(name, signer)
        for name, signer in (
            ("hub.example.test", authority),
            ("relay.example.test", authority),
            ("relay.example.test", certificates.made("Somebody", None)),
        )
    )
    files = {name: certificates.written(tmp_path, name, pair) for name, pair in
             (("ca", authority), ("server", server), ("client", client), ("forged", forged))}  # fmt: skip

    async def act(streams, _):
        await send(streams, said(1) + b"\n", secured=_client(files, "client"))
        await durable(hub, 1)
        for who in ("", "forged"):
            with pytest.raises((ssl.SSLError, OSError)):  # noqa: PT012 - TLS 1.3 tells it with the first read
                reader, writer = await asyncio.open_connection(
                    *streams.address, ssl=_client(files, who), server_hostname="hub.example.test"
                )
                writer.write(said(2) + b"\n")
                await writer.drain()
                await asyncio.wait_for(reader.read(), 20)
                raise ConnectionResetError  # closed without a word: not taken either

    played(
        hub, act, sources="[]", certificates='["relay.example.test"]',
        stream_certificate=files["server"][0], stream_key=files["server"][1], stream_authorities=files["ca"][0],
    )  # fmt: skip
    assert kept(hub) == [said(1)]


def test_without_an_address_nothing_listens(hub):
    async def act(streams, _):
        other = Streams(streams._entrances, streams._appender, streams._refusals, source)
        await other.start(replace(django_settings.ISTHMUS, stream_listen=""))
        return other.address

    assert played(hub, act)[0] is None


@pytest.mark.parametrize("text", ["6514", "host:", "host:port", "host:99999"])
def test_an_address_that_is_none_is_said(text):
    with pytest.raises(NeedsOperator):
        parse_address(text, "ISTHMUS_STREAM_LISTEN")
    assert parse_address("[::]:6514", "ISTHMUS_STREAM_LISTEN") == ("::", 6514)


def test_a_certificate_that_cannot_be_used_is_said(tmp_path):
    with pytest.raises(NeedsOperator):
        tls(replace(django_settings.ISTHMUS, stream_certificate=str(tmp_path / "missing.pem")))


def _client(files, who):
    made = ssl.create_default_context(cafile=files["ca"][0])
    if who:
        made.load_cert_chain(*files[who])
    return made
