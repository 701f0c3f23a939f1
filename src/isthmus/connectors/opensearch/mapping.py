"""Searches and their answers: pure, both ways."""

from __future__ import annotations

from typing import Any, cast

from msgspec import Struct, field

from isthmus.connectors.kit.log_queries import Count, QueryFault, Window
from isthmus.connectors.opensearch.config import SearchQuery
from isthmus.kernel.errors import Retryable

_MILLISECONDS = 1_000


class Total(Struct, frozen=True):
    """How many documents fit."""

    value: int
    relation: str = "eq"


class Hit(Struct, frozen=True):
    """One document, with the asked fields."""

    fields: dict[str, list[Any]] = {}


class Hits(Struct, frozen=True):
    """The documents."""

    total: Total
    hits: list[Hit] = []


class Bucket(Struct, frozen=True):
    """The documents of one group."""

    key: str | int | float | bool
    doc_count: int


class Groups(Struct, frozen=True):
    """The groups; `sum_other_doc_count` counts the documents of those that were cut off."""

    buckets: list[Bucket] = []
    sum_other_doc_count: int = 0


class Aggregations(Struct, frozen=True):
    """What was aggregated."""

    groups: Groups | None = None


class Shards(Struct, frozen=True):
    """How many shards answered."""

    total: int
    failed: int = 0


class Found(Struct, frozen=True):
    """The answer of a search."""

    hits: Hits
    shards: Shards = field(name="_shards")
    timed_out: bool = False
    aggregations: Aggregations | None = None


def search(query: SearchQuery, window: Window) -> dict[str, Any]:
    """Return the body of the search that counts a window."""
    span = {
        "gte": window.start * _MILLISECONDS, "lt": window.end * _MILLISECONDS, "format": "epoch_millis",
    }  # fmt: skip
    body: dict[str, Any] = {
        "size": 1 if query.sample_field and not query.group_by else 0,
        "track_total_hits": True,
        "query": {
            "bool": {
                "filter": [
                    {"query_string": {"query": query.query, "allow_leading_wildcard": False}},
                    {"range": {query.time_field: span}},
                    *query.filter,
                ]
            }
        },
    }
    if query.sample_field and not query.group_by:
        body |= {"_source": False, "fields": [query.sample_field], "sort": [{query.time_field: "desc"}]}
    if query.group_by:
        terms = {"field": query.group_by, "size": query.groups_max}
        body["aggs"] = {"groups": {"terms": terms}}
    return body


def counts(query: SearchQuery, found: Found) -> list[Count]:
    """Return the counts in an answer; one that is not whole says nothing, and is refused."""
    if found.timed_out or found.shards.failed:
        raise Retryable(
            f"The search {query.name!r} was not answered by every shard.",
            remedy="It is counted again by itself; look at the cluster if it stays.",
        )
    if not query.group_by:
        sample = ""
        if query.sample_field and found.hits.hits:
            sample = " ".join(str(each) for each in found.hits.hits[0].fields.get(query.sample_field, []))
        return [Count(labels={}, number=float(found.hits.total.value), sample=sample)]
    groups = found.aggregations.groups if found.aggregations is not None else None
    if groups is None:
        raise Retryable(f"The search {query.name!r} was answered without its groups.")
    if groups.sum_other_doc_count:
        raise QueryFault(
            f"It finds more than {query.groups_max} groups.",
            remedy="Group by fewer values, or raise groups_max.",
        )
    return [
        Count(labels={query.group_by: _text(each.key)}, number=float(each.doc_count))
        for each in groups.buckets
    ]


def of(query: Any) -> SearchQuery:
    """Return a query as the one that this connector was configured with."""
    return cast("SearchQuery", query)


def _text(key: str | float | bool) -> str:  # noqa: FBT001 - a key of the store, not a flag
    return key if isinstance(key, str) else f"{key:g}" if isinstance(key, float) else str(key)
