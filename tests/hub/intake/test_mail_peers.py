"""Who may hand mail over: networks, accounts, TLS, and the limits of those who may."""

from __future__ import annotations

import socket
from contextlib import closing

import pytest
from tests.hub.intake.mail_servers import (
    ACCOUNT,
    ELSEWHERE,
    OURS,
    SENDER,
    Named,
    client,
    code,
    kept,
    letter,
    mx,
    secured,
    send,
)  # fmt: skip

from isthmus.hub.intake import mails
from isthmus.kernel.errors import NeedsOperator

__all__ = ["mx"]


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

    assert mx(act) == ([250] * 5 + [421], [("too-many", 1)])


def test_silence_is_cut_off(hub, mx, monkeypatch):
    monkeypatch.setattr(mails, "SILENCE_SECONDS_MAX", 0.2)

    def act(address, _):
        with closing(socket.create_connection(address, timeout=10)) as peer:
            peer.recv(100)
            return peer.recv(100)

    assert mx(act)[0] == b""
