"""Configuration of a connection to Prometheus Alertmanager."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta, field

from isthmus.connectors.kit.config import ConnectorConfig
from isthmus.kernel.secretref import SecretRef

Severity = Literal["informational", "warning", "error", "critical"]

SEVERITIES: dict[str, Severity] = {
    "critical": "critical",
    "page": "critical",
    "emergency": "critical",
    "disaster": "critical",
    "error": "error",
    "high": "error",
    "major": "error",
    "warning": "warning",
    "warn": "warning",
    "minor": "warning",
    "info": "informational",
    "informational": "informational",
    "none": "informational",
}
"""Label values in common use; a connection may replace the whole table."""


class AlertmanagerConfig(ConnectorConfig, frozen=True, kw_only=True):
    """Webhook in, and optionally API v2 for reading back what fires."""

    token: Annotated[
        SecretRef,
        Meta(
            description="What Alertmanager sends us: the bearer token, or user:password for basic authentication."
        ),
    ]
    previous_token: Annotated[
        SecretRef | None,
        Meta(description="The token before the last rotation, accepted until it is removed."),
    ] = None
    authentication: Annotated[
        Literal["bearer", "basic"], Meta(description="How Alertmanager's http_config authenticates to us.")
    ] = "bearer"
    severity_label: Annotated[str, Meta(description="The label that holds the severity.", min_length=1)] = (
        "severity"
    )
    severities: Annotated[
        dict[str, Severity],
        Meta(description="Label value → severity of the hub; values outside are kept as unknown."),
    ] = field(default_factory=lambda: dict(SEVERITIES))
    url: Annotated[
        str, Meta(description="Base URL of Alertmanager for polling (API v2); empty: webhooks only.")
    ] = ""
    api_authentication: Annotated[
        Literal["none", "bearer", "basic"], Meta(description="How the API (or the proxy before it) wants us.")
    ] = "none"
    api_token: Annotated[
        SecretRef | None,
        Meta(description="The API's bearer token, or user:password for basic authentication."),
    ] = None
    acknowledge_marker: Annotated[
        str,
        Meta(
            description="How the comment of a silence begins that people mean as an acknowledgement.",
            min_length=1,
            max_length=50,
        ),
    ] = "ACK!"
    settled_minutes: Annotated[
        int,
        Meta(
            description="How long Alertmanager must have run before an alert that it no longer lists counts as ended:"
            " after a restart it knows of nothing until Prometheus has sent everything again.",
            ge=1,
            le=1_440,
        ),
    ] = 10
