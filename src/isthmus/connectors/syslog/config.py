"""Configuration of syslog senders: who they are, and rules that say what their messages mean."""

from __future__ import annotations

import ipaddress
from typing import Annotated

from msgspec import Meta

from isthmus.connectors.kit.config import ConnectorConfig
from isthmus.connectors.kit.rules import Rule
from isthmus.kernel.secretref import SecretRef


class SyslogConfig(ConnectorConfig, frozen=True, kw_only=True):
    """Messages over the hub's stream listener (TCP, TLS) or posted by a relay over HTTP."""

    certificates: Annotated[
        list[str],
        Meta(
            description="Who may send over TLS: SHA-256 of a client certificate (hex), or a name that it is issued for.",
            max_length=500,
        ),
    ] = []
    sources: Annotated[
        list[str],
        Meta(
            description="Addresses or networks (CIDR) that may send over the stream listener.", max_length=500
        ),
    ] = []
    secret: Annotated[
        SecretRef | None, Meta(description="The bearer token of a relay that posts messages over HTTP.")
    ] = None
    previous_secret: Annotated[
        SecretRef | None,
        Meta(description="The token before the last rotation, accepted until it is removed."),
    ] = None
    rules: Annotated[
        list[Rule],
        Meta(
            description="What messages mean: rules over the message as an object (`body.host`, `body.severity`, "
            "`body.message`, …); the first that fits is used. Messages that none fits concern nobody.",
            min_length=1,
        ),
    ]

    def __post_init__(self) -> None:
        for each in self.sources:
            try:
                ipaddress.ip_network(each)
            except ValueError as cause:
                raise ValueError(f"{each!r} is no address or network") from cause
        if not self.certificates and not self.sources and self.secret is None:
            raise ValueError("nobody may send: give certificates, sources or a secret")
