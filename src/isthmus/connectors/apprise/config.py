"""Configuration of one service that Apprise reaches."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from isthmus.connectors.kit.config import ConnectorConfig
from isthmus.kernel.secretref import SecretRef


class AppriseConfig(ConnectorConfig, frozen=True, kw_only=True):
    """An Apprise address names a service, its credential and often the recipient."""

    url: Annotated[
        SecretRef,
        Meta(
            description="The Apprise address, e.g. ntfys://host/topic. A {recipient} in it is filled per message."
        ),
    ]
