"""Configuration of log patterns in Loki."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta

from isthmus.connectors.kit.config import ConnectorConfig
from isthmus.connectors.kit.log_queries import LogQuery
from isthmus.kernel.secretref import SecretRef

LabelName = Annotated[str, Meta(pattern=r"^[A-Za-z_][A-Za-z0-9_]{0,99}$")]


class LokiQuery(LogQuery, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`query` is a log query of LogQL: a selector and filters, such as `{app="checkout"} |= "error"`."""

    group_by: Annotated[
        list[LabelName],
        Meta(description="Labels whose values are counted apart, each an alert of its own.", max_length=10),
    ] = []

    def __post_init__(self) -> None:
        if not self.query.lstrip().startswith("{"):
            raise ValueError(
                'query begins with a selector, such as {app="checkout"}; the hub counts by itself'
            )


class LokiConfig(ConnectorConfig, frozen=True, kw_only=True):
    """Counts of log lines with a threshold; nothing is written."""

    url: Annotated[str, Meta(description="Base URL of Loki.", min_length=1)]
    authentication: Annotated[
        Literal["none", "basic", "bearer"], Meta(description="How the proxy before Loki wants us.")
    ] = "none"
    credential: Annotated[SecretRef | None, Meta(description="user:password, or the bearer token.")] = None
    tenant: Annotated[
        str, Meta(description="The tenant (X-Scope-OrgID); empty: none.", pattern=r"^[A-Za-z0-9_.|-]{0,150}$")
    ] = ""
    queries: Annotated[list[LokiQuery], Meta(description="What is counted.", min_length=1, max_length=100)]

    def __post_init__(self) -> None:
        names = [each.name for each in self.queries]
        if twice := sorted({each for each in names if names.count(each) > 1}):
            raise ValueError(f"two queries are called {twice[0]!r}")
        if self.authentication != "none" and self.credential is None:
            raise ValueError(f"authentication {self.authentication} needs a credential")
