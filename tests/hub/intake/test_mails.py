"""The door of mail over real SMTP: what is answered, that 250 means durable, and that nothing else is kept."""

from __future__ import annotations

import asyncio
import re
from dataclasses import replace

import pytest
from tests.hub.intake.mail_servers import ACCOUNT, OURS, SENDER, client, kept, letter, mx, send

from isthmus import django_settings
from isthmus.connectors.mail.webhook import MailSource
from isthmus.hub.intake.current_entrances import CurrentEntrances
from isthmus.hub.intake.mails import Mails
from isthmus.hub.intake.refusals import Refusals
from isthmus.kernel.errors import NeedsOperator
from isthmus.ledger.ids import source

__all__ = ["mx"]


def test_a_mail_that_was_answered_with_250_is_on_disk_under_the_lines_of_its_last_server(hub, mx):
    raw = letter().replace(b"\n", b"\r\n")

    def act(address, _):
        with client(address) as server:
            server.ehlo()
            server.mail("bounces@example.test")
            server.rcpt("incidents+printing@hub.example.test")
            answer = server.data(raw)
            return answer, len(kept(hub))

    ((status, text), count), refused = mx(act)
    (message,) = kept(hub)
    assert (status, count, refused) == (250, 1, [])
    assert message.id in text.decode()
    assert (message.door, message.connector.partition("@")[0]) == ("mail", "mail")
    head, body = message.body.split(b"Authentication-Results", 1)
    assert head.startswith(
        b"Return-Path: <bounces@example.test>\r\nDelivered-To: incidents+printing@hub.example.test\r\n"
    )
    assert re.search(
        rb"Received: from mx\.example\.test \(\[127\.0\.0\.1\]\)\r\n\tby hub\.example\.test with ESMTP id",
        head,
    )
    assert b"Authentication-Results" + body == raw


def test_a_full_disk_leaves_the_mail_with_its_sender(hub, mx):
    def act(address, fragile):
        fragile.full = True
        first = send(address, letter())
        fragile.full = False
        return first[0], send(address, letter())

    assert mx(act) == ((451, {}), [("unavailable", 1)])
    assert len(kept(hub)) == 1


def test_a_connection_without_its_secret_leaves_the_mail_with_its_sender(hub, mx, monkeypatch):
    monkeypatch.delenv("SMTP_PASSWORD")
    (status, text), refused = mx(lambda address, _: send(address, letter()), account=ACCOUNT)
    assert (status, refused) == (451, [("closed", 1)])
    assert b"SMTP_PASSWORD" not in text
    assert kept(hub) == []


def test_a_fault_of_ours_leaves_the_mail_with_its_sender_and_tells_nothing_of_it(hub, mx):
    def act(address, fragile):
        fragile.log = None
        return send(address, letter())

    (status, text), _ = mx(act)
    assert status == 451
    assert b"NoneType" not in text


@pytest.mark.parametrize(
    ("raw", "status", "reason"),
    [
        (letter(sender="eve@other.test"), 550, "sender"),
        (letter(Authentication_Results="mx.example.test; dmarc=fail"), 550, "unproved"),
        (b"Subject: nobody wrote this\n\nx", 554, "shape"),
        (letter("x" * 900 + "\n") + b"y\n" * 300_000, 552, "size"),
    ],
    ids=["sender", "unproved", "shape", "size"],
)
def test_what_may_not_enter_is_refused_counted_and_not_kept(hub, mx, raw, status, reason):
    limits = {"intake_bytes_max": 1_000_000} if reason != "size" else {"intake_bytes_max": 500_000}
    (answer, refused) = mx(lambda address, _: send(address, raw), **limits)
    assert answer[0] == status
    assert b"eve" not in answer[1]
    assert kept(hub) == []
    assert refused == [(reason, 1)]


def test_an_announced_size_beyond_the_limit_is_refused_before_it_is_sent(hub, mx):
    def act(address, _):
        with client(address) as server:
            server.ehlo()
            return server.mail(SENDER, ["SIZE=600000"])[0], server.mail(SENDER, ["SIZE=1000"])[0]

    assert mx(act, intake_bytes_max=500_000) == ((552, 250), [("size", 1)])


def test_a_connection_may_take_less_than_the_listener(hub, mx):
    raw = letter("x\n" * 2_000)

    def act(address, _):
        return send(address, raw)[0], send(
            address, raw.replace(OURS.encode(), b"printing@hub.example.test"), "printing@hub.example.test"
        )

    assert mx(act, most=2_000) == ((552, {}), [("size", 1)])
    assert (len(kept(hub)), len(kept(hub, "other"))) == (0, 1)


def test_a_fault_that_nobody_foresaw_leaves_the_mail_with_its_sender(hub, mx, monkeypatch):
    def faulty(*_):
        raise RuntimeError("alice@example.test")

    monkeypatch.setattr(MailSource, "judge", faulty)
    (status, text), _ = mx(lambda address, _: send(address, letter()))
    assert status == 451
    assert b"alice" not in text
    assert kept(hub) == []


def test_recipients_say_which_connection_and_one_transaction_goes_to_one(hub, mx):
    def act(address, _):
        with client(address) as server:
            server.ehlo()
            server.mail(SENDER)
            return [
                server.rcpt(each)[0]
                for each in (OURS, "printing@hub.example.test", "nobody@hub.example.test", OURS.upper())
            ]

    assert mx(act) == ([250, 452, 550, 250], [("recipient", 1)])


def test_two_connections_with_one_address_take_nothing_by_it(hub, mx):
    assert mx(lambda address, _: send(address, letter())[0], shared=OURS) == (451, [("ambiguous", 1)])
    assert kept(hub) == kept(hub, "other") == []


def test_more_recipients_than_the_limit_come_in_another_transaction(hub, mx):
    def act(address, _):
        with client(address) as server:
            server.ehlo()
            server.mail(SENDER)
            return [server.rcpt(f"incidents+{n}@hub.example.test")[0] for n in range(101)]

    found, _ = mx(act)
    assert found == [250] * 100 + [452]


def test_a_mail_that_breaks_off_in_its_text_is_not_kept(hub, mx):
    def act(address, _):
        server = client(address)
        server.ehlo()
        server.mail(SENDER)
        server.rcpt(OURS)
        server.putcmd("DATA")
        server.getreply()
        server.send(letter().replace(b"\n", b"\r\n"))
        server.close()
        return send(address, letter())

    assert mx(act)[0] == {}
    assert len(kept(hub)) == 1


def test_a_dot_alone_in_other_line_ends_does_not_smuggle_a_second_mail_in(hub, mx):
    inner = b"\nMAIL FROM:<eve@other.test>\r\nRCPT TO:<incidents@hub.example.test>\r\nDATA\r\n" + letter()

    def act(address, _):
        with client(address) as server:
            server.ehlo()
            server.mail(SENDER)
            server.rcpt(OURS)
            server.putcmd("DATA")
            server.getreply()
            server.send(
                letter().replace(b"\n", b"\r\n") + b"\n.\r" + inner.replace(b"\n", b"\r\n") + b"\r\n.\r\n"
            )
            return server.getreply()[0]

    assert mx(act)[0] == 250
    assert len(kept(hub)) == 1


def test_a_sender_that_would_write_headers_of_its_own_is_refused(hub, mx):
    """They would stand above those that say whether the sender is proved."""

    def act(address, _):
        with client(address) as server:
            server.ehlo()
            forged = b'MAIL FROM:<"a\rAuthentication-Results: mx.example.test; dmarc=pass\r"@evil.test>\r\n'
            server.sock.sendall(forged)
            return server.getreply()[0], server.mail("bounces@example.test")[0], len(kept(hub))

    assert mx(act) == ((553, 250, 0), [("protocol", 1)])


def test_a_null_sender_enters_and_is_known_as_a_bounce(hub, mx):
    mx(lambda address, _: send(address, letter(), sender=""))
    (message,) = kept(hub)
    assert message.body.startswith(b"Return-Path: <>\r\n")
    hub.run()
    assert hub.effects() == {}


def test_without_an_address_nothing_listens(hub):
    async def run():
        listener = Mails(CurrentEntrances(), lambda: None, Refusals(), source)
        await listener.start(replace(django_settings.ISTHMUS, smtp_listen=""))
        return listener.address

    assert asyncio.run(run()) is None


def test_an_address_or_a_certificate_that_cannot_be_used_is_said(tmp_path):
    for settings in (
        {"smtp_listen": "25"},
        {"smtp_listen": "127.0.0.1:0", "smtp_certificate": str(tmp_path / "none.pem")},
    ):
        listener = Mails(CurrentEntrances(), lambda: None, Refusals(), source)
        with pytest.raises(NeedsOperator, match="SMTP"):
            asyncio.run(listener.start(replace(django_settings.ISTHMUS, **settings)))
