"""The connector of PagerDuty."""

from __future__ import annotations

from isthmus.connectors.kit.ports import Connector
from isthmus.connectors.kit.simulator import Simulator
from isthmus.connectors.pagerduty.client import PagerDutyClient
from isthmus.connectors.pagerduty.config import PagerDutyConfig
from isthmus.connectors.pagerduty.webhook import PagerDutySource


def _simulator() -> Simulator:
    from isthmus.connectors.pagerduty.simulator import PagerDutySimulator

    return PagerDutySimulator()


CONNECTOR = Connector(
    config=PagerDutyConfig, source=PagerDutySource(), open=PagerDutyClient, simulator=_simulator
)
