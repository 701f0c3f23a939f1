"""The connector of log patterns in OpenSearch and Elasticsearch."""

from __future__ import annotations

from isthmus.connectors.kit.ports import Connector
from isthmus.connectors.kit.simulator import Simulator
from isthmus.connectors.opensearch.client import OpenSearchClient
from isthmus.connectors.opensearch.config import OpenSearchConfig


def _simulator() -> Simulator:
    from isthmus.connectors.opensearch.simulator import OpenSearchSimulator

    return OpenSearchSimulator()


CONNECTOR = Connector(config=OpenSearchConfig, open=OpenSearchClient, simulator=_simulator)
