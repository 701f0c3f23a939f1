"""A fake producer of CloudEvents: checks that fail and recover, assets, in structured mode."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Mapping
from typing import Any

from isthmus.connectors.kit.simulator import Simulator

STRUCTURED = {"Content-Type": "application/cloudevents+json; charset=utf-8"}


class CloudEventsSimulator(Simulator):
    """A producer `/probes/eu-1` whose events the rules of its own connection read."""

    name = "CloudEvents simulator"
    secret = "simulated-producer-token"  # noqa: S105 - the fake producer's own token

    def config(self, url: str) -> dict[str, Any]:
        """Return a connection with one rule per record kind."""
        del url
        return {
            "secret": {"secret": "env:CLOUDEVENTS_TOKEN"},
            "rules": [
                {
                    "kind": "alert",
                    "when": "body.type.startsWith('com.example.check.')",
                    "key": "body.source + '#' + body.subject",
                    "fields": {
                        "state": "/type",
                        "severity": "/data/level",
                        "summary": "/data/text",
                        "labels": "{'host': body.data.host, 'check': body.subject}",
                    },
                    "tables": {
                        "state": {
                            "com.example.check.failed": "firing",
                            "com.example.check.recovered": "resolved",
                        }
                    },
                },
                {
                    "kind": "ci",
                    "when": "body.type == 'com.example.asset'",
                    "key": "/data/tag",
                    "fields": {"name": "/data/name", "ci_class": "/data/type"},
                },
            ],
        }

    def secrets(self) -> dict[str, str]:
        """Return the producer's token."""
        return {"secret": self.secret}

    def sign(self, body: bytes) -> dict[str, str]:
        """Authenticate by bearer token."""
        del body
        return {"Authorization": f"Bearer {self.secret}"}

    def tell(self, kind: str, data: Any, subject: str = "", **more: Any) -> dict[str, Any]:
        """Send (and return) one event."""
        event = {
            "specversion": "1.0",
            "id": str(uuid.uuid4()),
            "source": "/probes/eu-1",
            "type": kind,
            "time": dt.datetime.now(dt.UTC).isoformat(),
            "datacontenttype": "application/json",
            "data": data,
            **({"subject": subject} if subject else {}),
            **more,
        }
        self.emit(event, STRUCTURED)
        return event

    def seed(self, kind: str, count: int) -> list[str]:
        """Let `count` checks fail."""
        del kind
        for n in range(count):
            data = {"host": f"web-{n:02d}.example.test", "level": "error", "text": f"Check {n} failed"}
            self.tell("com.example.check.failed", data, f"check-{n}")
        return [f"/probes/eu-1#check-{n}" for n in range(count)]

    def human_edit(self, kind: str, key: str, values: Mapping[str, Any]) -> None:
        """Let a check recover."""
        del kind, values
        self.tell("com.example.check.recovered", {"host": "web", "text": "Fine"}, key.partition("#")[2])
