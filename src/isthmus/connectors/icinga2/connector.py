"""The connector of Icinga 2."""

from __future__ import annotations

from isthmus.connectors.icinga2.client import Icinga2Client
from isthmus.connectors.icinga2.config import Icinga2Config
from isthmus.connectors.kit.ports import Connector
from isthmus.connectors.kit.simulator import Simulator


def _simulator() -> Simulator:
    from isthmus.connectors.icinga2.simulator import Icinga2Simulator

    return Icinga2Simulator()


CONNECTOR = Connector(config=Icinga2Config, open=Icinga2Client, simulator=_simulator)
