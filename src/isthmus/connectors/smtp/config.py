"""Configuration of an outgoing mail server."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta

from isthmus.connectors.kit.config import ConnectorConfig
from isthmus.kernel.secretref import SecretRef

Security = Literal["starttls", "tls", "none"]


class SmtpConfig(ConnectorConfig, frozen=True, kw_only=True):
    """A submission server and the address that mail comes from."""

    host: Annotated[str, Meta(description="The mail server, e.g. smtp.example.com.", min_length=1)]
    port: Annotated[
        int, Meta(ge=1, le=65_535, description="Its port: 587 for STARTTLS, 465 for TLS, 25 inside.")
    ] = 587
    security: Annotated[
        Security,
        Meta(
            description="starttls (refused if the server does not offer it), tls, or none inside a network."
        ),
    ] = "starttls"
    sender: Annotated[
        str, Meta(description="The address that messages come from, e.g. hub@example.com.", min_length=3)
    ]
    sender_name: Annotated[str, Meta(description="The name beside it.")] = "Isthmus"
    user: Annotated[str, Meta(description="The account, if the server wants one.")] = ""
    password: Annotated[SecretRef | None, Meta(description="The account's password.")] = None
    domain: Annotated[
        str, Meta(description="Our name in HELO and in message ids; default: the sender's domain.")
    ] = ""
