"""Alerts of Alertmanager as observations: typed shapes for webhook version 4 and API v2, one way, pure.

The status of an alert is its own, never the group's: one POST mixes firing and resolved alerts.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import replace
from typing import Annotated, Literal

from msgspec import Meta, Struct

from isthmus.connectors.alertmanager.config import AlertmanagerConfig
from isthmus.connectors.kit.alertmanager_api import (
    LABELS_MAX,
    MILLISECOND,
    NEVER_YEAR,
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


class WebhookAlert(Struct, frozen=True):
    """One alert of a webhook."""

    status: Literal["firing", "resolved"]
    labels: Labels
    startsAt: Moment  # noqa: N815 - the partner's name
    fingerprint: Fingerprint
    endsAt: Moment | None = None  # noqa: N815
    annotations: Annotated[dict[str, str], Meta(max_length=LABELS_MAX)] = {}
    generatorURL: str = ""  # noqa: N815


class Notification(Struct, frozen=True):
    """The body of a webhook, version 4. `truncatedAlerts` counts members that were left out."""

    version: Literal["4"]
    status: Literal["firing", "resolved"]
    alerts: Annotated[list[WebhookAlert], Meta(min_length=1, max_length=ALERTS_MAX)]
    truncatedAlerts: Annotated[int, Meta(ge=0)] = 0  # noqa: N815


def from_notification(
    notification: Notification, connection: str, config: AlertmanagerConfig
) -> list[Observation]:
    """Return one observation per alert, in the order of the body.

    Left-out members are reported on the first observation as `unknown["truncated_alerts"]`.
    """
    found = []
    truncated = notification.truncatedAlerts
    for alert in notification.alerts:
        ended = alert.endsAt if alert.status == "resolved" else None
        found.append(_observation(alert, alert.status, ended, connection, config, truncated=truncated))
        truncated = 0
    return found


def from_api(
    alert: ApiAlert,
    connection: str,
    config: AlertmanagerConfig,
    silences: Mapping[str, ApiSilence] | None = None,
) -> Observation:
    """Return the observation of a listed alert; which silences and alerts keep it quiet is evidence."""
    evidence: dict[str, Json] = {}
    if alert.status.silencedBy or alert.status.inhibitedBy:
        evidence = {
            "silenced_by": [*alert.status.silencedBy],
            "inhibited_by": [*alert.status.inhibitedBy],
        }
    found = _observation(alert, "firing", None, connection, config, evidence=evidence)
    more = standing(alert, silences or {}, config.acknowledge_marker)
    unknown = dict(found.unknown)
    if alert.status.state not in {"active", "suppressed", "unprocessed"}:
        unknown["status"] = alert.status.state
    return replace(found, values={**found.values, **more}, unknown=unknown)


def ended(key: str, held: Mapping[str, Json], connection: str, now: Instant) -> Observation:
    """Return the observation of an alert that is no longer listed: it ended, and no webhook may have told us."""
    starts_at = held.get("starts_at")
    return Observation(
        kind="alert",
        external=ExternalRef(connection=connection, kind="alert", key=key),
        values={**held, "state": "resolved", "ends_at": now, "acknowledged": False, "silenced": False},
        event_id=f"{key}:{starts_at}:resolved",
        occurred_at=now,
    )


def _observation(
    alert: WebhookAlert | ApiAlert,
    state: str,
    ended: dt.datetime | None,
    connection: str,
    config: AlertmanagerConfig,
    *,
    truncated: int = 0,
    evidence: Mapping[str, Json] | None = None,
) -> Observation:
    labels, annotations = alert.labels, alert.annotations
    # API v2 cuts times to milliseconds where the webhook sends all digits; both must name the same event.
    starts_at = from_datetime(alert.startsAt) // MILLISECOND * MILLISECOND
    ends_at = from_datetime(ended) if ended is not None and ended.year > NEVER_YEAR else None
    values: dict[str, Json] = {
        "external_key": alert.fingerprint,
        "state": state,
        "summary": annotations.get("summary")
        or annotations.get("description")
        or labels.get("alertname", ""),
        "labels": labels,  # type: ignore[dict-item]
        "annotations": annotations,  # type: ignore[dict-item]
        "starts_at": starts_at,
        "ends_at": ends_at,
    }
    unknown: dict[str, Json] = {}
    if stated := labels.get(config.severity_label, ""):
        severity = config.severities.get(stated.lower())
        if severity is None:
            unknown["severity"] = stated
        else:
            values["severity"] = severity
    if truncated:
        unknown["truncated_alerts"] = truncated
    return Observation(
        kind="alert",
        external=ExternalRef(
            connection=connection, kind="alert", key=alert.fingerprint, url=alert.generatorURL
        ),
        values=values,
        event_id=f"{alert.fingerprint}:{starts_at}:{state}",
        occurred_at=Instant(starts_at) if ends_at is None else ends_at,
        evidence=evidence or {},
        unknown=unknown,
    )
