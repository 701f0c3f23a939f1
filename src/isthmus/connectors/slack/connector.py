"""Slack: messages out, pressed buttons in."""

from __future__ import annotations

from isthmus.connectors.kit.ports import Connector
from isthmus.connectors.kit.simulator import Simulator
from isthmus.connectors.slack.client import SlackClient
from isthmus.connectors.slack.config import SlackConfig
from isthmus.connectors.slack.webhook import SlackSource


def _simulator() -> Simulator:
    from isthmus.connectors.slack.simulator import SlackSimulator

    return SlackSimulator()


CONNECTOR = Connector(config=SlackConfig, source=SlackSource(), open=SlackClient, simulator=_simulator)
