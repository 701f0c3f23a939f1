"""Configuration of a connection to Zabbix."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, field

from isthmus.connectors.kit.alerts import Severity
from isthmus.connectors.kit.config import ConnectorConfig
from isthmus.kernel.secretref import SecretRef

SEVERITIES: dict[str, Severity] = {
    "0": "warning",  # not classified: somebody should look, nobody said how soon
    "1": "informational",
    "2": "warning",
    "3": "error",
    "4": "error",
    "5": "critical",
}
"""Not classified, information, warning, average, high, disaster."""


class ZabbixConfig(ConnectorConfig, frozen=True, kw_only=True):
    """The media type in, and optionally the API both ways."""

    secret: Annotated[
        SecretRef, Meta(description="What the media type's script signs with (parameter secret).")
    ]
    previous_secret: Annotated[
        SecretRef | None,
        Meta(description="The secret before the last rotation, accepted until it is removed."),
    ] = None
    url: Annotated[
        str,
        Meta(
            description="Base URL of the frontend, below which api_jsonrpc.php lies; empty: notifications only, one way."
        ),
    ] = ""
    api_token: Annotated[SecretRef | None, Meta(description="An API token of a user of Zabbix.")] = None
    severities: Annotated[
        dict[str, Severity],
        Meta(
            description="Zabbix' severity 0 to 5 → severity of the hub; values outside are kept as unknown."
        ),
    ] = field(default_factory=lambda: dict(SEVERITIES))
