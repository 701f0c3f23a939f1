"""What a connection to a ServiceNow instance needs."""

from __future__ import annotations

from typing import Annotated

import msgspec

from isthmus.connectors.kit.config import ConnectorConfig
from isthmus.kernel.secretref import SecretRef


class ServiceNowConfig(ConnectorConfig, frozen=True, kw_only=True):
    """One instance and the integration user of the hub.

    Without `client_id` calls use basic authentication; with it, OAuth 2: the password grant if a username
    is set, else the client credentials grant.
    """

    url: Annotated[
        str,
        msgspec.Meta(
            pattern=r"^https?://[^\s?#]+[^\s?#/]$",
            description="Address of the instance, e.g. https://example.service-now.com.",
        ),
    ]
    username: Annotated[
        str, msgspec.Meta(description="Integration user with the roles itil and web_service_access.")
    ] = ""
    password: Annotated[SecretRef | None, msgspec.Meta(description="That user's password.")] = None
    client_id: Annotated[
        str, msgspec.Meta(description="OAuth client id; empty for basic authentication.")
    ] = ""
    client_secret: Annotated[SecretRef | None, msgspec.Meta(description="OAuth client secret.")] = None
    webhook_secret: Annotated[
        SecretRef | None,
        msgspec.Meta(
            description="Key shared with the business rule, base64 of at least 24 bytes; without it webhooks are refused."
        ),
    ] = None
    query: Annotated[
        str,
        msgspec.Meta(
            pattern=r"^(?!.*(\^NQ|ORDERBY))[^&]*$",
            description="Encoded query that limits polls, without ^NQ and ORDERBY; empty for all records.",
        ),
    ] = ""
    close_code: Annotated[
        str,
        msgspec.Meta(description="Resolution code written when the hub resolves without one; empty: never."),
    ] = ""
    close_notes: Annotated[
        str,
        msgspec.Meta(description="Resolution notes written when the hub resolves without any; empty: never."),
    ] = ""
    hold_reason: Annotated[
        str,
        msgspec.Meta(
            description="On hold reason (a raw value such as 4) written with On Hold; empty: never."
        ),
    ] = ""
    service_levels: Annotated[
        bool,
        msgspec.Meta(
            description="Read ServiceNow's own service level clocks (task_sla) of incidents, to be compared with the hub's."
        ),
    ] = False
    overlap_seconds: Annotated[
        int,
        msgspec.Meta(ge=0, le=3600, description="How far each poll reaches back before its watermark."),
    ] = 60
