"""The connector of Nagios."""

from __future__ import annotations

from isthmus.connectors.kit.ports import Connector
from isthmus.connectors.kit.simulator import Simulator
from isthmus.connectors.nagios.client import NagiosClient
from isthmus.connectors.nagios.config import NagiosConfig
from isthmus.connectors.nagios.webhook import NagiosSource


def _simulator() -> Simulator:
    from isthmus.connectors.nagios.simulator import NagiosSimulator

    return NagiosSimulator()


CONNECTOR = Connector(config=NagiosConfig, source=NagiosSource(), open=NagiosClient, simulator=_simulator)
