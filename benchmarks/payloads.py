"""Alertmanager webhooks in bulk: what an Alertmanager would send, cheap to make, the same in every run."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import msgspec

_encode = msgspec.json.Encoder().encode
_BEGAN = dt.datetime(2026, 1, 5, 8, 0, tzinfo=dt.UTC)
NAMES = ("DiskFull", "HighLatency", "PodCrashLooping", "ReplicationLag", "CertificateExpiry", "QueueBacklog")


@dataclass(frozen=True, kw_only=True)
class Shape:
    """`per_incident`: alerts that share the label which the rules group by; `cis`: hosts they are spread over."""

    per_incident: int = 5
    cis: int = 10_000


def alert(number: int, shape: Shape, status: str = "firing") -> dict[str, object]:
    """Return the `number`-th alert: equal numbers are the same event, others are other alerts (about 500 bytes)."""
    group = number // shape.per_incident
    host = f"host-{group * 7 % shape.cis:05d}"
    name = NAMES[group % len(NAMES)]
    started = _BEGAN + dt.timedelta(milliseconds=number)
    return {
        "status": status,
        "labels": {
            "alertname": name,
            "cluster": f"cluster-{group % 40:02d}",
            "instance": f"{host}:9100",
            "job": "node",
            "mountpoint": f"/srv/{number % 97}",
            "outage": f"outage-{group}",
            "severity": "warning",
            "volume": f"vol-{number:x}x",
        },
        "annotations": {
            "description": f"{name} on {host}: the limit has been exceeded for more than ten minutes.",
            "summary": f"{name} on {host}",
        },
        "startsAt": started.isoformat(),
        "endsAt": "0001-01-01T00:00:00Z",
        "generatorURL": "http://prometheus.example.test:9090/graph",
        "fingerprint": f"{number:016x}",
    }


def webhook(alerts: Sequence[dict[str, object]]) -> bytes:
    """Return the body of a version 4 webhook."""
    return _encode(
        {
            "version": "4",
            "groupKey": '{}:{cluster="all"}',
            "truncatedAlerts": 0,
            "receiver": "isthmus",
            "status": "firing",
            "groupLabels": {},
            "commonLabels": {},
            "commonAnnotations": {},
            "externalURL": "http://alertmanager.example.test:9093",
            "alerts": alerts,
        }
    )


def alertmanager_post(alerts: Sequence[dict[str, object]]) -> bytes:
    """Return the same alerts as Alertmanager's own API takes them (`POST /api/v2/alerts`)."""
    keys = ("labels", "annotations", "generatorURL")
    return _encode([{key: each[key] for key in keys} for each in alerts])


def bodies(first: int, count: int, per_webhook: int, shape: Shape) -> Iterator[bytes]:
    """Yield the webhooks that carry alerts `first` to `first + count`."""
    for start in range(first, first + count, per_webhook):
        numbers = range(start, min(start + per_webhook, first + count))
        yield webhook([alert(number, shape) for number in numbers])
