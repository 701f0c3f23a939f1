"""Configuration of a sender of CloudEvents: how it authenticates, and rules that say what its events mean."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta

from isthmus.connectors.kit.config import ConnectorConfig
from isthmus.connectors.kit.rules import Rule
from isthmus.kernel.secretref import SecretRef

Authentication = Literal["bearer", "basic", "github", "hub_sha256", "standard_webhooks"]


class CloudEventsConfig(ConnectorConfig, frozen=True, kw_only=True):
    """Events of version 1.0 in any of the three content modes of HTTP."""

    secret: Annotated[SecretRef, Meta(description="The shared secret, token, or user:password for basic.")]
    previous_secret: Annotated[
        SecretRef | None,
        Meta(description="The secret before the last rotation, accepted until it is removed."),
    ] = None
    authentication: Annotated[Authentication, Meta(description="How the sender authenticates.")] = "bearer"
    rules: Annotated[
        list[Rule],
        Meta(
            description="What events mean: rules over the event as an object (`body.type`, `body.data`, …); the first "
            "that fits is used. Events that none fits concern nobody.",
            min_length=1,
        ),
    ]
