"""Configuration of a connection to Prometheus, or to anything that speaks its query API (Thanos, Mimir)."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta, Struct, field

from isthmus.connectors.kit.alerts import SEVERITIES, Severity
from isthmus.connectors.kit.config import ConnectorConfig
from isthmus.connectors.kit.thresholds import Threshold
from isthmus.kernel.secretref import SecretRef


class MetricQuery(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A number to watch: every series that the query returns is judged by itself."""

    name: Annotated[
        str, Meta(description="What the alert is called.", pattern=r"^[A-Za-z][A-Za-z0-9_.-]{0,99}$")
    ]
    query: Annotated[
        str,
        Meta(description="PromQL that returns numbers, not a comparison.", min_length=1, max_length=4_000),
    ]
    threshold: Annotated[Threshold, Meta(description="When a number is an alert, and when it is over.")]
    severity: Annotated[Severity, Meta(description="The severity of the alert.")] = "warning"
    summary: Annotated[str, Meta(description="What people read; empty: the name.", max_length=500)] = ""
    labels: Annotated[
        dict[str, str],
        Meta(description="Labels that the alert has beside those of the series.", max_length=50),
    ] = {}
    absent: Annotated[
        Literal["over", "keep"], Meta(description="What it means that a series is not there any more.")
    ] = "over"
    series_max: Annotated[int, Meta(description="More series are a fault of the query.", ge=1, le=2_000)] = (
        200
    )


class PrometheusConfig(ConnectorConfig, frozen=True, kw_only=True):
    """What Prometheus' own rules report, how its rules fare, and metrics with a threshold of ours."""

    url: Annotated[str, Meta(description="Base URL of Prometheus.", min_length=1)]
    authentication: Annotated[
        Literal["none", "bearer", "basic"], Meta(description="How the proxy before the API wants us.")
    ] = "none"
    api_token: Annotated[
        SecretRef | None, Meta(description="The bearer token, or user:password for basic authentication.")
    ] = None
    alerts: Annotated[
        bool,
        Meta(
            description="Take the alerts of Prometheus' rules. Leave out where an Alertmanager sends them already."
        ),
    ] = True
    rule_health: Annotated[
        bool, Meta(description="A rule that Prometheus cannot evaluate is an alert of its own.")
    ] = True
    queries: Annotated[
        list[MetricQuery], Meta(description="Metrics that are watched with a threshold.", max_length=100)
    ] = []
    severity_label: Annotated[str, Meta(description="The label that holds the severity.", min_length=1)] = (
        "severity"
    )
    severities: Annotated[
        dict[str, Severity],
        Meta(description="Label value → severity of the hub; values outside are kept as unknown."),
    ] = field(default_factory=lambda: dict(SEVERITIES))

    def __post_init__(self) -> None:
        names = [each.name for each in self.queries]
        if twice := sorted({each for each in names if names.count(each) > 1}):
            raise ValueError(f"two queries are called {twice[0]!r}")
        if self.authentication != "none" and self.api_token is None:
            raise ValueError(f"authentication {self.authentication} needs an api_token")
