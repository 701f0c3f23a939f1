"""Alertmanager's webhook: authenticated by bearer token or basic pair, checked by typed decoding, parsed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

from isthmus.connectors.alertmanager.config import AlertmanagerConfig
from isthmus.connectors.alertmanager.mapping import Notification, from_notification
from isthmus.connectors.kit.ports import Context
from isthmus.connectors.kit.webhook import WebhookSource, decoder
from isthmus.kernel.observation import Observation
from isthmus.kernel.signature import SCHEMES, Scheme

_decode = decoder(Notification)


class AlertmanagerSource(WebhookSource):
    """Webhook version 4. Alertmanager signs nothing; only its `http_config` proves who it is."""

    secret_names = ("token", "previous_token")

    def scheme(self, context: Context) -> Scheme:
        """Return bearer or basic, as the connection says."""
        return SCHEMES[cast("AlertmanagerConfig", context.config).authentication]

    def check(self, body: bytes, headers: Mapping[str, str], context: Context) -> None:
        """Check the shape by typed decoding; nothing is mapped."""
        del headers, context
        _decode(body)

    def parse(self, body: bytes, headers: Mapping[str, str], context: Context) -> list[Observation]:
        """Return one observation per alert."""
        del headers
        return from_notification(
            _decode(body), context.connection, cast("AlertmanagerConfig", context.config)
        )
