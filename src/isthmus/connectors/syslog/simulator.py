"""A fake fleet of syslog senders: hosts whose daemons fail and recover."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import Any

from isthmus.connectors.kit.simulator import Simulator


class SyslogSimulator(Simulator):
    """Makes messages; `sent` holds them. A test carries them over the transport that it tries."""

    name = "Syslog simulator"
    secret = "simulated-relay-token"  # noqa: S105 - the fake relay's own token

    def __init__(self) -> None:
        super().__init__()
        self.sent: list[bytes] = []

    def config(self, url: str) -> dict[str, Any]:
        """Return a connection with a relay, a network, a certificate, and one rule per record kind."""
        del url
        return {
            "secret": {"secret": "env:SYSLOG_TOKEN"},
            "sources": ["192.0.2.0/24", "127.0.0.1"],
            "certificates": ["relay.example.test"],
            "rules": [
                {
                    "kind": "alert",
                    "when": "has(body.app) && body.app == 'raid'",
                    "key": "body.host + '/raid'",
                    "fields": {
                        "state": "body.level < 5 ? 'firing' : 'resolved'",
                        "severity": "/severity",
                        "summary": "/message",
                        "labels": "{'host': body.host, 'app': body.app}",
                    },
                    "tables": {
                        "severity": {
                            "emergency": "critical",
                            "alert": "critical",
                            "critical": "critical",
                            "error": "error",
                            "warning": "warning",
                            "notice": "informational",
                            "informational": "informational",
                        }
                    },
                },
                {
                    "kind": "alert",
                    "when": "has(body.data) && 'alarm@32473' in body.data",
                    "key": "body.data['alarm@32473'].id",
                    "event_id": "body.data['alarm@32473'].id",
                    "fields": {"summary": "/message"},
                },
                {
                    "kind": "ci",
                    "when": "has(body.data) && 'device@32473' in body.data",
                    "key": "body.data['device@32473'].id",
                    "fields": {"name": "/host", "ci_class": "body.data['device@32473'].type"},
                },
            ],
        }

    def secrets(self) -> dict[str, str]:
        """Return the relay's token."""
        return {"secret": self.secret}

    def sign(self, body: bytes) -> dict[str, str]:
        """Authenticate as the relay does."""
        del body
        return {"Authorization": f"Bearer {self.secret}"}

    def say(self, host: str, text: str, *, priority: int = 131, app: str = "raid") -> bytes:
        """Make (and keep) one message of RFC 5424."""
        now = dt.datetime.now(dt.UTC).isoformat()
        made = f"<{priority}>1 {now} {host} {app} - - - {text}".encode()
        self.sent.append(made)
        return made

    def seed(self, kind: str, count: int) -> list[str]:
        """Let the disks of `count` hosts fail."""
        del kind
        for n in range(count):
            self.say(f"host-{n}", "Degraded array")
        return [f"host-{n}/raid" for n in range(count)]

    def human_edit(self, kind: str, key: str, values: Mapping[str, Any]) -> None:
        """Let a disk recover."""
        del kind, values
        self.say(key.partition("/")[0], "Array is whole", priority=134)
