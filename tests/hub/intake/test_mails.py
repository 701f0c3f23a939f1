"""The door of mail over real SMTP (smtplib): who may hand over, what is answered, and that 250 means durable."""

from __future__ import annotations

import asyncio
import re
import smtplib
import socket
import ssl
from contextlib import closing
from dataclasses import replace

import pytest
import uvloop
from tests.hub.intake import certificates

from isthmus import django_settings
from isthmus.connectors.mail.simulator import OURS, MailSimulator
from isthmus.hub.intake import mails
from isthmus.hub.intake.appender import Appender
from isthmus.hub.intake.current_entrances import CurrentEntrances
from isthmus.hub.intake.log import LogUnavailable
from isthmus.hub.intake.mails import Mails
from isthmus.hub.intake.refusals import Refusals
from isthmus.kernel.errors import NeedsOperator
from isthmus.ledger.ids import source

YAML = """
connections:
  desk:
    connector: mail
    config:
      addresses: [incidents@hub.example.test]
      senders: ["@example.test"]
      authority: mx.example.test
      smtp_peers: {peers}
      {account}
  other:
    connector: mail
    config:
      addresses: [printing@hub.example.test, {shared}]
      senders: ["@example.test"]
      proof: none
      smtp_peers: {others}
"""
HERE = '["127.0.0.1/32"]'
ELSEWHERE = '["192.0.2.0/24"]'
ACCOUNT = 'smtp_user: mx\n      smtp_password: {secret: "env:SMTP_PASSWORD"}'
SENDER = "alice@example.test"


class Fragile:
    """A log whose disk is full while `full`, and whose appends can be waited for; everything else is the real one."""

    def __init__(self, log):
        self.log, self.full = log, False

    def append(self, connection, drafts):
        if self.full:
            raise LogUnavailable("The disk is full.")
        return self.log.append(connection, drafts)


@pytest.fixture
def mx(hub, monkeypatch, tmp_path):
    """A hub that listens for mail; `mx(act)` runs `act(client, fragile)` in a thread beside it."""
    monkeypatch.setenv("SMTP_PASSWORD", "p")

    def play(act, *, peers=HERE, others=HERE, account="", shared="x@hub.example.test", **settings):
        hub.apply(YAML.format(peers=peers, others=others, account=account, shared=shared))

        async def run():
            entrances, refusals, fragile = CurrentEntrances(), Refusals(), Fragile(hub.log)
            await asyncio.to_thread(_refresh, entrances)
            appender = Appender(fragile, queue_max=1000, loop=asyncio.get_running_loop(), notify=lambda: None)
            appender.start()
            listener = Mails(entrances, lambda: appender, refusals, source)
            try:
                await listener.start(
                    replace(
                        django_settings.ISTHMUS,
                        smtp_listen="127.0.0.1:0",
                        smtp_name="hub.example.test",
                        **settings,
                    )
                )
                found = await asyncio.to_thread(act, listener.address, fragile)
                return found, sorted((each.reason, count) for each, count in refusals.take().items())
            finally:
                await listener.stop()
                await asyncio.to_thread(appender.stop)

        # As the front runs: STARTTLS has to work on uvloop's transports.
        return uvloop.run(run())

    return play


def _refresh(entrances):
    from isthmus.ledger import scope

    with scope.everywhere("test"):
        entrances.refresh()


def letter(text="Title: Slow\nImpact: high\nUrgency: 1", **headers):
    return MailSimulator().write("Help", text, **headers)


def client(address):
    return smtplib.SMTP(*address, local_hostname="mx.example.test", timeout=10)


def kept(hub, connection="desk"):
    return hub.log.read(connection, 0, messages_max=1_000)


def code(act):
    """Return what a command was answered, refused or not."""
    try:
        return act()
    except smtplib.SMTPResponseException as fault:
        return fault.smtp_code, fault.smtp_error
    except smtplib.SMTPRecipientsRefused as fault:
        return next(iter(fault.recipients.values()))


def send(address, raw, *recipients, sender=SENDER):
    with client(address) as server:
        return code(lambda: server.sendmail(sender, list(recipients or (OURS,)), raw))


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
    # What the protocol itself refuses never reached a connection, so none counts it.
    assert refused == ([] if reason == "size" else [(reason, 1)])


def test_an_announced_size_beyond_the_limit_is_refused_before_it_is_sent(hub, mx):
    def act(address, _):
        with client(address) as server:
            server.ehlo()
            return server.mail(SENDER, ["SIZE=600000"])[0], server.mail(SENDER, ["SIZE=1000"])[0]

    assert mx(act, intake_bytes_max=500_000)[0] == (552, 250)


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


def test_a_stranger_is_sent_away_before_anything_is_said(hub, mx):
    def act(address, _):
        with closing(socket.create_connection(address, timeout=10)) as peer:
            return peer.recv(100)

    said, refused = mx(act, peers=ELSEWHERE, others=ELSEWHERE)
    assert said.startswith(b"554 5.7.1")
    assert refused == [("stranger", 1)]


def test_an_address_of_a_connection_that_does_not_admit_the_peer_takes_nothing(hub, mx):
    (status, _), refused = mx(lambda address, _: send(address, letter()), peers=ELSEWHERE)
    assert (status, refused) == (550, [("stranger", 1)])
    assert kept(hub) == []


def secured(tmp_path):
    pair = certificates.made("hub.example.test")
    certificate, key = certificates.written(tmp_path, "server", pair)
    return {"smtp_certificate": certificate, "smtp_key": key}, ssl.create_default_context(cafile=certificate)


class Named(smtplib.SMTP):
    """Knows the hub by the name in its certificate."""

    def starttls(self, *, context):
        self._host = "hub.example.test"
        return super().starttls(context=context)


def test_who_signs_in_over_tls_hands_over_from_anywhere(hub, mx, tmp_path):
    settings, trust = secured(tmp_path)

    def act(address, _):
        with Named(*address, timeout=10) as server:
            server.ehlo()
            before = server.has_extn("auth")
            server.starttls(context=trust)
            server.ehlo()
            wrong = code(lambda: server.login("mx", "q"))[0]
            server.login("mx", "p")
            return before, wrong, server.sendmail(SENDER, [OURS], letter())

    found, refused = mx(act, peers="[]", account=ACCOUNT, **settings)
    assert found == (False, 535, {})
    assert refused == [("sign-in", 2)], "smtplib tries both of its ways"
    assert b"with ESMTPSA id" in kept(hub)[0].body
    assert b"mx.example.test; dmarc=pass" in kept(hub)[0].body


def test_without_signing_in_there_is_a_hint_and_no_password_in_clear(hub, mx, tmp_path):
    settings, _ = secured(tmp_path)

    def act(address, _):
        with client(address) as server:
            server.ehlo()
            clear = server.docmd("AUTH", "PLAIN AG14AHA=")[0]
            server.mail(SENDER)
            return clear, server.rcpt(OURS)[0]

    assert mx(act, peers="[]", account=ACCOUNT, **settings)[0] == (538, 530)


def test_tls_can_be_required(hub, mx, tmp_path):
    settings, trust = secured(tmp_path)

    def act(address, _):
        plain = send(address, letter())[0]
        with Named(*address, timeout=10) as server:
            server.starttls(context=trust)
            return plain, server.sendmail(SENDER, [OURS], letter())

    assert mx(act, smtp_require_tls=True, **settings)[0] == (530, {})
    with pytest.raises(NeedsOperator):
        mx(act, smtp_require_tls=True)


def test_who_guesses_is_sent_away(hub, mx, tmp_path, monkeypatch):
    monkeypatch.setattr(mails, "FAILURES_MAX", 2)
    settings, trust = secured(tmp_path)

    def guess(address):
        with Named(*address, timeout=10) as server:
            server.starttls(context=trust)
            server.ehlo()
            return code(lambda: server.login("mx", "q"))[0]

    def act(address, _):
        first = guess(address)
        with closing(socket.create_connection(address, timeout=10)) as peer:
            return first, peer.recv(100)[:3]

    assert mx(act, account=ACCOUNT, **settings)[0] == (535, b"421")


def test_peers_are_bounded_and_who_hangs_up_makes_room(hub, mx, monkeypatch):
    monkeypatch.setattr(mails, "PEERS_AN_ADDRESS_MAX", 2)

    def greeting(address):
        peer = socket.create_connection(address, timeout=10)
        return peer, peer.recv(100)[:3]

    def act(address, _):
        (one, first), (two, second), (three, third) = (greeting(address) for _ in range(3))
        one.close()
        three.close()
        for _ in range(200):
            again, fourth = greeting(address)
            again.close()
            if fourth == b"220":
                break
        two.close()
        return first, second, third, fourth

    found, refused = mx(act)
    assert found == (b"220", b"220", b"421", b"220")
    assert refused[0][0] == "too-many"


def test_commands_without_end_are_cut_off(hub, mx, monkeypatch):
    monkeypatch.setitem(mails.COMMANDS_MAX, "*", 5)

    def act(address, _):
        with client(address) as server:
            return [server.noop()[0] for _ in range(6)]

    assert mx(act)[0] == [250] * 5 + [421]


def test_silence_is_cut_off(hub, mx, monkeypatch):
    monkeypatch.setattr(mails, "SILENCE_SECONDS_MAX", 0.2)

    def act(address, _):
        with closing(socket.create_connection(address, timeout=10)) as peer:
            peer.recv(100)
            return peer.recv(100)

    assert mx(act)[0] == b""


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
