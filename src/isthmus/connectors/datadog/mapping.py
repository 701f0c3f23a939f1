"""Monitors of Datadog as alerts: the body of our webhook template, and the Monitors API. Pure, one way.

An alert is one group of one monitor (`host:web-01` of monitor 42), in the webhook and in the API alike.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from msgspec import Meta, Struct

from isthmus.connectors.datadog.config import DatadogConfig
from isthmus.connectors.kit import alerts
from isthmus.kernel.errors import Problem, Rejected
from isthmus.kernel.instant import Instant
from isthmus.kernel.observation import Observation

_ABSENT = frozenset({"", "null", "none", "n/a"})
_EVERYTHING = "*"
OPEN_STATES = frozenset({"Alert", "Warn", "No Data"})
_MILLISECOND = 1_000


class Notification(Struct, frozen=True):
    """The body that our template makes. Datadog replaces variables inside texts, so everything is text."""

    version: Annotated[str, Meta(pattern="^1$")]
    id: Annotated[str, Meta(min_length=1, max_length=100)]
    monitor: Annotated[str, Meta(pattern=r"^\d{1,20}$")]
    transition: Annotated[str, Meta(min_length=1, max_length=100)]
    date: Annotated[str, Meta(pattern=r"^\d{10,16}$")]
    title: str
    type: str = ""
    scope: str = ""
    cycle: str = ""
    message: str = ""
    tags: str = ""
    host: str = ""
    metric: str = ""
    query: str = ""
    priority: str = ""
    link: str = ""
    organisation: str = ""


class Group(Struct, frozen=True):
    """The state of one group of a monitor; times are seconds since 1970."""

    status: str
    name: str = ""
    last_triggered_ts: float | None = None
    last_nodata_ts: float | None = None


class MonitorState(Struct, frozen=True):
    """What a monitor's groups are in."""

    groups: dict[str, Group] = {}


class Monitor(Struct, frozen=True):
    """A monitor of the API."""

    id: int
    name: str
    overall_state: str = ""
    query: str = ""
    tags: list[str] = []
    priority: int | None = None
    state: MonitorState = MonitorState()
    matching_downtimes: list[dict[str, Any]] = []


def from_notification(found: Notification, connection: str, config: DatadogConfig) -> Observation:
    """Return the alert that a webhook speaks of."""
    state = config.transitions.get(found.transition.strip().lower())
    if state is None:
        remedy = "Add it to the connection's `transitions` as firing or resolved."
        problem = Problem(path="/transition", message="is not known", remedy=remedy)
        raise Rejected("/transition is not known.", remedy=remedy, problems=(problem,))
    at = Instant(_micros(found.date))
    labels = {
        **_tags(_given(found.tags).split(",")),
        **_tags(_given(found.scope).split(",")),
        "alertname": found.title,
        "monitor": found.monitor,
    }
    # A variable without value says nothing: it must not hide what the scope says.
    labels |= {
        name: text for name, text in (("host", _given(found.host)), ("metric", _given(found.metric))) if text
    }
    return alerts.alert(
        connection=connection,
        key=key_of(found.monitor, _given(found.scope)),
        label=found.title,
        url=_given(found.link),
        state=state,
        summary=found.title,
        labels=labels,
        annotations={
            "message": _given(found.message),
            "query": _given(found.query),
            "cycle": _given(found.cycle),
            "transition": found.transition,
        },
        severity=_word(found.priority, found.type, config) if state == "firing" else "",
        severities=_lower(config),
        starts_at=at if state == "firing" else None,
        ends_at=at if state == "resolved" else None,
        event_id=found.id,
    )


def from_group(
    monitor: Monitor, name: str, group: Group, connection: str, config: DatadogConfig
) -> Observation:
    """Return the alert of a group that is not OK."""
    key = key_of(str(monitor.id), name)
    since = group.last_nodata_ts if group.status == "No Data" else group.last_triggered_ts
    starts_at = alerts.seconds(since)
    return alerts.alert(
        connection=connection,
        key=key,
        label=monitor.name,
        state="firing",
        summary=monitor.name,
        labels={
            **_tags(monitor.tags),
            **_tags(name.split(",")),
            "alertname": monitor.name,
            "monitor": monitor.id,
        },
        annotations={"query": monitor.query, "status": group.status},
        severity=_word("" if monitor.priority is None else f"P{monitor.priority}", group.status, config),
        severities=_lower(config),
        starts_at=starts_at,
        event_id=f"{key}:{group.status}:{starts_at or 0}",
        more={"silenced": bool(monitor.matching_downtimes)},
    )


def over(key: str, since: int, labels: Mapping[str, str], summary: str, connection: str) -> Observation:
    """Return the end of an alert that is no longer listed as open."""
    return alerts.alert(
        connection=connection,
        key=key,
        state="resolved",
        summary=summary,
        labels=labels,
        event_id=f"{key}:OK:{since}",
    )


def key_of(monitor: str, scope: str) -> str:
    """Return the key of an alert. The order of a scope's parts means nothing; everything is no part."""
    parts = sorted({each.strip() for each in scope.split(",")} - {"", _EVERYTHING})
    return f"{monitor}:{','.join(parts)}"[:500]


def split_key(key: str) -> tuple[int, str]:
    """Return monitor and scope of an alert's key."""
    monitor, _, scope = key.partition(":")
    if not monitor.isdigit():
        raise Rejected("This is not an alert of Datadog.", remedy="Its key begins with the monitor's id.")
    return int(monitor), scope


def _word(priority: str, status: str, config: DatadogConfig) -> str:
    stated = _given(priority)
    return stated if stated.lower() in _lower(config) else _given(status) or stated


def _lower(config: DatadogConfig) -> dict[str, alerts.Severity]:
    return {word.lower(): severity for word, severity in config.severities.items()}


def _given(text: str) -> str:
    """Return a text, "" for a variable that Datadog had no value for."""
    stripped = text.strip()
    return "" if stripped.lower() in _ABSENT or stripped.startswith("$") else stripped


def _tags(tags: list[str]) -> dict[str, str]:
    """Return `name:value` tags as labels; of one name the values in a row, a tag without value as itself."""
    found: dict[str, list[str]] = {}
    for each in tags:
        name, colon, value = each.strip().partition(":")
        if name and name != _EVERYTHING:
            found.setdefault(name, []).append(value if colon else "true")
    return {name: ",".join(sorted(set(values))) for name, values in found.items()}


def _micros(text: str) -> int:
    """Return microseconds of a time that Datadog gives in seconds or milliseconds."""
    number = int(text)
    return number * _MILLISECOND if number >= 100_000_000_000 else number * _MILLISECOND * _MILLISECOND
