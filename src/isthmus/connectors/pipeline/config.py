"""Configuration of a pipeline's access to the gate."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from isthmus.connectors.kit.config import ConnectorConfig
from isthmus.kernel.secretref import SecretRef


class PipelineConfig(ConnectorConfig, frozen=True, kw_only=True):
    """Where the hub is and with which token to ask it."""

    url: Annotated[str, Meta(description="Base URL of the hub, e.g. https://hub.example.com.")]
    token: Annotated[SecretRef, Meta(description="A service account's token with the scope gate:check.")]
