"""Configuration of a Teams channel behind a workflow of Power Automate."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from isthmus.connectors.kit.config import ConnectorConfig
from isthmus.kernel.secretref import SecretRef


class TeamsConfig(ConnectorConfig, frozen=True, kw_only=True):
    """Workflows that post what they are sent as a card; each one's address holds its own signature."""

    url: Annotated[
        SecretRef,
        Meta(
            description="The workflow's address (“When a Teams webhook request is received”): it is the secret itself."
        ),
    ]
