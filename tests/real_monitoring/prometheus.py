"""Prometheus and Alertmanager on free ports, with a scrape target whose numbers the test sets."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from tests.real_monitoring.systems import System, call, free_port, until


class Metrics:
    """A scrape target whose numbers the test sets."""

    def __init__(self) -> None:
        self.lines: dict[str, float] = {}
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                text = "".join(f"{name} {value:g}\n" for name, value in outer.lines.items()).encode()
                self.send_response(200)
                self.send_header("Content-Type", "text/plain; version=0.0.4")
                self.end_headers()
                self.wfile.write(text)

            def log_message(self, *_: Any) -> None:
                return

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def set(self, host: str, depth: float) -> None:
        self.lines[f'queue_depth{{host="{host}"}}'] = depth

    def stop(self) -> None:
        self.server.shutdown()
        self.server.server_close()


@dataclass
class Prometheus(System):
    """Prometheus and Alertmanager: a queue that is deeper than 100 fires a critical alert after a second."""

    hook: str = ""
    token: str = ""
    port: int = field(default_factory=free_port)
    manager_port: int = field(default_factory=free_port)
    metrics: Metrics = field(default_factory=Metrics)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.manager_port}"

    def start(self) -> None:
        self.write(
            "rules.yml",
            "groups:\n- name: queues\n  interval: 1s\n  rules:\n  - alert: QueueTooDeep\n"
            "    expr: queue_depth > 100\n    for: 1s\n    labels: {severity: critical}\n"
            "    annotations: {summary: 'Queue on {{ $labels.host }} is too deep'}\n",
        )
        self.write(
            "prometheus.yml",
            "global: {scrape_interval: 1s, evaluation_interval: 1s}\n"
            f"rule_files: ['{self.home}/rules.yml']\n"
            f"alerting: {{alertmanagers: [{{static_configs: [{{targets: ['127.0.0.1:{self.manager_port}']}}]}}]}}\n"
            "scrape_configs:\n"
            f"- {{job_name: queues, static_configs: [{{targets: ['127.0.0.1:{self.metrics.port}']}}]}}\n",
        )
        self.write(
            "alertmanager.yml",
            "global: {resolve_timeout: 1m}\n"
            "route: {receiver: isthmus, group_by: [alertname], group_wait: 2s, group_interval: 3s, repeat_interval: 8s}\n"
            "receivers:\n- name: isthmus\n  webhook_configs:\n"
            f"  - url: '{self.hook}'\n    send_resolved: true\n    max_alerts: 0\n"
            f"    http_config: {{authorization: {{type: Bearer, credentials: '{self.token}'}}}}\n",
        )
        self.start_manager()
        self.spawn(
            "prometheus", f"--config.file={self.home}/prometheus.yml", f"--storage.tsdb.path={self.home}/data",
            f"--web.listen-address=127.0.0.1:{self.port}", log="prometheus.log",
        )  # fmt: skip
        until("Alertmanager", lambda: call("GET", f"{self.url}/api/v2/status"))

    def start_manager(self) -> None:
        self.spawn(
            "prometheus-alertmanager", f"--config.file={self.home}/alertmanager.yml",
            f"--storage.path={self.home}/manager", f"--web.listen-address=127.0.0.1:{self.manager_port}",
            "--cluster.listen-address=", log="alertmanager.log",
        )  # fmt: skip

    def alerts(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = call("GET", f"{self.url}/api/v2/alerts")
        return found

    def silences(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = call("GET", f"{self.url}/api/v2/silences")
        return found

    def silence(self, host: str, comment: str, *, seconds: float = 600) -> str:
        """Create a silence as a person does in Alertmanager's page."""
        now = time.time()
        body = {
            "matchers": [{"name": "host", "value": host, "isRegex": False, "isEqual": True}],
            "startsAt": _text(now), "endsAt": _text(now + seconds), "createdBy": "grace", "comment": comment,
        }  # fmt: skip
        return str(call("POST", f"{self.url}/api/v2/silences", body)["silenceID"])

    def expire(self, silence: str) -> None:
        call("DELETE", f"{self.url}/api/v2/silence/{silence}")

    def stop(self) -> None:
        self.metrics.stop()
        super().stop()


def _text(seconds: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))
