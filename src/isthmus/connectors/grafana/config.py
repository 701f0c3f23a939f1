"""Configuration of a connection to Grafana Alerting."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta, field

from isthmus.connectors.kit.alerts import SEVERITIES, Severity
from isthmus.connectors.kit.config import ConnectorConfig
from isthmus.kernel.secretref import SecretRef


class GrafanaConfig(ConnectorConfig, frozen=True, kw_only=True):
    """Webhook in, and optionally the Alertmanager API of Grafana both ways."""

    secret: Annotated[
        SecretRef,
        Meta(
            description="What proves a webhook: the HMAC secret of the contact point, the credentials of its"
            " Authorization header, or user:password."
        ),
    ]
    previous_secret: Annotated[
        SecretRef | None,
        Meta(description="The secret before the last rotation, accepted until it is removed."),
    ] = None
    authentication: Annotated[
        Literal["hmac", "hmac_timestamp", "bearer", "basic"],
        Meta(
            description="How the contact point authenticates: HMAC over the body (Grafana 12), HMAC over time and body"
            " (its timestamp header is set), Authorization header, or basic authentication."
        ),
    ] = "hmac"
    signature_header: Annotated[
        str, Meta(description="The header of the signature, as the contact point names it.", min_length=1)
    ] = "X-Grafana-Alerting-Signature"
    timestamp_header: Annotated[
        str, Meta(description="The header of the timestamp, as the contact point names it.", min_length=1)
    ] = "X-Grafana-Alerting-Timestamp"
    severity_label: Annotated[str, Meta(description="The label that holds the severity.", min_length=1)] = (
        "severity"
    )
    severities: Annotated[
        dict[str, Severity],
        Meta(description="Label value → severity of the hub; values outside are kept as unknown."),
    ] = field(default_factory=lambda: dict(SEVERITIES))
    url: Annotated[str, Meta(description="Base URL of Grafana for the API; empty: webhooks only.")] = ""
    api_token: Annotated[SecretRef | None, Meta(description="The token of a service account.")] = None
    alertmanager: Annotated[
        str,
        Meta(
            description="Whose alerts and silences: `grafana` itself, or the uid of an Alertmanager data source.",
            pattern="^[A-Za-z0-9_-]{1,64}$",
        ),
    ] = "grafana"
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
            description="For how many minutes an alert must be missing from the list before it counts as ended: after"
            " a restart Grafana knows of nothing until its rules have been evaluated again.",
            ge=1,
            le=1_440,
        ),
    ] = 10
