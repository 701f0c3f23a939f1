"""What the clients of Alertmanager's API v2 share: alerts with their standing, silences and acknowledgements.

A connector subclasses it, opens its `HttpClient`, and says how its alerts become observations, when an alert that
is missing from the list has ended, and how a probe is made.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Mapping, Sequence

from isthmus.connectors.kit.alertmanager_api import (
    AlertmanagerApi,
    ApiAlert,
    ApiSilence,
    exactly,
    silence_observation,
)
from isthmus.connectors.kit.http import HttpClient
from isthmus.connectors.kit.ports import Context, Page, Probe, Written
from isthmus.connectors.kit.standing import Held, Listing
from isthmus.kernel.errors import NotFound
from isthmus.kernel.instant import MINUTE, SECOND, Instant
from isthmus.kernel.observation import ExternalRef, Observation


class AlertmanagerApiClient:
    """A `Poller`, `Silencer` and `Acknowledger`. Lists have no paging and no change marker: every poll reads all."""

    def __init__(
        self, context: Context, http: HttpClient, *, prefix: str, acknowledge_minutes: int, marker: str
    ) -> None:
        self._context, self._http = context, http
        self._acknowledge_minutes, self._marker = acknowledge_minutes, marker
        self._api = AlertmanagerApi(http, context.connection, prefix)

    def observed(self, alert: ApiAlert, silences: Mapping[str, ApiSilence]) -> Observation:
        """Return the observation of a listed alert."""
        raise NotImplementedError

    async def ended(self, gone: Mapping[str, Held], now: Instant) -> list[Observation]:
        """Return the observations of those missing alerts whose absence proves that they have ended."""
        raise NotImplementedError

    async def probe(self) -> Probe:
        """See `ports.Poller`."""
        raise NotImplementedError

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
        for start in range(0, max(len(found), 1), size):
            last = start + size >= len(found)
            # Only the last page may move on: what ended is compared with the whole list, not with a part of it.
            yield Page(observations=found[start : start + size], watermark=following if last else watermark)

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
        wanted = list(matchers) or exactly(await self._labels(alert, {}))
        return await self._api.create(
            matchers=wanted, starts_at=starts_at, ends_at=ends_at, by=by, comment=comment,
            idempotency_key=idempotency_key,
        )  # fmt: skip

    async def unsilence(self, *, silence: str, by: str, comment: str, idempotency_key: str) -> Written:
        """Expire a silence; the partner keeps neither who did it nor why."""
        del by, comment, idempotency_key
        return await self._api.expire(silence)

    # Acknowledgement by a silence -----------------------------------------------------------------------

    async def acknowledge(
        self, *, alert: str, labels: Mapping[str, str], by: str, comment: str, idempotency_key: str
    ) -> Written:
        """Silence exactly this alert for a while, under a comment that says that somebody looks after it."""
        held = await self._acknowledgements(alert)
        if held:
            seen = silence_observation(held[0], self._context.connection)
            return Written(ref=seen.external, observation=seen)
        matchers = exactly(await self._labels(alert, labels))
        now = int(time.time() * SECOND)
        return await self._api.create(
            matchers=matchers,
            starts_at=now,
            ends_at=now + self._acknowledge_minutes * MINUTE,
            by=by,
            comment=f"{self._marker} {comment}".strip(),
            idempotency_key=idempotency_key,
        )

    async def unacknowledge(
        self, *, alert: str, labels: Mapping[str, str], by: str, comment: str, idempotency_key: str
    ) -> Written:
        """Expire the silences that acknowledge this alert."""
        del labels, by, comment, idempotency_key
        for each in await self._acknowledgements(alert):
            await self._api.expire(each.id)
        return Written(ref=ExternalRef(connection=self._context.connection, kind="alert", key=alert))

    async def _acknowledgements(self, alert: str) -> list[ApiSilence]:
        """Return the acknowledgements in force of an alert, as the partner itself applies them."""
        held = next((each for each in await self._api.alerts() if each.fingerprint == alert), None)
        if held is None or not held.status.silencedBy:
            return []
        return [
            each
            for each in await self._api.silences()
            if each.id in held.status.silencedBy and each.comment.startswith(self._marker)
        ]

    async def _labels(self, alert: str, labels: Mapping[str, str]) -> Mapping[str, str]:
        """Return the labels of an alert as the partner has them now, else as the hub saw them last."""
        for each in await self._api.alerts():
            if each.fingerprint == alert:
                return each.labels
        if labels:
            return labels
        raise NotFound(
            "The partner does not list this alert (any more).", remedy="It has ended, or name matchers."
        )
