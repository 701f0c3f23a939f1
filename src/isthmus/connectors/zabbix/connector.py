"""The connector of Zabbix."""

from __future__ import annotations

from isthmus.connectors.kit.ports import Connector
from isthmus.connectors.kit.simulator import Simulator
from isthmus.connectors.zabbix.client import ZabbixClient
from isthmus.connectors.zabbix.config import ZabbixConfig
from isthmus.connectors.zabbix.webhook import ZabbixSource


def _simulator() -> Simulator:
    from isthmus.connectors.zabbix.simulator import ZabbixSimulator

    return ZabbixSimulator()


CONNECTOR = Connector(config=ZabbixConfig, source=ZabbixSource(), open=ZabbixClient, simulator=_simulator)
