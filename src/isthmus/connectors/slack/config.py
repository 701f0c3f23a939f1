"""Configuration of a Slack workspace."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from isthmus.connectors.kit.config import ConnectorConfig
from isthmus.kernel.secretref import SecretRef


class SlackConfig(ConnectorConfig, frozen=True, kw_only=True):
    """One app in one workspace: its bot token sends, its signing secret proves who pressed a button."""

    token: Annotated[SecretRef, Meta(description="The app's bot token (xoxb-…) with the scope chat:write.")]
    signing_secret: Annotated[
        SecretRef | None,
        Meta(description="The app's signing secret; without it no button is accepted."),
    ] = None
    previous_signing_secret: Annotated[
        SecretRef | None,
        Meta(description="The secret before the last rotation, accepted until it is removed."),
    ] = None
    url: Annotated[str, Meta(description="Base address of the Web API.")] = "https://slack.com/api"
    look_back_seconds: Annotated[
        int,
        Meta(
            ge=60,
            le=86_400,
            description="How far back a channel is searched for a message whose answer was lost.",
        ),
    ] = 3_600
    read_back: Annotated[
        bool,
        Meta(description="Read each message back after it was posted, as evidence; needs a history scope."),
    ] = True
