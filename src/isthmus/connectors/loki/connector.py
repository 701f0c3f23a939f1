"""The connector of log patterns in Loki."""

from __future__ import annotations

from isthmus.connectors.kit.ports import Connector
from isthmus.connectors.kit.simulator import Simulator
from isthmus.connectors.loki.client import LokiClient
from isthmus.connectors.loki.config import LokiConfig


def _simulator() -> Simulator:
    from isthmus.connectors.loki.simulator import LokiSimulator

    return LokiSimulator()


CONNECTOR = Connector(config=LokiConfig, open=LokiClient, simulator=_simulator)
