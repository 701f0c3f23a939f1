"""The generic JSON webhook connector."""

from __future__ import annotations

from isthmus.connectors.kit.ports import Connector
from isthmus.connectors.kit.simulator import Simulator
from isthmus.connectors.webhook.config import WebhookConfig
from isthmus.connectors.webhook.outgoing import Receiver
from isthmus.connectors.webhook.webhook import GenericSource


def _simulator() -> Simulator:
    from isthmus.connectors.webhook.simulator import WebhookSimulator

    return WebhookSimulator()


CONNECTOR = Connector(config=WebhookConfig, source=GenericSource(), open=Receiver, simulator=_simulator)
