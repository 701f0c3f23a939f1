"""What the clients of Alertmanager's API v2 share: alerts with their standing, silences both ways.

A connector subclasses it, opens its `HttpClient`, and says how its alerts become observations, when an alert that
is missing from the list has ended, and how a probe is made.
"""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Mapping, Sequence

from isthmus.connectors.kit.alertmanager_api import (
    AlertmanagerApi,
    ApiAlert,
    ApiSilence,
    exactly,
    silence_observation,
)
from isthmus.connectors.kit.http import HttpClient
from isthmus.connectors.kit.paging import in_pages
from isthmus.connectors.kit.ports import Context, Page, Probe, Written
from isthmus.connectors.kit.standing import Held, Listing
from isthmus.kernel.errors import NotFound
from isthmus.kernel.instant import SECOND, Instant
from isthmus.kernel.observation import Observation


class AlertmanagerApiClient(ABC):
    """A `Poller` and `Silencer`. Lists have no paging and no change marker: every poll reads all."""

    def __init__(self, context: Context, http: HttpClient, *, prefix: str) -> None:
        self._context, self._http = context, http
        self._api = AlertmanagerApi(http, context.connection, prefix)

    @abstractmethod
    def observed(self, alert: ApiAlert, silences: Mapping[str, ApiSilence]) -> Observation:
        """Return the observation of a listed alert."""

    @abstractmethod
    async def ended(self, gone: Mapping[str, Held], now: Instant) -> list[Observation]:
        """Return the observations of those missing alerts whose absence proves that they have ended."""

    @abstractmethod
    async def probe(self) -> Probe:
        """See `ports.Client`."""

    async def close(self) -> None:
        """Release the session."""
        await self._http.close()

    async def changed_since(self, kind: str, watermark: str) -> AsyncIterator[Page]:
        """Yield what fires (or the silences), in pages of the connection's size."""
        if kind == "silence":
            found = [
                silence_observation(each, self._context.connection) for each in await self._api.silences()
            ]
            following = ""
        else:
            found, following = await self._alerts(watermark)
        size = self._context.limits.page_size_max
        for page in in_pages(found, size=size, watermark=watermark, following=following):
            yield page

    async def _alerts(self, watermark: str) -> tuple[list[Observation], str]:
        listing = Listing(watermark)
        # A proxy before several instances may list an alert several times.
        alerts = {each.fingerprint: each for each in await self._api.alerts()}.values()
        silences: dict[str, ApiSilence] = {}
        if any(each.status.silencedBy for each in alerts):
            silences = {each.id: each for each in await self._api.silences()}
        found = [listing.seen(self.observed(each, silences)) for each in alerts]
        now = Instant(int(time.time() * SECOND))
        if gone := listing.ended():
            over = await self.ended(gone, now)
            found += over
            for key in gone.keys() - {each.external.key for each in over}:
                listing.keep(key, now)
        return found, listing.watermark()

    # Silences -----------------------------------------------------------------------------------------

    async def silence(
        self,
        *,
        matchers: Sequence[Mapping[str, str]],
        starts_at: int,
        ends_at: int,
        by: str,
        comment: str,
        alert: str,
        idempotency_key: str,
    ) -> Written:
        """Create a silence of what fits the matchers, or of exactly one alert if there are none."""
        wanted = list(matchers) or exactly(await self._labels(alert))
        return await self._api.create(
            matchers=wanted, starts_at=starts_at, ends_at=ends_at, by=by, comment=comment,
            idempotency_key=idempotency_key,
        )  # fmt: skip

    async def unsilence(self, *, silence: str, by: str, comment: str, idempotency_key: str) -> Written:
        """Expire a silence; the partner keeps neither who did it nor why."""
        del by, comment, idempotency_key
        return await self._api.expire(silence)

    async def _labels(self, alert: str) -> Mapping[str, str]:
        """Return the labels of an alert as the partner has them now."""
        for each in await self._api.alerts():
            if each.fingerprint == alert:
                return each.labels
        raise NotFound(
            "The partner does not list this alert (any more).", remedy="It has ended, or name matchers."
        )
