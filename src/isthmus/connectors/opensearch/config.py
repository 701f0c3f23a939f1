"""Configuration of log patterns in OpenSearch or Elasticsearch."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from msgspec import Meta

from isthmus.connectors.kit.config import ConnectorConfig
from isthmus.connectors.kit.log_queries import LogQuery
from isthmus.kernel.secretref import SecretRef

Index = Annotated[str, Meta(pattern=r"^[a-z0-9*.,_-]{1,500}$")]
FieldName = Annotated[str, Meta(pattern=r"^[A-Za-z0-9_@.-]{1,200}$")]


class SearchQuery(LogQuery, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`query` is a Lucene query string, as in the search bar; `filter` adds clauses of the query DSL."""

    index: Annotated[Index, Meta(description="The indices that are searched, e.g. logs-*.")]
    time_field: Annotated[FieldName, Meta(description="The field that says when a line was written.")] = (
        "@timestamp"
    )
    group_by: Annotated[
        str,
        Meta(
            description="A keyword field: every value is counted by itself and is an alert of its own.",
            pattern=r"^[A-Za-z0-9_@.-]{0,200}$",
        ),
    ] = ""
    filter: Annotated[
        list[dict[str, Any]],
        Meta(description="Further clauses of the query DSL, all of which must fit.", max_length=20),
    ] = []
    sample_field: Annotated[
        str,
        Meta(
            description="A field of which one value is shown at the alert; empty: no text of the log leaves the store.",
            pattern=r"^[A-Za-z0-9_@.-]{0,200}$",
        ),
    ] = ""


class OpenSearchConfig(ConnectorConfig, frozen=True, kw_only=True):
    """Counts of log lines with a threshold; nothing is written."""

    url: Annotated[str, Meta(description="Base URL of the cluster.", min_length=1)]
    authentication: Annotated[
        Literal["none", "basic", "bearer", "api_key"], Meta(description="How the cluster wants us.")
    ] = "none"
    credential: Annotated[
        SecretRef | None, Meta(description="user:password, the bearer token, or the API key.")
    ] = None
    queries: Annotated[list[SearchQuery], Meta(description="What is counted.", min_length=1, max_length=100)]

    def __post_init__(self) -> None:
        names = [each.name for each in self.queries]
        if twice := sorted({each for each in names if names.count(each) > 1}):
            raise ValueError(f"two queries are called {twice[0]!r}")
        if self.authentication != "none" and self.credential is None:
            raise ValueError(f"authentication {self.authentication} needs a credential")
