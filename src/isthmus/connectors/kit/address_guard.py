"""The address guard: a connection may not be talked into calling the inside of our own network.

The decision is made on the address that is really being connected to (in the socket factory), so neither a
DNS answer that changes between check and use nor a literal address gets around it. Redirects are off.
"""

from __future__ import annotations

import ipaddress
import socket
from typing import Any

Address = ipaddress.IPv4Address | ipaddress.IPv6Address


class AddressRefusedError(OSError):
    """The address lies where a connection may not go. An `OSError`, so that the connector gives up on it."""


def refusal(address: str) -> str:
    """Return why a connection may not go to `address` (a literal), or "" if it may."""
    try:
        parsed: Address = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return "it is not an address"
    inner = getattr(parsed, "ipv4_mapped", None) or getattr(parsed, "sixtofour", None)
    for each in (parsed, inner):
        if each is None:
            continue
        for name in (
            "is_loopback",
            "is_link_local",
            "is_multicast",
            "is_unspecified",
            "is_private",
            "is_reserved",
            "is_site_local",
        ):
            if getattr(each, name, False):
                return f"it is {name.removeprefix('is_').replace('_', '-')}"
        if not each.is_global:
            return "it is not public"
    return ""


def guarded_socket(address_info: tuple[Any, Any, int, str, tuple[Any, ...]]) -> socket.socket:
    """Return a socket for the address about to be connected to, or raise `AddressRefusedError`."""
    family, kind, protocol, _, address = address_info
    if why := refusal(str(address[0])):
        raise AddressRefusedError(f"The address {address[0]} is refused: {why}.")
    return socket.socket(family=family, type=kind, proto=protocol)


def connected(host: str, port: int, timeout: float | None, *, private: bool) -> socket.socket:
    """Return a connected socket: the first of the host's addresses that may be, and can be, reached."""
    last: OSError | None = None
    for info in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM):
        made = None
        try:
            made = socket.socket(*info[:3]) if private else guarded_socket(info)
            made.settimeout(timeout)
            made.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            made.connect(info[4])
        except OSError as fault:
            if made is not None:
                made.close()
            last = fault
            continue
        return made
    raise last or OSError("The host has no address.")
