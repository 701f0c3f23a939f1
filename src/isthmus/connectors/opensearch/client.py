"""Client of the search API: counts per window."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable
from typing import Any, cast
from urllib.parse import quote

import msgspec

from isthmus.connectors.kit.http import Basic, HttpClient
from isthmus.connectors.kit.log_queries import Count, LogQuery, QueryFault, Window, poll
from isthmus.connectors.kit.ports import Context, Page, Probe
from isthmus.connectors.opensearch.config import OpenSearchConfig
from isthmus.connectors.opensearch.mapping import Found, counts, of, search
from isthmus.kernel import wild
from isthmus.kernel.errors import NotFound, Retryable


class OpenSearchClient:
    """A `Poller` of log patterns."""

    def __init__(self, context: Context, clock: Callable[[], float] = time.time) -> None:
        config = cast("OpenSearchConfig", context.config)
        self._context, self._config, self._clock = context, config, clock
        credential = context.secret("credential")
        prefix = {"bearer": "Bearer", "api_key": "ApiKey"}.get(config.authentication, "")
        self._http = HttpClient(
            config.url,
            limits=context.limits,
            headers={"Authorization": f"{prefix} {credential}"} if prefix else {},
            basic=Basic.of(credential) if config.authentication == "basic" else None,
            secrets=tuple(context.secrets.values()),
            allow_private_addresses=context.allow_private_addresses,
        )

    async def close(self) -> None:
        """Release the session."""
        await self._http.close()

    async def probe(self) -> Probe:
        """Return product and version."""
        version = (await self._http.get("/")).wild()["version"]
        distribution: Any = version["distribution"].tame(wild.optional(wild.text, "elasticsearch"))
        return Probe(product=distribution.capitalize(), version=version["number"].tame(wild.named))

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
        """Search one window."""
        asked = of(query)
        path = f"/{quote(asked.index, safe='*,.-_')}/_search"
        try:
            answer = await self._http.call("POST", path, json=search(asked, window), writes=False)
        except NotFound as cause:
            raise QueryFault(
                f"There is no index {asked.index}.",
                remedy="Correct the query's index, or wait for its first line.",
            ) from cause
        try:
            found = msgspec.convert(answer.wild().raw(), Found)
        except msgspec.ValidationError as cause:
            raise Retryable(
                f"{answer.where} answered in a shape that is not the search API.",
                remedy="Check that the address is the cluster's; compare its version with the manifest.",
            ) from cause
        return counts(asked, found)
