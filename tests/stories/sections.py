"""What the blueprints of the stories say: flows, routes, webhooks."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

FIELD_OWNER = "Service desk lead"


def flow(connections: Iterable[str], *fields: Mapping[str, Any], **more: Any) -> dict[str, Any]:
    """Return the section `sync` for incidents over these connections."""
    return {
        "incident": {
            "owner": FIELD_OWNER,
            "system_of_record": "hub",
            "connections": {name: {} for name in connections},
            "fields": [{"owner": FIELD_OWNER, **each} for each in fields],
            **more,
        }
    }


def everywhere(*connections: str) -> list[dict[str, Any]]:
    """Return the section `routes` that creates every incident at these connections."""
    return [{"id": "incidents-everywhere", "kind": "incident", "to": list(connections)}]


def webhook(name: str, *rules: Mapping[str, Any]) -> dict[str, Any]:
    """Return the entry of a generic webhook connection with a bearer token of its own."""
    secret = {"secret": f"env:STORY_{name.upper()}"}
    return {
        "connector": "webhook",
        "config": {"authentication": "bearer", "secret": secret, "rules": list(rules)},
    }


ALERTS = {
    "kind": "alert",
    "key": "/id",
    "event_id": "/event",
    "fields": {"labels": "/labels", "severity": "/severity", "summary": "/summary", "state": "/state"},
}
"""What a monitoring system of the stories sends."""
