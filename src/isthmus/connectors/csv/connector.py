"""The CSV connector."""

from __future__ import annotations

from isthmus.connectors.csv.client import CsvClient
from isthmus.connectors.csv.config import CsvConfig
from isthmus.connectors.csv.webhook import CsvSource
from isthmus.connectors.kit.ports import Connector
from isthmus.connectors.kit.simulator import Simulator


def _simulator() -> Simulator:
    from isthmus.connectors.csv.simulator import CsvSimulator

    return CsvSimulator()


CONNECTOR = Connector(config=CsvConfig, source=CsvSource(), open=CsvClient, simulator=_simulator)
