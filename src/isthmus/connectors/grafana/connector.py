"""The connector of Grafana Alerting."""

from __future__ import annotations

from isthmus.connectors.grafana.client import GrafanaClient
from isthmus.connectors.grafana.config import GrafanaConfig
from isthmus.connectors.grafana.webhook import GrafanaSource
from isthmus.connectors.kit.ports import Connector
from isthmus.connectors.kit.simulator import Simulator


def _simulator() -> Simulator:
    from isthmus.connectors.grafana.simulator import GrafanaSimulator

    return GrafanaSimulator()


CONNECTOR = Connector(config=GrafanaConfig, source=GrafanaSource(), open=GrafanaClient, simulator=_simulator)
