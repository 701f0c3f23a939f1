"""Client of Alertmanager's API v2: what fires and how it stands, silences both ways."""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

from isthmus.connectors.alertmanager.config import AlertmanagerConfig
from isthmus.connectors.alertmanager.mapping import ended, from_api
from isthmus.connectors.kit.alertmanager_api import ApiAlert, ApiSilence
from isthmus.connectors.kit.alertmanager_client import AlertmanagerApiClient
from isthmus.connectors.kit.http import Basic, HttpClient
from isthmus.connectors.kit.ports import Context, Probe
from isthmus.connectors.kit.standing import Held
from isthmus.kernel import wild
from isthmus.kernel.errors import NeedsOperator
from isthmus.kernel.instant import MINUTE, Instant
from isthmus.kernel.observation import Observation


class AlertmanagerClient(AlertmanagerApiClient):
    """Alertmanager itself, or one behind a proxy that wants a credential."""

    def __init__(self, context: Context) -> None:
        config = self._config = cast("AlertmanagerConfig", context.config)
        if not config.url:
            raise NeedsOperator(
                "The connection has no url, so it cannot be called.",
                remedy="Set url, or do not schedule polls.",
            )
        credential = context.secret("api_token")
        basic = Basic.of(credential) if config.api_authentication == "basic" else None
        bearer = {"Authorization": f"Bearer {credential}"} if config.api_authentication == "bearer" else {}
        http = HttpClient(
            config.url,
            limits=context.limits,
            headers=bearer,
            basic=basic,
            secrets=tuple(context.secrets.values()),
            allow_private_addresses=context.allow_private_addresses,
        )
        super().__init__(context, http, prefix="/api/v2")

    async def probe(self) -> Probe:
        """Return the running version."""
        answer = await self._http.get("/api/v2/status")
        version = answer.wild()["versionInfo"]["version"].tame(wild.named)
        return Probe(product="Alertmanager", version=version)

    def observed(self, alert: ApiAlert, silences: Mapping[str, ApiSilence]) -> Observation:
        """Return the observation of a listed alert."""
        return from_api(alert, self._context.connection, self._config, silences)

    async def ended(self, gone: Mapping[str, Held], now: Instant) -> list[Observation]:
        """Return all of them, provided that Alertmanager has run for long enough to have been told everything."""
        started = (await self._http.get("/api/v2/status")).wild()["uptime"].tame(wild.moment)
        if now - started < self._config.settled_minutes * MINUTE:
            return []
        return [ended(key, held.values, self._context.connection, now) for key, held in gone.items()]
