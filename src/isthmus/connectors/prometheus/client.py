"""Client of Prometheus' HTTP API v1: one poll asks for alerts, rules and every watched metric as they stand."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable
from typing import Any, TypeVar, cast

import msgspec

from isthmus.connectors.kit.episodes import Episodes
from isthmus.connectors.kit.http import Basic, HttpClient
from isthmus.connectors.kit.paging import in_pages
from isthmus.connectors.kit.ports import Context, Page, Probe
from isthmus.connectors.kit.reactions import Answer
from isthmus.connectors.prometheus.config import MetricQuery, PrometheusConfig
from isthmus.connectors.prometheus.mapping import (
    ApiAlert,
    RuleGroup,
    Series,
    from_alert,
    from_rule,
    from_series,
    key_of,
    over,
    prefix,
)
from isthmus.kernel import wild
from isthmus.kernel.errors import IsthmusError, NeedsOperator, Rejected, Retryable
from isthmus.kernel.instant import SECOND, Instant
from isthmus.kernel.observation import Observation

T = TypeVar("T")
_OWN = "rule/"


class PrometheusClient:
    """A `Poller`. What is no longer listed has ended; what was not answered whole proves nothing and is kept."""

    def __init__(self, context: Context, clock: Callable[[], float] = time.time) -> None:
        config = cast("PrometheusConfig", context.config)
        self._context, self._config, self._clock = context, config, clock
        credential = context.secret("api_token")
        self._http = HttpClient(
            config.url,
            limits=context.limits,
            headers={"Authorization": f"Bearer {credential}"} if config.authentication == "bearer" else {},
            basic=Basic.of(credential) if config.authentication == "basic" else None,
            secrets=tuple(context.secrets.values()),
            allow_private_addresses=context.allow_private_addresses,
        )

    async def close(self) -> None:
        """Release the session."""
        await self._http.close()

    async def probe(self) -> Probe:
        """Return the running version."""
        answer = await self._http.get("/api/v1/status/buildinfo")
        version = answer.wild()["data"]["version"].tame(wild.named)
        return Probe(product="Prometheus", version=version)

    async def changed_since(self, kind: str, watermark: str) -> AsyncIterator[Page]:
        """Yield what fires and what has ended since the last poll; a fault of one query leaves the others."""
        del kind
        episodes = Episodes.after(watermark)
        found: list[Observation] = []
        faults: list[IsthmusError] = []
        if self._config.alerts:
            found += await self._alerts(episodes)
        if self._config.rule_health:
            found += await self._rules(episodes)
        for query in self._config.queries:
            try:
                found += await self._watched(query, episodes)
            except (Rejected, NeedsOperator) as fault:
                episodes.keeps_all(prefix(query))
                faults.append(_of(query, fault))
        found += [over(key, held, self._context.connection) for key, held in episodes.ended().items()]
        size = self._context.limits.page_size_max
        for page in in_pages(found, size=size, watermark=watermark, following=episodes.watermark()):
            yield page
        if faults:
            raise faults[0]

    async def _alerts(self, episodes: Episodes) -> list[Observation]:
        answer = await self._http.get("/api/v1/alerts")
        listed = _data(answer, "alerts", list[ApiAlert])
        if _partial(answer):
            episodes.keeps_all()
        # Pending alerts are Prometheus' own waiting: they are no alerts yet.
        return [
            from_alert(each, episodes, self._context.connection, self._config)
            for each in listed
            if each.state == "firing"
        ]

    async def _rules(self, episodes: Episodes) -> list[Observation]:
        answer = await self._http.get("/api/v1/rules")
        groups = _data(answer, "groups", list[RuleGroup])
        if _partial(answer):
            episodes.keeps_all(_OWN)
        at = Instant(round(self._clock() * SECOND))
        return [
            from_rule(group, rule, at, episodes, self._context.connection)
            for group in groups
            for rule in group.rules
            if rule.health == "err"
        ]

    async def _watched(self, query: MetricQuery, episodes: Episodes) -> list[Observation]:
        answer = await self._http.get("/api/v1/query", params={"query": query.query})
        series = _series(answer)
        if len(series) > query.series_max:
            raise NeedsOperator(
                f"It returns {len(series)} series, more than {query.series_max}.",
                remedy="Aggregate in the query, or raise series_max.",
            )
        if query.absent == "keep" or _partial(answer):
            episodes.keeps_all(prefix(query), but={key_of(query, each) for each in series})
        made = [from_series(query, each, episodes, self._context.connection) for each in series]
        return [each for each in made if each is not None]


def _data(answer: Answer, name: str, shape: type[T]) -> T:
    try:
        return msgspec.convert(answer.wild()["data"][name].raw(), shape)
    except (msgspec.ValidationError, Rejected) as cause:
        raise _drifted(answer) from cause


def _series(answer: Answer) -> list[Series]:
    data = answer.wild()["data"]
    try:
        kind: Any = data["resultType"].raw()
        if kind == "scalar":
            return [Series(metric={}, value=msgspec.convert(data["result"].raw(), tuple[float, str]))]
        if kind != "vector":
            raise NeedsOperator(
                f"It returns a {kind}, not numbers of this moment.", remedy="Write an instant query."
            )
        found = msgspec.convert(data["result"].raw(), list[Series])
        _ = [float(each.value[1]) for each in found]
    except (msgspec.ValidationError, Rejected, ValueError) as cause:
        raise _drifted(answer) from cause
    return found


def _partial(answer: Answer) -> bool:
    """Return whether the answer says itself that parts are missing (Thanos and Mimir do)."""
    return bool(answer.wild()["warnings"].raw())


def _drifted(answer: Answer) -> Retryable:
    return Retryable(
        f"{answer.where} answered in a shape that is not API v1.",
        remedy="Check that the address is Prometheus'; compare its version with the manifest.",
    )


def _of(query: MetricQuery, fault: IsthmusError) -> NeedsOperator:
    made = NeedsOperator(
        f"The query {query.name!r}: {fault.text}", remedy=fault.remedy or "Correct the query."
    )
    made.__cause__ = fault
    return made
