"""Alerts of Grafana as observations: webhook version 1 and the Alertmanager API, one way, pure.

The status of an alert is its own, never the group's. Two states are Grafana's own: a rule that finds no data or
that cannot be evaluated fires an alert named DatasourceNoData or DatasourceError (label `alertname`, the rule's name
in `rulename`); they are alerts like others, and their severity is the rule's.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import replace
from typing import Annotated, Literal

from msgspec import Meta, Struct

from isthmus.connectors.grafana.config import GrafanaConfig
from isthmus.connectors.kit import alerts
from isthmus.connectors.kit.alertmanager_api import (
    MILLISECOND,
    NEVER_YEAR,
    Annotations,
    ApiAlert,
    ApiSilence,
    Fingerprint,
    Labels,
    Moment,
    standing,
)
from isthmus.kernel.instant import Instant, from_datetime
from isthmus.kernel.observation import ExternalRef, Observation
from isthmus.kernel.record import Json

ALERTS_MAX = 10_000
_LINKS = ("dashboardURL", "panelURL", "silenceURL", "imageURL")


class WebhookAlert(Struct, frozen=True):
    """One alert of a webhook; the names are Grafana's."""

    status: Literal["firing", "resolved"]
    labels: Labels
    startsAt: Moment  # noqa: N815
    fingerprint: Fingerprint
    endsAt: Moment | None = None  # noqa: N815
    annotations: Annotations = {}
    generatorURL: str = ""  # noqa: N815
    silenceURL: str = ""  # noqa: N815
    dashboardURL: str = ""  # noqa: N815
    panelURL: str = ""  # noqa: N815
    imageURL: str = ""  # noqa: N815
    values: Annotated[dict[str, float | None], Meta(max_length=200)] | None = None
    valueString: str = ""  # noqa: N815


class Notification(Struct, frozen=True):
    """The body of a webhook, version 1. `truncatedAlerts` counts members that were left out."""

    version: Literal["1"]
    status: Literal["firing", "resolved"]
    alerts: Annotated[list[WebhookAlert], Meta(min_length=1, max_length=ALERTS_MAX)]
    orgId: Annotated[int, Meta(ge=0)] = 0  # noqa: N815
    truncatedAlerts: Annotated[int, Meta(ge=0)] = 0  # noqa: N815


def from_notification(
    notification: Notification, connection: str, config: GrafanaConfig
) -> list[Observation]:
    """Return one observation per alert, in the order of the body; left-out members are reported on the first."""
    found = []
    for place, alert in enumerate(notification.alerts):
        ended = alert.endsAt if alert.status == "resolved" else None
        unknown: dict[str, Json] = {}
        if place == 0 and notification.truncatedAlerts:
            unknown["truncated_alerts"] = notification.truncatedAlerts
        found.append(
            _observation(
                alert, alert.status, ended, connection, config, unknown=unknown, more=_particulars(alert)
            )
        )
    return found


def from_api(
    alert: ApiAlert, connection: str, config: GrafanaConfig, silences: Mapping[str, ApiSilence] | None = None
) -> Observation:
    """Return the observation of a listed alert; which silences keep it quiet is evidence."""
    evidence: dict[str, Json] = {}
    if alert.status.silencedBy or alert.status.inhibitedBy:
        evidence = {
            "silenced_by": [*alert.status.silencedBy],
            "inhibited_by": [*alert.status.inhibitedBy],
        }
    unknown: dict[str, Json] = {}
    if alert.status.state not in {"active", "suppressed", "unprocessed"}:
        unknown["status"] = alert.status.state
    found = _observation(alert, "firing", None, connection, config, unknown=unknown, more={})
    more = standing(alert, silences or {}, config.acknowledge_marker)
    return replace(found, values={**found.values, **more}, evidence=evidence)


def ended(key: str, held: Mapping[str, Json], connection: str, now: Instant) -> Observation:
    """Return the observation of an alert that has not been listed for a while: it ended, and no webhook told us."""
    return Observation(
        kind="alert",
        external=ExternalRef(connection=connection, kind="alert", key=key),
        values={**held, "state": "resolved", "ends_at": now, "acknowledged": False, "silenced": False},
        event_id=f"{key}:{held.get('starts_at')}:resolved",
        occurred_at=now,
    )


def _particulars(alert: WebhookAlert) -> dict[str, str]:
    """Return what Grafana adds, as annotations under names that no rule uses."""
    found = {f"grafana_{name.removesuffix('URL')}_url": getattr(alert, name) for name in _LINKS}
    values = alert.values or {}
    measured = ", ".join(f"{name}={value:g}" for name, value in sorted(values.items()) if value is not None)
    found["grafana_values"] = measured or alert.valueString
    return {name: value for name, value in found.items() if value}


def _observation(
    alert: WebhookAlert | ApiAlert,
    state: Literal["firing", "resolved"],
    end: dt.datetime | None,
    connection: str,
    config: GrafanaConfig,
    *,
    unknown: Mapping[str, Json],
    more: Mapping[str, str],
) -> Observation:
    labels, annotations = alert.labels, alert.annotations
    # The API cuts times to milliseconds where the webhook sends more digits; both must name the same event.
    starts_at = Instant(from_datetime(alert.startsAt) // MILLISECOND * MILLISECOND)
    ends_at = from_datetime(end) if end is not None and end.year > NEVER_YEAR else None
    return alerts.alert(
        connection=connection,
        key=alert.fingerprint,
        state=state,
        summary=annotations.get("summary") or annotations.get("description") or labels.get("alertname", ""),
        labels=labels,
        annotations={**annotations, **more},
        event_id=f"{alert.fingerprint}:{starts_at}:{state}",
        severity=labels.get(config.severity_label, ""),
        severities=config.severities,
        starts_at=starts_at,
        ends_at=ends_at,
        url=alert.generatorURL,
        unknown=unknown,
    )
