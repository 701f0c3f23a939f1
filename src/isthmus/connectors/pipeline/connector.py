"""The delivery pipeline's side of the deployment gate."""

from __future__ import annotations

from isthmus.connectors.kit.ports import Connector
from isthmus.connectors.kit.simulator import Simulator
from isthmus.connectors.pipeline.client import GateClient
from isthmus.connectors.pipeline.config import PipelineConfig


def _simulator() -> Simulator:
    from isthmus.connectors.pipeline.simulator import GateSimulator

    return GateSimulator()


CONNECTOR = Connector(config=PipelineConfig, gate=GateClient, simulator=_simulator)
