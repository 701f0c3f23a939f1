"""Configuration of a connection to Nagios."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from isthmus.connectors.kit.alerts import Severity
from isthmus.connectors.kit.config import ConnectorConfig
from isthmus.kernel.secretref import SecretRef


class NagiosConfig(ConnectorConfig, frozen=True, kw_only=True):
    """Notifications in; with the agent on the Nagios host also standing, acknowledgements and downtimes."""

    secret: Annotated[
        SecretRef,
        Meta(
            description="What both sides sign with: the first line of the agent's secret_file.",
        ),
    ]
    previous_secret: Annotated[
        SecretRef | None,
        Meta(description="The secret before the last rotation, accepted until it is removed."),
    ] = None
    url: Annotated[
        str,
        Meta(description="Base URL of the agent on the Nagios host; empty: notifications only, one way."),
    ] = ""
    ca: Annotated[
        str,
        Meta(description="PEM text of the authority of the agent's certificate, if it is not a public one."),
    ] = ""
    warning: Annotated[Severity, Meta(description="Severity of a service in WARNING.")] = "warning"
    critical: Annotated[Severity, Meta(description="Severity of a service in CRITICAL.")] = "critical"
    unknown: Annotated[Severity, Meta(description="Severity of a service in UNKNOWN.")] = "error"
    down: Annotated[Severity, Meta(description="Severity of a host that is DOWN.")] = "critical"
    unreachable: Annotated[
        Severity, Meta(description="Severity of a host that is UNREACHABLE, behind another that is down.")
    ] = "warning"
    sticky: Annotated[
        bool,
        Meta(
            description="Whether acknowledgements of ours last until the object recovers (else until its state changes)."
        ),
    ] = True
    notify: Annotated[
        bool, Meta(description="Whether Nagios notifies its contacts of what the hub acknowledges.")
    ] = True
    confirm_seconds: Annotated[
        float,
        Meta(
            description="How long to look for the effect of a command: Nagios' pipe gives no answer, and its status file"
            " is written every ten seconds by default.",
            ge=0,
            le=60,
        ),
    ] = 25.0
