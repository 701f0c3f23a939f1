"""The long tail of message services, through Apprise."""

from __future__ import annotations

from isthmus.connectors.apprise.client import AppriseClient
from isthmus.connectors.apprise.config import AppriseConfig
from isthmus.connectors.kit.ports import Connector
from isthmus.connectors.kit.simulator import Simulator


def _simulator() -> Simulator:
    from isthmus.connectors.apprise.simulator import AppriseSimulator

    return AppriseSimulator()


CONNECTOR = Connector(config=AppriseConfig, open=AppriseClient, simulator=_simulator)
