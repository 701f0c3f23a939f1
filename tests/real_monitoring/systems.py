"""Real monitoring systems on free ports of this machine, each in a directory of its own: Prometheus with Alertmanager,
Nagios 4 and Icinga 2, as Debian packages them. Each is started, told to break and to mend, and stopped."""

from __future__ import annotations

import contextlib
import json
import os
import pwd
import shutil
import signal
import socket
import ssl
import subprocess
import tempfile
import threading
import time
import urllib.error
import urllib.request
from base64 import b64encode
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, TypeVar

T = TypeVar("T")
PROGRAMS = {
    "prometheus": ("prometheus", "prometheus-alertmanager"),
    "icinga2": ("icinga2",),
    "nagios4": ("nagios4",),
}


def missing(system: str) -> list[str]:
    """Return the programs of a system that this machine does not have."""
    return [each for each in PROGRAMS[system] if shutil.which(each) is None]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def until(what: str, read: Callable[[], T], *, seconds: float = 60.0) -> T:
    """Return the first truthy result of `read`; fail with `what` after a while."""
    deadline = time.monotonic() + seconds
    while True:
        with contextlib.suppress(urllib.error.URLError, ConnectionError, FileNotFoundError, TimeoutError):
            if found := read():
                return found
        assert time.monotonic() < deadline, f"Waited {seconds:g} s in vain for {what}."
        time.sleep(0.2)


def call(
    method: str,
    url: str,
    body: Any = None,
    headers: Mapping[str, str] | None = None,
    *,
    context: ssl.SSLContext | None = None,
) -> Any:
    """Make one HTTP call and return the decoded JSON of its answer."""
    raw = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(
        url, data=raw, method=method, headers={"Content-Type": "application/json", **(headers or {})}
    )
    with urllib.request.urlopen(request, timeout=10, context=context) as answer:
        said = answer.read()
    return json.loads(said) if said else None


@dataclass
class System:
    """Processes in a directory that may be read by the accounts under which monitoring systems run."""

    home: Path = field(default_factory=lambda: Path(tempfile.mkdtemp(prefix="isthmus-real-")))
    processes: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.home.chmod(0o755)

    def spawn(self, *command: str, log: str, env: Mapping[str, str] | None = None) -> subprocess.Popen[bytes]:
        with (self.home / log).open("ab") as out:
            process = subprocess.Popen(
                command, stdout=out, stderr=out, env={**os.environ, **(env or {})}, start_new_session=True
            )
        self.processes.append(process)
        return process

    def write(self, name: str, text: str, mode: int = 0o644) -> Path:
        path = self.home / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        path.chmod(mode)
        return path

    def own(self, account: str) -> None:
        """Give the directory to the account that the system switches to, where we are root."""
        if os.geteuid() == 0:
            who = pwd.getpwnam(account)
            for path in (self.home, *self.home.rglob("*")):
                os.chown(path, who.pw_uid, who.pw_gid)

    def kill(self, process: subprocess.Popen[bytes], how: int = signal.SIGKILL) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, how)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(10)

    def stop(self) -> None:
        for process in self.processes:
            self.kill(process, signal.SIGTERM)
        for process in self.processes:
            self.kill(process)
        shutil.rmtree(self.home, ignore_errors=True)


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


CHECK = """#!/bin/sh
# The state of a check is the number in its file; a missing file is OK.
s=$(cat "$1" 2>/dev/null || echo 0)
case $s in 0) w=OK;; 1) w=WARNING;; 2) w=CRITICAL;; *) w=UNKNOWN;; esac
echo "QUEUE $w - depth is ${s}50 | depth=${s}50;100;200"
exit $s
"""


@dataclass
class Checked(System):
    """A system of host and service checks whose results are numbers in files."""

    hosts: tuple[str, ...] = ()
    check: str = "queue-depth"

    def breaks(self, host: str, state: int = 2) -> None:
        (self.home / "state" / host).write_text(f"{state}\n")

    def mends(self, host: str) -> None:
        self.breaks(host, 0)

    def prepare(self) -> Path:
        (self.home / "state").mkdir(exist_ok=True)
        for host in self.hosts:
            self.mends(host)
        return self.write("check.sh", CHECK, 0o755)


@dataclass
class Icinga(Checked):
    """Icinga 2 with its API: every host has one service that is checked each second and hard at the second failure."""

    port: int = field(default_factory=free_port)
    user: str = "hub"
    password: str = "real-icinga-password"
    node: str = "real-icinga"

    @property
    def url(self) -> str:
        return f"https://127.0.0.1:{self.port}"

    @property
    def ca(self) -> str:
        return (self.home / "lib" / "ca" / "ca.crt").read_text()

    def start(self) -> None:
        check = self.prepare()
        for each in ("etc", "lib/certs", "lib/ca", "log", "run", "cache", "spool"):
            (self.home / each).mkdir(parents=True, exist_ok=True)
        objects = "".join(
            f'object Host "{host}" {{ address = "192.0.2.{n}"; check_command = "dummy"; vars.dummy_state = 0;'
            f' check_interval = 5s; vars.team = "payments" }}\n'
            f'object Service "{self.check}" {{ host_name = "{host}"; check_command = "from-file"; check_interval = 1s;'
            f' retry_interval = 1s; max_check_attempts = 2; vars.file = "{self.home}/state/{host}" }}\n'
            for n, host in enumerate(self.hosts, 1)
        )
        self.write(
            "etc/icinga2.conf",
            f'const NodeName = "{self.node}"\nconst ZoneName = "{self.node}"\ninclude <itl>\n'
            "object Endpoint NodeName { }\nobject Zone ZoneName { endpoints = [ NodeName ] }\n"
            'object CheckerComponent "checker" { }\n'
            f'object ApiListener "api" {{ bind_host = "127.0.0.1"; bind_port = {self.port} }}\n'
            f'object ApiUser "{self.user}" {{ password = "{self.password}"; permissions = [ "*" ] }}\n'
            f'object CheckCommand "from-file" {{ command = [ "{check}", "$file$" ] }}\n' + objects,
        )
        certs = self.home / "lib" / "certs" / self.node
        self.own("nagios")
        self._icinga("pki", "new-ca")
        self._icinga(
            "pki", "new-cert", "--cn", self.node, "--key", f"{certs}.key", "--csr", f"{self.home}/node.csr"
        )
        self._icinga("pki", "sign-csr", "--csr", f"{self.home}/node.csr", "--cert", f"{certs}.crt")
        shutil.copy(self.home / "lib" / "ca" / "ca.crt", certs.parent / "ca.crt")
        self.own("nagios")
        self.run()

    def run(self) -> None:
        """Start the daemon (again)."""
        self.daemon = self.spawn(
            "icinga2", "daemon", "-c", f"{self.home}/etc/icinga2.conf", *self._places(), log="icinga2.log",
            env={"HOME": str(self.home)},
        )  # fmt: skip
        until("Icinga's API", lambda: self.api("GET", "/v1"))

    def api(self, method: str, path: str, body: Any = None) -> Any:
        credential = b64encode(f"{self.user}:{self.password}".encode()).decode()
        headers = {"Authorization": f"Basic {credential}", "Accept": "application/json"}
        trust = ssl.create_default_context(cadata=self.ca)
        trust.check_hostname = False
        return call(method, self.url + path, body, headers, context=trust)

    def service(self, host: str) -> dict[str, Any]:
        found: dict[str, Any] = self.api("GET", f"/v1/objects/services/{host}!{self.check}")
        attributes: dict[str, Any] = found["results"][0]["attrs"]
        return attributes

    def act(self, action: str, host: str, **body: Any) -> Any:
        name = f"{host}!{self.check}"
        asked = {"type": "Service", "filter": "service.__name == n", "filter_vars": {"n": name}, **body}
        return self.api("POST", f"/v1/actions/{action}", asked)

    def _places(self) -> list[str]:
        names = {"ConfigDir": "etc", "DataDir": "lib", "LogDir": "log", "InitRunDir": "run", "CacheDir": "cache",
                 "SpoolDir": "spool"}  # fmt: skip
        found = [f"-D{name}={self.home}/{place}" for name, place in names.items()]
        if os.geteuid() != 0:
            me = pwd.getpwuid(os.geteuid())
            found += [f"-DRunAsUser={me.pw_name}", f"-DRunAsGroup={me.pw_name}"]
        return found

    def _icinga(self, *words: str) -> None:
        done = subprocess.run(
            ["icinga2", *words, *self._places()],
            capture_output=True,
            text=True,
            check=False,
            env={**os.environ, "HOME": str(self.home)},
        )
        assert done.returncode == 0, done.stdout + done.stderr


@contextlib.contextmanager
def running(system: System) -> Iterator[None]:
    """Start a system and stop it at the end, whatever happens."""
    try:
        system.start()  # type: ignore[attr-defined]
        yield
    finally:
        system.stop()


def _text(seconds: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))
