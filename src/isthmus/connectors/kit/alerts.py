"""Alerts of any source as observations: one place where values, unknown words and identities are put together.

A connector's `mapping.py` says what the partner's words mean; this says how an alert observation is made of
them, so that the same alert is the same record whatever the transport. A severity outside the connection's
table is kept as unknown and reported, never guessed.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import Any, Literal

from isthmus.kernel.instant import SECOND, Instant, from_datetime
from isthmus.kernel.observation import ExternalRef, Observation
from isthmus.kernel.record import Json

Severity = Literal["informational", "warning", "error", "critical"]
State = Literal["firing", "resolved"]

SEVERITIES: dict[str, Severity] = {
    "emergency": "critical",
    "disaster": "critical",
    "critical": "critical",
    "page": "critical",
    "error": "error",
    "high": "error",
    "major": "error",
    "warning": "warning",
    "warn": "warning",
    "minor": "warning",
    "low": "warning",
    "info": "informational",
    "informational": "informational",
    "none": "informational",
}
"""Words in common use; a connection may replace the whole table."""

SUMMARY_CHARACTERS_MAX = 1_000
LABELS_MAX = 200
LABEL_CHARACTERS_MAX = 4_000


def alert(
    *,
    connection: str,
    key: str,
    state: State,
    summary: str,
    labels: Mapping[str, Any],
    event_id: str,
    annotations: Mapping[str, Any] | None = None,
    severity: str = "",
    severities: Mapping[str, Severity] | None = None,
    starts_at: Instant | None = None,
    ends_at: Instant | None = None,
    occurred_at: Instant | None = None,
    label: str = "",
    url: str = "",
    actor: str = "",
    more: Mapping[str, Json] | None = None,
    evidence: Mapping[str, Json] | None = None,
    unknown: Mapping[str, Json] | None = None,
) -> Observation:
    """Return the observation of one alert.

    `severity` is the partner's word ("" = it states none), looked up in `severities` without regard to case.
    `more` are further canonical fields. `occurred_at` defaults to the start of a firing and the end of a resolved
    alert.
    """
    values: dict[str, Json] = {
        "external_key": key,
        "state": state,
        "summary": summary[:SUMMARY_CHARACTERS_MAX],
        "labels": dict[str, Json](_texts(labels)),
        "annotations": dict[str, Json](_texts(annotations or {})),
        "starts_at": starts_at,
        "ends_at": ends_at if state == "resolved" else None,
        **(more or {}),
    }
    kept: dict[str, Json] = dict(unknown or {})
    if severity:
        known = (SEVERITIES if severities is None else severities).get(severity.lower())
        if known is None:
            kept["severity"] = severity
        else:
            values["severity"] = known
    return Observation(
        kind="alert",
        external=ExternalRef(connection=connection, kind="alert", key=key, label=label, url=url),
        values=values,
        event_id=event_id,
        occurred_at=occurred_at or (ends_at if state == "resolved" else starts_at),
        partner_actor=actor,
        evidence=evidence or {},
        unknown=kept,
    )


def moment(found: dt.datetime | None) -> Instant | None:
    """Return a partner's time as an instant, None if it gives none."""
    return None if found is None else from_datetime(found)


def seconds(found: float | None) -> Instant | None:
    """Return seconds since 1970 as an instant."""
    return None if found is None else Instant(round(found * SECOND))


def _texts(found: Mapping[str, Any]) -> dict[str, str]:
    """Return labels as bounded texts; what is empty says nothing and is left out."""
    return {
        str(name): _text(value)[:LABEL_CHARACTERS_MAX]
        for name, value in list(found.items())[:LABELS_MAX]
        if value not in (None, "")
    }


def _text(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return value if isinstance(value, str) else str(value)
