"""Syslog as a source: over the hub's stream listener, or posted by a relay with a bearer token."""

from __future__ import annotations

import functools
import ipaddress
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import cast

from isthmus.connectors.kit.listening import PEER_HEADER, Cut, Peer
from isthmus.connectors.kit.ports import Context
from isthmus.connectors.kit.ruling import observations
from isthmus.connectors.kit.webhook import WebhookSource
from isthmus.connectors.syslog.config import SyslogConfig
from isthmus.connectors.syslog.framing import cut
from isthmus.connectors.syslog.message import read
from isthmus.kernel.errors import Problem, Rejected
from isthmus.kernel.instant import from_rfc3339
from isthmus.kernel.observation import Observation
from isthmus.kernel.wild import Wild

MESSAGES_MAX = 1_000
_BY_CERTIFICATE, _BY_NAME, _BY_NETWORK = 3_000, 2_000, 1_000


class SyslogSource(WebhookSource):
    """A pure source (`Source` and `kit.listening.Listening`)."""

    def admits(self, peer: Peer, context: Context) -> int:
        """Rate a peer: by its certificate, by a name of it, by the narrowest network that holds its address."""
        config = cast("SyslogConfig", context.config)
        wanted = {each.replace(":", "").lower() for each in config.certificates}
        if peer.certificate and peer.certificate in wanted:
            return _BY_CERTIFICATE
        if any(name.lower() in wanted for name in peer.names):
            return _BY_NAME
        return _narrowest(peer.address, tuple(config.sources))

    def cut(self, buffer: bytes, bytes_max: int) -> Cut:
        """Cut a stream into messages."""
        return cut(buffer, bytes_max)

    def parse(self, body: bytes, headers: Mapping[str, str], context: Context) -> list[Observation]:
        """Return what the connection's rules see in one message, or in the messages that a relay posts."""
        rules = cast("SyslogConfig", context.config).rules
        # The listener has cut the stream already, and a message that was counted may hold line feeds.
        messages = [body] if PEER_HEADER in headers else _posted(body)
        told: list[Observation] = []
        for raw in messages:
            message = read(raw)
            made = observations(Wild(message), headers, context, rules, "")
            at = from_rfc3339(message["time"]) if message["format"] == "5424" and "time" in message else None
            told += [each if each.occurred_at is not None else replace(each, occurred_at=at) for each in made]
        return told


def _posted(body: bytes) -> Sequence[bytes]:
    found = cut(body.rstrip(b"\n") + b"\n", len(body))
    text = found.broken
    if found.rest or not found.messages:
        text = text or "is no syslog message"
    elif len(found.messages) > MESSAGES_MAX:
        text = f"holds more than {MESSAGES_MAX} messages"
    if text:
        raise Rejected(f"The body: {text}.", problems=(Problem(path="", message=text),))
    return found.messages


@functools.lru_cache(maxsize=4_096)
def _narrowest(address: str, sources: tuple[str, ...]) -> int:
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return 0
    inner = getattr(parsed, "ipv4_mapped", None) or parsed
    fitting = [
        network.prefixlen
        for network in map(ipaddress.ip_network, sources)
        if network.version == inner.version and inner in network
    ]
    return _BY_NETWORK + max(fitting) if fitting else 0
