"""A hub that listens for mail, and mail servers that speak to it with smtplib."""

from __future__ import annotations

import asyncio
import smtplib
import ssl
from dataclasses import replace

import pytest
import uvloop

from isthmus import django_settings
from isthmus.connectors.kit.conformance import certificates
from isthmus.connectors.mail.simulator import OURS, MailSimulator
from isthmus.hub.intake.appender import Appender
from isthmus.hub.intake.current_entrances import CurrentEntrances
from isthmus.hub.intake.log import LogUnavailable
from isthmus.hub.intake.mails import Mails
from isthmus.hub.intake.refusals import Refusals
from isthmus.ledger.ids import source

YAML = """
connections:
  desk:
    connector: mail
    limits: {{body_bytes_max: {most}}}
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

    def play(act, *, peers=HERE, others=HERE, account="", shared="x@hub.example.test", most=0, **settings):
        hub.apply(YAML.format(peers=peers, others=others, account=account, shared=shared, most=most))

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


def secured(tmp_path):
    pair = certificates.made("hub.example.test")
    certificate, key = certificates.written(tmp_path, "server", pair)
    return {"smtp_certificate": certificate, "smtp_key": key}, ssl.create_default_context(cafile=certificate)


class Named(smtplib.SMTP):
    """Knows the hub by the name in its certificate."""

    def starttls(self, *, context):
        self._host = "hub.example.test"
        return super().starttls(context=context)
