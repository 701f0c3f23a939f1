"""The door for posted files: a bearer token, and a file that is refused whole or taken whole."""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

from isthmus.connectors.csv.config import CsvConfig
from isthmus.connectors.csv.mapping import observations
from isthmus.connectors.kit.ports import Context
from isthmus.connectors.kit.webhook import WebhookSource
from isthmus.kernel.observation import Observation


class CsvSource(WebhookSource):
    """Posted CSV files."""

    secret_names = ("token",)

    def parse(self, body: bytes, headers: Mapping[str, str], context: Context) -> list[Observation]:
        """Return one observation per row."""
        del headers
        return observations(body, context.connection, cast("CsvConfig", context.config))
