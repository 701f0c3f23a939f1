"""Configuration of a connection to PagerDuty."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, field

from isthmus.connectors.kit.alerts import Severity
from isthmus.connectors.kit.config import ConnectorConfig
from isthmus.kernel.secretref import SecretRef

URGENCIES: dict[str, Severity] = {"high": "critical", "low": "warning"}


class PagerDutyConfig(ConnectorConfig, frozen=True, kw_only=True):
    """Webhook in; REST to read, acknowledge, resolve and note; Events v2 to say that ours has ended."""

    secret: Annotated[
        SecretRef,
        Meta(description="The webhook subscription's secret; PagerDuty shows it once, at creation."),
    ]
    previous_secret: Annotated[
        SecretRef | None,
        Meta(
            description="The secret of the subscription before the last rotation, accepted until it is removed."
        ),
    ] = None
    api_token: Annotated[
        SecretRef | None, Meta(description="REST API key (Authorization: Token token=…).")
    ] = None
    from_: Annotated[
        str,
        Meta(description="E-mail address of the PagerDuty user in whose name the hub writes (From header)."),
    ] = field(name="from", default="")
    url: Annotated[
        str,
        Meta(
            description="Base URL of the REST API; https://api.eu.pagerduty.com in the EU. Empty: webhooks only."
        ),
    ] = "https://api.pagerduty.com"
    services: Annotated[
        list[str],
        Meta(
            description="Ids of the services that polls look at; empty: all that the key can see.",
            max_length=100,
        ),
    ] = []
    urgencies: Annotated[
        dict[str, Severity],
        Meta(
            description="Urgency (or priority, which goes first) → severity of the hub; others stay unknown."
        ),
    ] = field(default_factory=lambda: dict(URGENCIES))
    own_key_prefix: Annotated[
        str,
        Meta(
            description="Incidents whose key begins like this were raised by this hub: they are not taken as alerts.",
            min_length=3,
        ),
    ] = "isthmus/"
