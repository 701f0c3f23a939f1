"""Configuration of a connection to PagerDuty."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta, field

from isthmus.connectors.kit.alerts import Severity
from isthmus.connectors.kit.config import ConnectorConfig
from isthmus.kernel.secretref import SecretRef

EventSeverity = Literal["critical", "error", "warning", "info"]
URGENCIES: dict[str, Severity] = {"high": "critical", "low": "warning"}
SEVERITIES: dict[str, EventSeverity] = {
    "critical": "critical",
    "error": "error",
    "warning": "warning",
    "informational": "info",
}
"""Severity of the hub → severity of an event. Which urgency that gives is a setting of PagerDuty's service."""


class PagerDutyConfig(ConnectorConfig, frozen=True, kw_only=True):
    """Webhook in; REST to read, acknowledge, resolve, assign and note; Events v2 to raise what is ours and to end it."""

    secret: Annotated[
        SecretRef | None,
        Meta(
            description="The webhook subscription's secret; PagerDuty shows it once, at creation. Without it webhooks are refused."
        ),
    ] = None
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
            description="Base URL of the REST API; https://api.eu.pagerduty.com in the EU. Empty: REST is not used."
        ),
    ] = "https://api.pagerduty.com"
    routing_key: Annotated[
        SecretRef | None,
        Meta(
            description="Integration key of an Events API v2 integration: what the hub raises goes to its service."
        ),
    ] = None
    events_url: Annotated[
        str,
        Meta(description="Base URL of the Events API; https://events.eu.pagerduty.com in the EU."),
    ] = "https://events.pagerduty.com"
    severities: Annotated[
        dict[str, EventSeverity],
        Meta(
            description="Severity of the hub → severity of an event; a severity that is not named is an error."
        ),
    ] = field(default_factory=lambda: dict(SEVERITIES))
    users: Annotated[
        dict[str, str],
        Meta(
            description="Name of a person in the hub → id of a user in PagerDuty, who is assigned when that person takes it. PagerDuty notifies them.",
            max_length=1000,
        ),
    ] = {}
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
            description="Begins the key of everything that this hub raises; incidents with such a key are not taken as alerts.",
            min_length=3,
            max_length=60,
        ),
    ] = "isthmus/"
