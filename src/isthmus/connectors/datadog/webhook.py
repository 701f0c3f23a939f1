"""Datadog's webhook with our payload: authenticated by a token in a header, since Datadog signs nothing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

from isthmus.connectors.datadog.config import DatadogConfig
from isthmus.connectors.datadog.mapping import Notification, from_notification
from isthmus.connectors.kit.ports import Context
from isthmus.connectors.kit.webhook import WebhookSource, decoder
from isthmus.kernel.observation import Observation
from isthmus.kernel.signature import SCHEMES, Scheme, Token

_decode = decoder(Notification)
_HEADER = Token(header="x-isthmus-token")


class DatadogSource(WebhookSource):
    """A pure source."""

    secret_names = ("token", "previous_token")

    def scheme(self, context: Context) -> Scheme:
        """Return header, bearer or basic, as the connection says."""
        wanted = cast("DatadogConfig", context.config).authentication
        return _HEADER if wanted == "header" else SCHEMES[wanted]

    def parse(self, body: bytes, headers: Mapping[str, str], context: Context) -> list[Observation]:
        """Return the alert."""
        del headers
        config = cast("DatadogConfig", context.config)
        return [from_notification(_decode(body), context.connection, config)]
