"""The connector of Prometheus Alertmanager."""

from __future__ import annotations

from isthmus.connectors.alertmanager.client import AlertmanagerClient
from isthmus.connectors.alertmanager.config import AlertmanagerConfig
from isthmus.connectors.alertmanager.webhook import AlertmanagerSource
from isthmus.connectors.kit.ports import Connector
from isthmus.connectors.kit.simulator import Simulator


def _simulator() -> Simulator:
    from isthmus.connectors.alertmanager.simulator import AlertmanagerSimulator

    return AlertmanagerSimulator()


CONNECTOR = Connector(
    config=AlertmanagerConfig, source=AlertmanagerSource(), open=AlertmanagerClient, simulator=_simulator
)
