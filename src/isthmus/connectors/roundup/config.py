"""What a connection to a Roundup tracker needs."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from isthmus.connectors.kit.config import ConnectorConfig
from isthmus.kernel.secretref import SecretRef


class RoundupConfig(ConnectorConfig, frozen=True, kw_only=True):
    """One tracker and the account that the hub uses in it."""

    url: Annotated[
        str,
        msgspec.Meta(
            pattern=r"^https?://[^\s?#]+[^\s?#/]$",
            description="Address of the tracker without a trailing slash, e.g. https://bugs.example.org/ops.",
        ),
    ]
    username: Annotated[
        str, msgspec.Meta(min_length=1, description="The hub's own Roundup user; it needs the role User.")
    ]
    internal_comments: Annotated[
        Literal["refuse", "write"],
        msgspec.Meta(
            description="A classic tracker shows every message to all its users: refuse internal comments, or write."
        ),
    ] = "refuse"
    password: Annotated[SecretRef, msgspec.Meta(description="That user's password.")]
