"""Configuration of a connection to Icinga 2."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from isthmus.connectors.kit.alerts import Severity
from isthmus.connectors.kit.config import ConnectorConfig
from isthmus.kernel.secretref import SecretRef


class Icinga2Config(ConnectorConfig, frozen=True, kw_only=True):
    """The API of one Icinga 2 master, as one API user."""

    url: Annotated[str, Meta(description="Base URL of the API, e.g. https://icinga.example.com:5665.")]
    user: Annotated[str, Meta(description="The name of the ApiUser.", min_length=1)]
    password: Annotated[SecretRef, Meta(description="Its password.")]
    ca: Annotated[
        str,
        Meta(
            description="The certificate of Icinga's own authority (PEM text, ca.crt of the master); empty: the API's"
            " certificate comes from a public authority."
        ),
    ] = ""
    tls_name: Annotated[
        str,
        Meta(
            description="The name in the API's certificate (Icinga's NodeName) where it is not the URL's host."
        ),
    ] = ""
    labels: Annotated[
        list[str],
        Meta(
            description="Custom variables that become labels, e.g. host.vars.team or vars.runbook. None by default:"
            " custom variables may hold credentials.",
            max_length=50,
        ),
    ] = []
    warning: Annotated[Severity, Meta(description="Severity of a service in WARNING.")] = "warning"
    critical: Annotated[Severity, Meta(description="Severity of a service in CRITICAL.")] = "critical"
    unknown: Annotated[Severity, Meta(description="Severity of a service in UNKNOWN.")] = "error"
    down: Annotated[Severity, Meta(description="Severity of a host that is DOWN.")] = "critical"
    sticky: Annotated[
        bool,
        Meta(
            description="Whether acknowledgements of ours last until the object recovers (else until its state changes)."
        ),
    ] = True
    notify: Annotated[bool, Meta(description="Whether Icinga notifies of what the hub acknowledges.")] = True
    quiet_seconds: Annotated[
        int,
        Meta(
            description="After how long without any event the stream is opened anew: a dead network is silent too.",
            ge=30,
            le=86_400,
        ),
    ] = 900
