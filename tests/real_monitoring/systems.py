"""Real systems on free ports of this machine, each in a directory of its own: Prometheus with Alertmanager, Nagios 4,
Icinga 2 and Dovecot, as Debian packages them. Each is started, told to break and to mend, and stopped."""

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
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

T = TypeVar("T")
PROGRAMS = {
    "prometheus": ("prometheus", "prometheus-alertmanager"),
    "icinga2": ("icinga2",),
    "nagios4": ("nagios4",),
    "dovecot": ("dovecot", "doveadm"),
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


@contextlib.contextmanager
def running(system: System) -> Iterator[None]:
    """Start a system and stop it at the end, whatever happens."""
    try:
        system.start()  # type: ignore[attr-defined]
        yield
    finally:
        system.stop()
