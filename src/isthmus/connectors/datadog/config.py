"""Configuration of a connection to Datadog."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta, field

from isthmus.connectors.kit.alerts import Severity, State
from isthmus.connectors.kit.config import ConnectorConfig
from isthmus.kernel.secretref import SecretRef

SEVERITIES: dict[str, Severity] = {
    "p1": "critical",
    "p2": "error",
    "p3": "error",
    "p4": "warning",
    "p5": "informational",
    "alert": "error",
    "error": "error",
    "warn": "warning",
    "warning": "warning",
    "no data": "warning",
    "success": "informational",
    "info": "informational",
}
TRANSITIONS: dict[str, State] = {
    "triggered": "firing",
    "re-triggered": "firing",
    "triggered from no data": "firing",
    "warn": "firing",
    "re-warn": "firing",
    "renotify": "firing",
    "no data": "firing",
    "re-no data": "firing",
    "recovered": "resolved",
    "recovered from no data": "resolved",
}


class DatadogConfig(ConnectorConfig, frozen=True, kw_only=True):
    """Webhook in, with our payload; monitors read back; downtimes and events written."""

    token: Annotated[
        SecretRef,
        Meta(description="What the webhook sends: the token, or user:password for basic authentication."),
    ]
    previous_token: Annotated[
        SecretRef | None,
        Meta(description="The token before the last rotation, accepted until it is removed."),
    ] = None
    authentication: Annotated[
        Literal["header", "bearer", "basic"],
        Meta(description="How the webhook authenticates: header X-Isthmus-Token, bearer token, or basic."),
    ] = "header"
    url: Annotated[
        str,
        Meta(description="Base URL of the API, e.g. https://api.datadoghq.eu. Empty: webhooks only."),
    ] = ""
    api_key: Annotated[SecretRef | None, Meta(description="The API key (DD-API-KEY).")] = None
    application_key: Annotated[
        SecretRef | None, Meta(description="The application key of a service account (DD-APPLICATION-KEY).")
    ] = None
    monitor_tags: Annotated[
        list[str],
        Meta(description="Only monitors with all of these tags are polled; empty: all.", max_length=50),
    ] = []
    severities: Annotated[
        dict[str, Severity],
        Meta(description="Priority (p1 to p5, which goes first), status or alert type → severity."),
    ] = field(default_factory=lambda: dict(SEVERITIES))
    transitions: Annotated[
        dict[str, State],
        Meta(description="What $ALERT_TRANSITION means, in small letters; a word outside is refused."),
    ] = field(default_factory=lambda: dict(TRANSITIONS))
