"""The connector of e-mail."""

from __future__ import annotations

from isthmus.connectors.kit.ports import Connector
from isthmus.connectors.kit.simulator import Simulator
from isthmus.connectors.mail.client import MailboxClient
from isthmus.connectors.mail.config import MailConfig
from isthmus.connectors.mail.mapping import INCIDENT
from isthmus.connectors.mail.webhook import MailSource


def _simulator() -> Simulator:
    from isthmus.connectors.mail.simulator import MailSimulator

    return MailSimulator()


CONNECTOR = Connector(
    config=MailConfig,
    source=MailSource(),
    open=MailboxClient,
    mappings={"incident": INCIDENT},
    simulator=_simulator,
)
