"""What a connection to Jira Cloud or Jira Service Management needs."""

from __future__ import annotations

from typing import Annotated

import msgspec

from isthmus.connectors.kit.config import ConnectorConfig
from isthmus.kernel.secretref import SecretRef

WORKFLOW: dict[str, list[str]] = {
    "Open": ["Work in progress", "Pending", "Canceled"],
    "Work in progress": ["Pending", "Resolved", "Canceled"],
    "Pending": ["Work in progress", "Resolved", "Canceled"],
    "Resolved": ["Work in progress", "Closed"],
    "Closed": [],
    "Canceled": [],
}
"""Which status may follow which, as the service project template for incidents has it."""


class JiraConfig(ConnectorConfig, frozen=True, kw_only=True):
    """One project of a site and the account of the hub."""

    url: Annotated[
        str,
        msgspec.Meta(
            pattern=r"^https?://[^\s?#]+[^\s?#/]$",
            description="Address of the site, e.g. https://example.atlassian.net.",
        ),
    ]
    email: Annotated[str, msgspec.Meta(min_length=3, description="E-mail address of the hub's own account.")]
    api_token: Annotated[SecretRef, msgspec.Meta(description="API token of that account.")]
    project: Annotated[
        str,
        msgspec.Meta(pattern=r"^[A-Z][A-Z0-9_]+$", description="Key of the project whose issues take part."),
    ]
    issue_type: Annotated[
        str,
        msgspec.Meta(
            pattern=r'^[^"\\]+$', description="Name of the issue type that takes part and is created."
        ),
    ] = "[System] Incident"
    webhook_secret: Annotated[
        SecretRef | None,
        msgspec.Meta(description="Secret of the admin webhook; without it webhooks are refused."),
    ] = None
    resolution: Annotated[
        str,
        msgspec.Meta(
            description="Resolution written where a transition asks for one and the hub names none."
        ),
    ] = "Done"
    workflow: Annotated[
        dict[str, list[str]],
        msgspec.Meta(description="Status → statuses that its workflow lets follow, by name."),
    ] = msgspec.field(default_factory=lambda: {name: list(following) for name, following in WORKFLOW.items()})
    sla_fields: Annotated[
        list[str],
        msgspec.Meta(
            max_length=20,
            description="Ids of SLA fields, e.g. customfield_10030: their clocks are compared with ours.",
        ),
    ] = []
    overlap_minutes: Annotated[
        int,
        msgspec.Meta(
            ge=1, le=60, description="How far each poll reaches back, against the search index's lag."
        ),
    ] = 2
