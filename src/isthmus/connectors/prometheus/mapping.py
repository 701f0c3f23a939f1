"""What Prometheus answers as alerts: its own alerts, rules that fail, series beyond a threshold. Pure, one way."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import Annotated, Literal

from msgspec import Meta, Struct

from isthmus.connectors.kit import alerts
from isthmus.connectors.kit.episodes import Episodes, Open
from isthmus.connectors.kit.thresholds import judge, said
from isthmus.connectors.prometheus.config import MetricQuery, PrometheusConfig
from isthmus.kernel.instant import Instant
from isthmus.kernel.observation import Observation

_FNV_OFFSET, _FNV_PRIME = 14695981039346656037, 1099511628211
_MILLISECOND = 1_000
Labels = Annotated[dict[str, str], Meta(max_length=200)]


class ApiAlert(Struct, frozen=True):
    """One alert of `/api/v1/alerts`."""

    labels: Labels
    state: Literal["firing", "pending", "inactive", "unknown"]
    activeAt: Annotated[dt.datetime, Meta(tz=True)] | None = None  # noqa: N815 - the partner's name
    annotations: Labels = {}
    value: str = ""


class Rule(Struct, frozen=True):
    """One rule of `/api/v1/rules`, as far as its health goes."""

    name: str
    type: str = ""
    health: str = "unknown"
    lastError: str = ""  # noqa: N815


class RuleGroup(Struct, frozen=True):
    """A group of rules."""

    name: str
    file: str = ""
    rules: list[Rule] = []


class Series(Struct, frozen=True):
    """One series of an instant query: `value` is (seconds since 1970, number as text)."""

    metric: Labels
    value: tuple[float, str]


def from_alert(alert: ApiAlert, episodes: Episodes, connection: str, config: PrometheusConfig) -> Observation:
    """Return the observation of an alert that fires; it ends when it is no longer listed."""
    key = fingerprint(alert.labels)
    name = alert.labels.get("alertname", "")
    started = alerts.moment(alert.activeAt)
    # Cut to milliseconds, as Alertmanager's API does: both name the same episode.
    starts_at = Instant((started or 0) // _MILLISECOND * _MILLISECOND)
    summary = alert.annotations.get("summary") or alert.annotations.get("description") or name
    episodes.fires(key, starts_at, alert.labels, summary)
    return alerts.alert(
        connection=connection,
        key=key,
        label=name,
        state="firing",
        summary=summary,
        labels=alert.labels,
        annotations=alert.annotations,
        severity=alert.labels.get(config.severity_label, ""),
        severities=config.severities,
        starts_at=starts_at,
        event_id=f"{key}:{starts_at}:firing",
    )


def from_rule(group: RuleGroup, rule: Rule, at: Instant, episodes: Episodes, connection: str) -> Observation:
    """Return the alert of a rule that Prometheus cannot evaluate: what it watches is not watched."""
    key = f"rule/{group.file}/{group.name}/{rule.name}"[:500]
    labels = {"alertname": "PrometheusRuleFailing", "rule_group": group.name, "rule": rule.name}
    summary = f"Prometheus cannot evaluate the rule {rule.name} of {group.name}."
    since = episodes.fires(key, at, labels, summary)
    return alerts.alert(
        connection=connection,
        key=key,
        label=rule.name,
        state="firing",
        summary=summary,
        labels=labels,
        annotations={"error": rule.lastError},
        more={"severity": "warning"},
        starts_at=since,
        event_id=f"{key}:{since}:firing",
    )


def from_series(
    query: MetricQuery, series: Series, episodes: Episodes, connection: str
) -> Observation | None:
    """Return the alert of a series beyond its threshold, None if it is well or stays as it is."""
    key = key_of(query, series)
    number = float(series.value[1])
    verdict = judge(number, query.threshold)
    if verdict == "stays":
        episodes.keeps(key)
    if verdict != "fires":
        return None
    labels = {**_named(series.metric), **query.labels, "alertname": query.name}
    at = alerts.seconds(series.value[0]) or Instant(0)
    summary = query.summary or query.name
    since = episodes.fires(key, at, labels, summary)
    return alerts.alert(
        connection=connection,
        key=key,
        label=query.name,
        state="firing",
        summary=summary,
        labels=labels,
        annotations={"value": said(number, query.threshold), "query": query.query},
        more={"severity": query.severity},
        starts_at=since,
        event_id=f"{key}:{since}:firing",
    )


def over(key: str, held: Open, connection: str) -> Observation:
    """Return the end of an alert. Prometheus does not say when it ended: that is when we noticed."""
    return alerts.alert(
        connection=connection,
        key=key,
        state="resolved",
        summary=held.summary,
        labels=held.labels,
        starts_at=Instant(held.since),
        event_id=f"{key}:{held.since}:resolved",
    )


def prefix(query: MetricQuery) -> str:
    """Return how the keys of a query's alerts begin."""
    return f"query/{query.name}/"


def key_of(query: MetricQuery, series: Series) -> str:
    """Return the key of the alert of a series."""
    return f"{prefix(query)}{fingerprint(series.metric)}"


def fingerprint(labels: Mapping[str, str]) -> str:
    """Return Prometheus' own fingerprint: FNV-1a over the sorted labels, so that Alertmanager names the same alert."""
    total = _FNV_OFFSET
    for name in sorted(labels):
        for byte in (*name.encode(), 0xFF, *labels[name].encode(), 0xFF):
            total = ((total ^ byte) * _FNV_PRIME) & 0xFFFF_FFFF_FFFF_FFFF
    return f"{total:016x}"


def _named(metric: Mapping[str, str]) -> dict[str, str]:
    """Return a series' labels; its name becomes an ordinary one."""
    return {("metric" if name == "__name__" else name): value for name, value in metric.items()}
