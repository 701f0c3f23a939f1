"""Configuration of a generic webhook: how both sides authenticate, rules that say what a body means, where to send."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta

from isthmus.connectors.kit.config import ConnectorConfig
from isthmus.connectors.kit.rules import Rule
from isthmus.kernel.secretref import SecretRef

Authentication = Literal[
    "bearer", "basic", "hub_sha256", "hub_sha1", "github", "gitlab_token", "standard_webhooks", "zendesk",
    "glpi", "grafana", "grafana_timestamp", "pagerduty", "slack", "teams",
]  # fmt: skip


class WebhookConfig(ConnectorConfig, frozen=True, kw_only=True):
    """A sender of JSON objects, a receiver of the hub's own webhooks, or both."""

    authentication: Annotated[Authentication, Meta(description="How the sender authenticates.")]
    secret: Annotated[SecretRef, Meta(description="The shared secret, token, or user:password for basic.")]
    previous_secret: Annotated[
        SecretRef | None,
        Meta(description="The secret before the last rotation, accepted until it is removed."),
    ] = None
    rules: Annotated[
        list[Rule],
        Meta(description="What bodies mean; the first rule that fits an item is used. Needed without a url."),
    ] = []
    url: Annotated[
        str,
        Meta(
            description="Where the hub posts what it tells (decisions of the gate), signed with the secret."
        ),
    ] = ""

    def __post_init__(self) -> None:
        if not self.rules and not self.url:
            raise ValueError("rules are needed where nothing is sent: give rules, a url, or both")
        if self.url and self.authentication != "standard_webhooks":
            raise ValueError("what the hub sends is signed as standard_webhooks: name that authentication")
