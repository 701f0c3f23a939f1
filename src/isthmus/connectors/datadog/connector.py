"""The connector of Datadog."""

from __future__ import annotations

from isthmus.connectors.datadog.client import DatadogClient
from isthmus.connectors.datadog.config import DatadogConfig
from isthmus.connectors.datadog.webhook import DatadogSource
from isthmus.connectors.kit.ports import Connector
from isthmus.connectors.kit.simulator import Simulator


def _simulator() -> Simulator:
    from isthmus.connectors.datadog.simulator import DatadogSimulator

    return DatadogSimulator()


CONNECTOR = Connector(config=DatadogConfig, source=DatadogSource(), open=DatadogClient, simulator=_simulator)
