"""Client of Grafana's Alertmanager API: what fires and how it stands, silences both ways."""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

from isthmus.connectors.grafana.config import GrafanaConfig
from isthmus.connectors.grafana.mapping import ended, from_api
from isthmus.connectors.kit.alertmanager_api import ApiAlert, ApiSilence
from isthmus.connectors.kit.alertmanager_client import AlertmanagerApiClient
from isthmus.connectors.kit.http import HttpClient
from isthmus.connectors.kit.ports import Context, Probe
from isthmus.connectors.kit.standing import Held
from isthmus.kernel import wild
from isthmus.kernel.errors import NeedsOperator, NotFound
from isthmus.kernel.instant import MINUTE, Instant
from isthmus.kernel.observation import Observation

SCOPES = ("alert.instances:read", "alert.instances:create", "alert.instances:write")


class GrafanaClient(AlertmanagerApiClient):
    """Grafana's own Alertmanager, or one that it knows as a data source, through a service account's token."""

    def __init__(self, context: Context) -> None:
        config = self._config = cast("GrafanaConfig", context.config)
        if not config.url:
            raise NeedsOperator(
                "The connection has no url, so it cannot be called.",
                remedy="Set url and api_token, or do not schedule polls.",
            )
        http = HttpClient(
            config.url,
            limits=context.limits,
            headers={
                "Authorization": f"Bearer {context.secret('api_token')}",
                "Accept": "application/json",
            },
            secrets=tuple(context.secrets.values()),
            allow_private_addresses=context.allow_private_addresses,
        )
        super().__init__(
            context,
            http,
            prefix=f"/api/alertmanager/{config.alertmanager}/api/v2",
        )

    async def probe(self) -> Probe:
        """Return the version, and the permissions that the service account lacks."""
        held = await self._permissions()
        answer = await self._http.get("/api/health")
        version = answer.wild()["version"].tame(wild.optional(wild.text, "not told"))
        missing = () if held is None else tuple(each for each in SCOPES if each not in held)
        notes = () if held is not None else ("This edition does not tell which permissions the token has.",)
        return Probe(product="Grafana", version=version, missing_scopes=missing, notes=notes)

    async def _permissions(self) -> set[str] | None:
        try:
            answer = await self._http.get("/api/access-control/user/permissions")
        except NotFound:
            # Editions before access control: that the list may be read is all that can be found out.
            await self._api.silences()
            return None
        return set(answer.wild().names())

    def observed(self, alert: ApiAlert, silences: Mapping[str, ApiSilence]) -> Observation:
        """Return the observation of a listed alert."""
        return from_api(alert, self._context.connection, self._config, silences)

    async def ended(self, gone: Mapping[str, Held], now: Instant) -> list[Observation]:
        """Return those missing for long enough: Grafana does not tell since when it runs."""
        settled = self._config.settled_minutes * MINUTE
        return [
            ended(key, held.values, self._context.connection, Instant(held.missing_since))
            for key, held in gone.items()
            if held.missing_since and now - held.missing_since >= settled
        ]
