"""Outgoing mail."""

from __future__ import annotations

from isthmus.connectors.kit.ports import Connector
from isthmus.connectors.kit.simulator import Simulator
from isthmus.connectors.smtp.client import MailClient
from isthmus.connectors.smtp.config import SmtpConfig


def _simulator() -> Simulator:
    from isthmus.connectors.smtp.simulator import MailSimulator

    return MailSimulator()


CONNECTOR = Connector(config=SmtpConfig, open=MailClient, simulator=_simulator)
