"""The hub as it is run: real processes on a real port, killed, stopped and watched."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Any

import psutil
import pytest
from django.db import connections as databases
from tests.hub.conftest import CONNECTORS, body

from isthmus.hub.models import IntakeOffset

pytestmark = pytest.mark.skipif(
    os.environ.get("ISTHMUS_TEST_STORE", "sqlite") != "sqlite",
    reason="a served hub is tested on the embedded store",
)

REACTIONS = """
from isthmus.hub import observing
from isthmus.kernel.record import Reason

def react(work, seens, now):
    for seen in seens:
        key = seen.observation.external.key
        work.journal(seen.organisation, f"item:{key}", {}, [Reason(rule="test", text="seen")])
    return [observing.outcome(seen, "entry") for seen in seens]

observing._reactions.clear()
observing._reactions["alert"] = react
"""
START = f"""
import sys, os
os.environ["DJANGO_SETTINGS_MODULE"] = "isthmus.django_settings"
import django
django.setup()
{REACTIONS}
from isthmus.hub.serve import supervisor
sys.exit(supervisor._run("127.0.0.1", int(sys.argv[1]), "both"))
"""


@dataclass
class Served:
    """A hub in processes of its own."""

    directory: Path
    start: Callable[[], subprocess.Popen[bytes]]
    process: subprocess.Popen[bytes]
    port: int

    def http(self, method: str, path: str, data: bytes = b"", **headers: str) -> Any:
        http = HTTPConnection("127.0.0.1", self.port, timeout=20)
        http.request(method, path, body=data, headers=headers)
        answer = http.getresponse()
        said = answer.read()
        http.close()
        return answer.status, said

    def post(self, data: bytes) -> int:
        return self.http(
            "POST",
            "/ingest/tiny/web",
            data,
            authorization="Bearer let-me-in",
            **{"content-type": "application/json"},
        )[0]

    def await_ready(self) -> None:
        until = time.monotonic() + 40
        while time.monotonic() < until:
            assert self.process.poll() is None, (
                self.process.stderr.read().decode() if self.process.stderr else ""
            )
            try:
                if self.http("GET", "/healthz")[0] == 200:
                    return
            except (OSError, HTTPException):
                pass
            time.sleep(0.1)
        raise AssertionError("The hub did not become ready.")

    def await_taken(self, messages: int) -> None:
        until = time.monotonic() + 30
        while time.monotonic() < until:
            databases.close_all()
            if IntakeOffset.objects.filter(connection="web", position__gte=messages).exists():
                return
            time.sleep(0.05)
        raise AssertionError(f"The pump did not take {messages} messages.")

    def pids(self) -> dict[str, int]:
        found: dict[str, int] = json.loads((self.directory / "run" / "processes.json").read_text())
        return found

    def children(self) -> list[psutil.Process]:
        return psutil.Process(self.process.pid).children(recursive=True)


@pytest.fixture
def served(hub: Any) -> Iterator[Served]:
    port = _free_port()
    environment = {
        **os.environ,
        "ISTHMUS_DATA_DIR": str(hub.book.directory),
        "ISTHMUS_CONNECTORS_DIR": str(CONNECTORS),
        "TINY_TOKEN": "let-me-in",
    }

    def start() -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [sys.executable, "-c", START, str(port)],
            env=environment,
            stderr=(hub.book.directory / "serve.log").open("ab"),
        )

    found = Served(hub.book.directory, start, start(), port)
    try:
        found.await_ready()
        yield found
    finally:
        if found.process.poll() is None:
            found.process.terminate()
            found.process.wait(30)


def _free_port() -> int:
    import socket

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def gone(processes: list[psutil.Process]) -> bool:
    return not psutil.wait_procs(processes, timeout=10)[1]


def test_a_message_sent_over_http_has_its_effect(hub, served):
    assert served.post(body({"key": "a"}, {"key": "b"})) == 202
    served.await_taken(1)
    assert hub.effects() == {"a": 1, "b": 1}
    assert served.http("GET", "/metrics")[1].count(b"isthmus_intake_accepted") >= 1
    note = json.loads((served.directory / "run" / "endpoint.json").read_text())
    assert note["pid"] == served.process.pid
    assert note["url"].endswith(str(served.port))


def test_everything_acknowledged_before_a_kill_is_there_after_the_restart_with_one_effect_each(hub, served):
    sent = []
    for number in range(60):
        assert served.post(body({"key": f"k{number}", "id": f"e{number}"})) == 202
        sent.append(f"k{number}")
    children = served.children()
    served.process.kill()
    served.process.wait()
    assert gone(children), "children of a killed supervisor end with it"
    assert hub.log.durable("web") == 60
    served.process = served.start()
    served.await_ready()
    assert served.post(body({"key": "k0", "id": "e0"})) == 202
    served.await_taken(61)
    assert hub.effects() == dict.fromkeys(sent, 1)


@pytest.mark.parametrize("role", ["front", "pump", "lanes", "keeper"])
def test_a_process_that_is_killed_comes_back_by_itself(hub, served, role):
    before = served.pids()
    os.kill(before[role], signal.SIGKILL)
    assert gone([each for each in psutil.process_iter() if each.pid == before[role]])
    until = time.monotonic() + 20
    while time.monotonic() < until and served.pids()[role] == before[role]:
        time.sleep(0.1)
    served.await_ready()
    assert {name for name, pid in served.pids().items() if pid != before[name]} == {role}
    assert served.post(body({"key": "after"})) == 202
    served.await_taken(1)
    assert hub.effects() == {"after": 1}


def test_processes_of_the_engine_that_hang_are_named(served):
    hung = [psutil.Process(served.pids()[role]) for role in ("pump", "keeper")]
    for each in hung:
        each.suspend()
    try:
        until = time.monotonic() + 45
        while time.monotonic() < until:
            status, said = served.http("GET", "/healthz")
            if status == 503 and len(json.loads(said)["late"]) == 2:
                break
            time.sleep(0.5)
    finally:
        for each in hung:
            each.resume()
    assert json.loads(said)["late"] == ["pump", "keeper"]
    served.await_ready()


def test_a_second_hub_on_the_same_directory_is_refused_and_the_first_goes_on(served):
    second = served.start()
    assert second.wait(30) == 1
    assert b"Another hub serves" in (served.directory / "serve.log").read_bytes()
    assert served.http("GET", "/healthz")[0] == 200


def test_it_stops_cleanly_when_asked(served):
    children = served.children()
    served.process.terminate()
    assert served.process.wait(30) == 0
    assert gone(children)
    left = {each.name for each in (served.directory / "run").iterdir()}
    assert left <= {"front.lock", "work.lock"}


def test_idle_it_needs_less_than_240_megabytes(served):
    time.sleep(3)
    processes = [psutil.Process(served.process.pid), *served.children()]
    proportional = sum(each.memory_full_info().pss for each in processes)
    print(f"{proportional / 1e6:.0f} MB")
    assert proportional < 240_000_000, f"{proportional / 1e6:.0f} MB"


@pytest.mark.skipif(shutil.which("strace") is None, reason="strace is not installed: apt-get install strace")
def test_the_log_is_synced_between_reading_a_message_and_saying_202(hub, served, tmp_path):
    front = served.pids()["front"]
    trace = tmp_path / "trace"
    calls = "trace=fdatasync,fsync,write,writev,sendto,sendmsg,read,recvfrom,openat"
    watching = subprocess.Popen(
        ["strace", "-f", "-y", "-s", "64", "-e", calls, "-o", str(trace), "-p", str(front)],
        stderr=subprocess.PIPE,
    )
    assert watching.stderr is not None
    line = watching.stderr.readline()
    if b"attached" not in line:
        pytest.skip(f"strace may not attach here: {line.decode().strip()}")
    for number in range(5):
        assert served.post(body({"key": f"k{number}"})) == 202
    watching.terminate()
    watching.wait(10)
    lines = trace.read_text().splitlines()
    reads = [at for at, each in enumerate(lines) if "POST /ingest/tiny/web" in each]
    answers = [at for at, each in enumerate(lines) if "HTTP/1.1 202" in each]
    syncs = list(completed_syncs(lines))
    assert len(reads) == len(answers) == 5
    for read, answered in zip(reads, answers, strict=True):
        assert any(
            read < begun < done < answered or read < begun == done < answered for begun, done in syncs
        ), f"no completed sync of the log between lines {read} and {answered}"


def completed_syncs(lines: list[str]) -> Iterator[tuple[int, int]]:
    """Yield (begun, done) line numbers of successful syncs of the connection's segment."""
    begun: dict[str, int] = {}
    for at, line in enumerate(lines):
        thread = line.split()[0]
        if re.search(r"fdatasync\(\d+<[^>]*/log/web/\d+\.seg>", line):
            begun[thread] = at
        if thread in begun and re.search(r"fdatasync(\(| resumed>).*= 0$", line):
            yield begun.pop(thread), at


def test_pages_and_the_api_answer_beside_the_intake(served):
    assert served.http("GET", "/accounts/login/", host="localhost")[0] == 200
    assert served.http("GET", "/api/v1/incidents", host="localhost")[0] == 401
    assert served.http("GET", "/live/forged")[0] == 401
    assert served.http("POST", "/gate/wait", b"{}")[0] == 401
