"""A fake Alertmanager: groups are notified by webhook, API v2 lists what fires and keeps silences."""

from __future__ import annotations

from typing import Any

from isthmus.connectors.kit.alertmanager_simulator import AlertmanagerApiSimulator, fingerprint

__all__ = ["AlertmanagerSimulator", "fingerprint"]


class AlertmanagerSimulator(AlertmanagerApiSimulator):
    """Version 0.25 as far as the hub can see it."""

    name = "Alertmanager simulator"
    webhook_token = "simulated-webhook-token"  # noqa: S105 - the fake vendor's own password

    def config(self, url: str) -> dict[str, Any]:
        """Return a connection with webhook and API."""
        return {
            "url": url,
            "token": {"secret": "env:ALERTMANAGER_WEBHOOK_TOKEN"},
            "api_authentication": "bearer",
            "api_token": {"secret": "env:ALERTMANAGER_API_TOKEN"},
        }

    def secrets(self) -> dict[str, str]:
        """Return both tokens."""
        return {"token": self.webhook_token, "api_token": self.token}

    def sign(self, body: bytes) -> dict[str, str]:
        """Authenticate as `http_config.authorization` does."""
        del body
        return {"Authorization": f"Bearer {self.webhook_token}", "User-Agent": "Alertmanager/0.25.0"}

    def notify(self, *keys: str, receiver: str = "isthmus", truncated: int = 0) -> dict[str, Any]:
        """Send (and return) one notification about these alerts, or about all, as one group. Silenced ones are
        left out; a group without members is not notified."""
        shelf = self.shelf("alert")
        alerts = [
            item for key, item in shelf.all() if (not keys or key in keys) and not self.silenced_by(item)
        ]
        common = dict(set.intersection(*(set(each["labels"].items()) for each in alerts))) if alerts else {}
        payload = {
            "version": "4",
            "receiver": receiver,
            "status": "firing" if any(each["status"] == "firing" for each in alerts) else "resolved",
            "alerts": alerts,
            "groupLabels": {name: common[name] for name in ("alertname",) if name in common},
            "commonLabels": common,
            "commonAnnotations": {},
            "externalURL": "http://alertmanager.example.test:9093",
            "groupKey": '{}:{alertname="' + common.get("alertname", "") + '"}',
            "truncatedAlerts": truncated,
        }
        if alerts:
            self.emit(payload)
        return payload
