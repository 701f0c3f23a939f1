"""The connector of CloudWatch alarms through SNS."""

from __future__ import annotations

from isthmus.connectors.kit.ports import Connector
from isthmus.connectors.kit.simulator import Simulator
from isthmus.connectors.sns.config import SnsConfig
from isthmus.connectors.sns.webhook import SnsSource


def _simulator() -> Simulator:
    from isthmus.connectors.sns.simulator import SnsSimulator

    return SnsSimulator()


CONNECTOR = Connector(config=SnsConfig, source=SnsSource(), simulator=_simulator)
