"""The connector of Prometheus."""

from __future__ import annotations

from isthmus.connectors.kit.ports import Connector
from isthmus.connectors.kit.simulator import Simulator
from isthmus.connectors.prometheus.client import PrometheusClient
from isthmus.connectors.prometheus.config import PrometheusConfig


def _simulator() -> Simulator:
    from isthmus.connectors.prometheus.simulator import PrometheusSimulator

    return PrometheusSimulator()


CONNECTOR = Connector(config=PrometheusConfig, open=PrometheusClient, simulator=_simulator)
