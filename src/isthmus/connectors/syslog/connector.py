"""The connector of syslog."""

from __future__ import annotations

from isthmus.connectors.kit.ports import Connector
from isthmus.connectors.kit.simulator import Simulator
from isthmus.connectors.syslog.config import SyslogConfig
from isthmus.connectors.syslog.webhook import SyslogSource


def _simulator() -> Simulator:
    from isthmus.connectors.syslog.simulator import SyslogSimulator

    return SyslogSimulator()


CONNECTOR = Connector(config=SyslogConfig, source=SyslogSource(), simulator=_simulator)
