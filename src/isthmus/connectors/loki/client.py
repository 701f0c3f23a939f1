"""Client of Loki's HTTP API: counts per window."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable
from typing import cast

import msgspec

from isthmus.connectors.kit.http import Basic, HttpClient
from isthmus.connectors.kit.log_queries import Count, LogQuery, Window, poll
from isthmus.connectors.kit.ports import Context, Page, Probe
from isthmus.connectors.loki.config import LokiConfig
from isthmus.connectors.loki.mapping import counting, counts, of
from isthmus.kernel import wild
from isthmus.kernel.errors import Rejected, Retryable


class LokiClient:
    """A `Poller` of log patterns."""

    def __init__(self, context: Context, clock: Callable[[], float] = time.time) -> None:
        config = cast("LokiConfig", context.config)
        self._context, self._config, self._clock = context, config, clock
        credential = context.secret("credential")
        headers = {"X-Scope-OrgID": config.tenant} if config.tenant else {}
        if config.authentication == "bearer":
            headers["Authorization"] = f"Bearer {credential}"
        self._http = HttpClient(
            config.url,
            limits=context.limits,
            headers=headers,
            basic=Basic.of(credential) if config.authentication == "basic" else None,
            secrets=tuple(context.secrets.values()),
            allow_private_addresses=context.allow_private_addresses,
        )

    async def close(self) -> None:
        """Release the session."""
        await self._http.close()

    async def probe(self) -> Probe:
        """Return the running version."""
        answer = await self._http.get("/loki/api/v1/status/buildinfo")
        return Probe(product="Loki", version=answer.wild()["version"].tame(wild.named))

    async def changed_since(self, kind: str, watermark: str) -> AsyncIterator[Page]:
        """Yield what the windows since `watermark` say."""
        del kind
        async for page in poll(
            self._config.queries,
            self,
            self._context.connection,
            watermark,
            page_size=self._context.limits.page_size_max,
            clock=self._clock,
        ):
            yield page

    async def count(self, query: LogQuery, window: Window) -> list[Count]:
        """Count one window."""
        asked = of(query)
        answer = await self._http.get("/loki/api/v1/query", params=counting(asked, window))
        try:
            return counts(asked, answer.wild()["data"])
        except (msgspec.ValidationError, Rejected) as cause:
            raise Retryable(
                f"{answer.where} answered in a shape that is not API v1.",
                remedy="Check that the address is Loki's; compare its version with the manifest.",
            ) from cause
