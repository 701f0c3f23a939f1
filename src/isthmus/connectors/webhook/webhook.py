"""The generic source: any declared scheme, JSON by rules."""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

from isthmus.connectors.kit.ports import Context
from isthmus.connectors.kit.ruling import observations
from isthmus.connectors.kit.webhook import WebhookSource
from isthmus.connectors.webhook.config import WebhookConfig
from isthmus.kernel import wild
from isthmus.kernel.observation import Observation
from isthmus.kernel.signature import SCHEMES, Scheme

_KEY_CHARACTERS_MAX = 200


class GenericSource(WebhookSource):
    """A pure source that knows no vendor."""

    def scheme(self, context: Context) -> Scheme:
        """Return the scheme that the connection names."""
        return SCHEMES[cast("WebhookConfig", context.config).authentication]

    def parse(self, body: bytes, headers: Mapping[str, str], context: Context) -> list[Observation]:
        """Return what the connection's rules see in the body."""
        config = cast("WebhookConfig", context.config)
        nonce_header = self.scheme(context).nonce_header
        delivery = (headers.get(nonce_header, "") if nonce_header else "") or headers.get(
            "idempotency-key", ""
        )
        return observations(
            wild.from_json(body), headers, context, config.rules, delivery[:_KEY_CHARACTERS_MAX]
        )
