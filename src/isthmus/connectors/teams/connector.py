"""Microsoft Teams by workflows: messages out."""

from __future__ import annotations

from isthmus.connectors.kit.ports import Connector
from isthmus.connectors.kit.simulator import Simulator
from isthmus.connectors.teams.client import TeamsClient
from isthmus.connectors.teams.config import TeamsConfig


def _simulator() -> Simulator:
    from isthmus.connectors.teams.simulator import TeamsSimulator

    return TeamsSimulator()


CONNECTOR = Connector(config=TeamsConfig, open=TeamsClient, simulator=_simulator)
