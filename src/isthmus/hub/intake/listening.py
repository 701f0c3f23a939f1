"""What the listeners of the hub share: the address that a setting names, and TLS with the certificate it names."""

from __future__ import annotations

import ssl
from typing import NamedTuple

from isthmus.kernel.errors import NeedsOperator


class Address(NamedTuple):
    """Where to listen."""

    host: str
    port: int


def parse_address(text: str, setting: str) -> Address:
    """Return host and port of `host:port`; raise `NeedsOperator` if it is none."""
    host, _, port = text.rpartition(":")
    if not host or not port.isdigit() or int(port) > 65_535:
        raise NeedsOperator(
            f"{setting}={text!r} is no address.",
            remedy="Write it as host:port, e.g. 0.0.0.0:6514 or [::]:6514.",
        )
    return Address(host.strip("[]"), int(port))


def server_tls(certificate: str, key: str, authorities: str, prefix: str) -> ssl.SSLContext | None:
    """Return TLS with these files, None without a certificate; raise `NeedsOperator` on what is unusable.

    `prefix` begins the names of the settings. With `authorities` every client needs a certificate of theirs.
    """
    if not certificate:
        return None
    try:
        made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        made.minimum_version = ssl.TLSVersion.TLSv1_2
        made.load_cert_chain(certificate, key or None)
        if authorities:
            made.load_verify_locations(authorities)
            made.verify_mode = ssl.CERT_REQUIRED
    except (OSError, ssl.SSLError) as cause:
        raise NeedsOperator(
            f"The certificate of {prefix}LISTEN cannot be used.",
            remedy=f"Check {prefix}CERTIFICATE, {prefix}KEY and what else names a file of it.",
        ) from cause
    return made
