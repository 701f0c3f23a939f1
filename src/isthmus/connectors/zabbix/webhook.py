"""Notifications of Zabbix, signed by the media type's script that we ship."""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

from isthmus.connectors.kit.ports import Context
from isthmus.connectors.kit.webhook import WebhookSource, decoder
from isthmus.connectors.zabbix.config import ZabbixConfig
from isthmus.connectors.zabbix.mapping import Told, from_told
from isthmus.kernel.observation import Observation

_decode = decoder(Told)


class ZabbixSource(WebhookSource):
    """What `media_script.js` sends."""

    scheme_name = "isthmus"

    def check(self, body: bytes, headers: Mapping[str, str], context: Context) -> None:
        """Check the shape by typed decoding; nothing is mapped."""
        del headers, context
        _decode(body)

    def parse(self, body: bytes, headers: Mapping[str, str], context: Context) -> list[Observation]:
        """Return what the notification says."""
        del headers
        return [from_told(_decode(body), context.connection, cast("ZabbixConfig", context.config))]
