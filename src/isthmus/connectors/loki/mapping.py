"""Counting queries and their answers: pure, both ways."""

from __future__ import annotations

from typing import Annotated, Any, cast

import msgspec
from msgspec import Meta, Struct

from isthmus.connectors.kit.log_queries import Count, QueryFault, Window
from isthmus.connectors.loki.config import LokiQuery
from isthmus.kernel.wild import Wild

_NANOSECONDS = 1_000_000_000


class Series(Struct, frozen=True):
    """One counted group: `value` is (seconds since 1970, number as text)."""

    metric: Annotated[dict[str, str], Meta(max_length=100)]
    value: tuple[float, Annotated[str, Meta(pattern=r"^[0-9.eE+]+$")]]


def counting(query: LokiQuery, window: Window) -> dict[str, str]:
    """Return the parameters of the instant query that counts a window.

    Loki's range is open at its start and closed at its end, ours is the other way round: a nanosecond earlier.
    """
    grouped = f" by ({', '.join(query.group_by)})" if query.group_by else ""
    length = window.end - window.start
    return {
        "query": f"sum{grouped} (count_over_time({query.query} [{length}s]))",
        "time": str(window.end * _NANOSECONDS - 1),
        "limit": str(query.groups_max + 1),
    }


def counts(query: LokiQuery, data: Wild) -> list[Count]:
    """Return the counts in an answer; a window without lines has none, and its one count is nought."""
    kind: Any = data["resultType"].raw()
    if kind != "vector":
        raise QueryFault(
            f"It returns a {kind}, not counts.", remedy="Write a log query: selector and filters."
        )
    found = msgspec.convert(data["result"].raw(), list[Series])
    if not query.group_by and not found:
        return [Count(labels={}, number=0.0)]
    return [Count(labels=each.metric, number=float(each.value[1])) for each in found]


def of(query: Any) -> LokiQuery:
    """Return a query as the one that this connector was configured with."""
    return cast("LokiQuery", query)
