"""Client of Alertmanager's API v2: what fires now, for reading back and as a backstop of lost webhooks."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import cast

from isthmus.connectors.alertmanager.config import AlertmanagerConfig
from isthmus.connectors.alertmanager.mapping import ApiAlert, from_api
from isthmus.connectors.kit.http import Basic, HttpClient
from isthmus.connectors.kit.ports import Context, Page, Probe
from isthmus.connectors.kit.webhook import decoder
from isthmus.kernel import wild
from isthmus.kernel.errors import NeedsOperator, Rejected, Retryable

_decode = decoder(list[ApiAlert])


class AlertmanagerClient:
    """A `Poller`: every poll lists all alerts that fire, silenced and inhibited ones included.

    The list has no paging and no change marker, so `watermark` is ignored; an alert that has ended is simply
    no longer listed. The hub judges staleness.
    """

    def __init__(self, context: Context) -> None:
        config = cast("AlertmanagerConfig", context.config)
        if not config.url:
            raise NeedsOperator(
                "The connection has no url, so it cannot be polled.",
                remedy="Set url, or do not schedule polls.",
            )
        self._context, self._config = context, config
        credential = context.secret("api_token")
        user, _, password = credential.partition(":")
        basic = Basic(user=user, password=password) if config.api_authentication == "basic" else None
        bearer = {"Authorization": f"Bearer {credential}"} if config.api_authentication == "bearer" else {}
        self._http = HttpClient(
            config.url,
            limits=context.limits,
            headers=bearer,
            basic=basic,
            secrets=tuple(context.secrets.values()),
            allow_private_addresses=context.allow_private_addresses,
        )

    async def close(self) -> None:
        """Release the session."""
        await self._http.close()

    async def probe(self) -> Probe:
        """Return the running version."""
        answer = await self._http.get("/api/v2/status")
        version = answer.wild()["versionInfo"]["version"].tame(wild.named)
        return Probe(product="Alertmanager", version=version)

    async def changed_since(self, kind: str, watermark: str) -> AsyncIterator[Page]:
        """Yield what fires, in pages of the connection's size."""
        del kind, watermark
        answer = await self._http.get(
            "/api/v2/alerts", params={"active": "true", "silenced": "true", "inhibited": "true"}
        )
        try:
            alerts = _decode(answer.body)
        except Rejected as cause:
            raise Retryable(
                "GET /api/v2/alerts answered in a shape that is not API v2.",
                remedy="Check that the address is Alertmanager's; compare its version with the manifest.",
            ) from cause
        size = self._context.limits.page_size_max
        for start in range(0, len(alerts), size):
            page = [
                from_api(each, self._context.connection, self._config)
                for each in alerts[start : start + size]
            ]
            yield Page(observations=page, watermark="")
