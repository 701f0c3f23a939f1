"""Notifications of Nagios, signed by the script that we ship."""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

from isthmus.connectors.kit.ports import Context
from isthmus.connectors.kit.webhook import WebhookSource, decoder
from isthmus.connectors.nagios.config import NagiosConfig
from isthmus.connectors.nagios.mapping import Notification, from_notification
from isthmus.kernel.observation import Observation

_decode = decoder(Notification)


class NagiosSource(WebhookSource):
    """What `isthmus_nagios.py notify` sends."""

    scheme_name = "isthmus"

    def check(self, body: bytes, headers: Mapping[str, str], context: Context) -> None:
        """Check the shape by typed decoding; nothing is mapped."""
        del headers, context
        _decode(body)

    def parse(self, body: bytes, headers: Mapping[str, str], context: Context) -> list[Observation]:
        """Return what the notification says."""
        del headers
        return from_notification(_decode(body), context.connection, cast("NagiosConfig", context.config))
