"""The connector of CloudEvents."""

from __future__ import annotations

from isthmus.connectors.cloudevents.config import CloudEventsConfig
from isthmus.connectors.cloudevents.webhook import CloudEventsSource
from isthmus.connectors.kit.ports import Connector
from isthmus.connectors.kit.simulator import Simulator


def _simulator() -> Simulator:
    from isthmus.connectors.cloudevents.simulator import CloudEventsSimulator

    return CloudEventsSimulator()


CONNECTOR = Connector(config=CloudEventsConfig, source=CloudEventsSource(), simulator=_simulator)
