"""Grafana's webhook: authenticated by HMAC, bearer or basic, checked by typed decoding, parsed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import cast

from isthmus.connectors.grafana.config import GrafanaConfig
from isthmus.connectors.grafana.mapping import Notification, from_notification
from isthmus.connectors.kit.ports import Context
from isthmus.connectors.kit.webhook import WebhookSource, decoder
from isthmus.kernel.observation import Observation
from isthmus.kernel.signature import SCHEMES, Hmac, Scheme

_decode = decoder(Notification)
_NAMES = {"hmac": "grafana", "hmac_timestamp": "grafana_timestamp", "bearer": "bearer", "basic": "basic"}


class GrafanaSource(WebhookSource):
    """Webhook version 1: Alertmanager's shape with fields of Grafana's own."""

    secret_names = ("secret", "previous_secret")

    def scheme(self, context: Context) -> Scheme:
        """Return the scheme that the contact point was set up with, under its own header names."""
        config = cast("GrafanaConfig", context.config)
        found = SCHEMES[_NAMES[config.authentication]]
        if not isinstance(found, Hmac):
            return found
        stamped = config.timestamp_header.lower() if found.timestamp_header else ""
        return replace(found, header=config.signature_header.lower(), timestamp_header=stamped)

    def check(self, body: bytes, headers: Mapping[str, str], context: Context) -> None:
        """Check the shape by typed decoding; nothing is mapped."""
        del headers, context
        _decode(body)

    def parse(self, body: bytes, headers: Mapping[str, str], context: Context) -> list[Observation]:
        """Return one observation per alert."""
        del headers
        return from_notification(_decode(body), context.connection, cast("GrafanaConfig", context.config))
