"""The shipped script: what it tells, what it shows, what it passes on, and what it refuses."""

import json
import os
import socket
import ssl
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from isthmus.connectors.kit.conformance import certificates
from isthmus.connectors.nagios import isthmus_nagios as agent

FOLDER = Path(__file__).parents[1]
SECRET = "a-shared-secret"
RECORDED = (FOLDER / "fixtures" / "status" / "problem_acknowledged_in_downtime__4.4.dat").read_text()
CREATED = int(next(held["created"] for name, held in agent.blocks(RECORDED) if name == "info"))
PROBLEM = {"do": "acknowledge", "host": "web-01", "check": "Queue depth", "author": "Ada", "comment": "mine"}


def test_a_recorded_status_shows_the_problem_who_has_it_and_its_downtime():
    found = agent.standing(RECORDED, CREATED + 5)
    (problem,) = found["objects"]
    assert (problem["name"], problem["state"], problem["firing"]) == (
        "web-01.example.test;Queue depth",
        2,
        True,
    )
    assert (problem["acknowledged"], problem["downtime_depth"]) == (True, 1)
    assert [each["author"] for each in found["comments"] if each["acknowledges"]] == ["Ada"]
    assert [each["name"] for each in found["downtimes"]] == ["web-01.example.test;Queue depth"]
    assert found["version"] == "4.4.6"


def test_what_is_fine_is_shown_only_when_it_is_asked_for():
    assert len(agent.standing(RECORDED, CREATED, ["web-01.example.test"])["objects"]) == 2


def test_a_status_that_nobody_writes_any_more_is_no_answer():
    with pytest.raises(agent.RefusedError) as caught:
        agent.standing(RECORDED, CREATED + 301)
    assert caught.value.status == 503


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        (PROBLEM, "ACKNOWLEDGE_SVC_PROBLEM;web-01;Queue depth;2;0;0;Ada;mine"),
        ({**PROBLEM, "check": ""}, "ACKNOWLEDGE_HOST_PROBLEM;web-01;2;0;0;Ada;mine"),
        (
            {**PROBLEM, "sticky": False, "notify": True},
            "ACKNOWLEDGE_SVC_PROBLEM;web-01;Queue depth;1;1;0;Ada;mine",
        ),
        ({**PROBLEM, "do": "unacknowledge"}, "REMOVE_SVC_ACKNOWLEDGEMENT;web-01;Queue depth"),
        ({**PROBLEM, "do": "comment"}, "ADD_SVC_COMMENT;web-01;Queue depth;1;Ada;mine"),
        (
            {**PROBLEM, "do": "downtime", "start": 100, "end": 160},
            "SCHEDULE_SVC_DOWNTIME;web-01;Queue depth;100;160;1;0;60;Ada;mine",
        ),
        ({"do": "remove_downtime", "id": 7, "check": True}, "DEL_SVC_DOWNTIME;7"),
        ({"do": "remove_downtime", "id": 7}, "DEL_HOST_DOWNTIME;7"),
        # A semicolon begins the next argument and a line break the next command: texts lose both.
        (
            {**PROBLEM, "author": "A;1", "comment": "x\n[1] SHUTDOWN_PROGRAM"},
            "ACKNOWLEDGE_SVC_PROBLEM;web-01;Queue depth;2;0;0;A,1;x [1] SHUTDOWN_PROGRAM",
        ),
    ],
)
def test_what_is_asked_becomes_one_external_command(asked, expected):
    assert agent.command(asked) == expected


@pytest.mark.parametrize(
    "asked",
    [
        {},
        {"do": "SHUTDOWN_PROGRAM", "host": "web-01"},
        {**PROBLEM, "host": ""},
        {**PROBLEM, "host": "web;01"},
        {**PROBLEM, "check": "a\n[1] SHUTDOWN_PROGRAM"},
        {**PROBLEM, "host": "h" * 300},
        {**PROBLEM, "do": "downtime"},
        {**PROBLEM, "do": "downtime", "start": 160, "end": 100},
    ],
)
def test_everything_else_is_refused(asked):
    with pytest.raises(agent.RefusedError) as caught:
        agent.command(asked)
    assert caught.value.status == 422


def test_a_pipe_that_nobody_reads_is_said_and_a_command_is_written_in_one_piece(tmp_path):
    pipe = tmp_path / "nagios.cmd"
    with pytest.raises(agent.RefusedError) as caught:
        agent.pass_on(str(pipe), "X", 1)
    assert caught.value.status == 503
    os.mkfifo(pipe)
    with pytest.raises(agent.RefusedError):
        agent.pass_on(str(pipe), "X", 1)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    try:
        agent.pass_on(str(pipe), "REMOVE_HOST_ACKNOWLEDGEMENT;web-01", 1_795_000_000)
        assert os.read(reader, 999) == b"[1795000000] REMOVE_HOST_ACKNOWLEDGEMENT;web-01\n"
        with pytest.raises(agent.RefusedError) as long:
            agent.pass_on(str(pipe), "x" * 5_000, 1)
        assert long.value.status == 413
    finally:
        os.close(reader)


def headers(body, *, secret=SECRET, at=None):
    moment = str(int(time.time() if at is None else at))
    return {"x-isthmus-timestamp": moment, "x-isthmus-signature": agent.signature(secret, moment, body)}


def test_only_signed_fresh_and_new_requests_enter():
    gate = agent.Gatekeeper([SECRET, "the one before"], clock=lambda: 1_000_000.0)
    gate.check(headers(b"{}", at=1_000_000), b"{}")
    gate.check(headers(b"{}", at=1_000_000, secret="the one before"), b"{}")
    wrong = [
        ({}, b"{}"),
        (headers(b"{}", at=1_000_000), b"{}"),  # heard before
        (headers(b"{}", at=999_000), b"{}"),
        (headers(b"{}", at=1_001_000), b"{}"),
        (headers(b"[]", at=1_000_000), b"{}"),
        (headers(b"{}", at=1_000_000, secret="another"), b"{}"),
        ({**headers(b"{}", at=1_000_000), "x-isthmus-timestamp": "soon"}, b"{}"),
    ]
    for given, body in wrong:
        with pytest.raises(agent.RefusedError) as caught:
            gate.check(given, body)
        assert caught.value.status == 401
    with pytest.raises(agent.RefusedError) as none:
        agent.Gatekeeper([]).check(headers(b"{}"), b"{}")
    assert none.value.status == 403


@pytest.fixture
def served(tmp_path):
    (tmp_path / "secret").write_text(f"{SECRET}\n")
    now = int(time.time())
    (tmp_path / "status.dat").write_text(RECORDED.replace(f"created={CREATED}", f"created={now}"))
    os.mkfifo(tmp_path / "nagios.cmd")
    reader = os.open(tmp_path / "nagios.cmd", os.O_RDONLY | os.O_NONBLOCK)
    config = {
        "secret_file": str(tmp_path / "secret"), "status_file": str(tmp_path / "status.dat"),
        "command_file": str(tmp_path / "nagios.cmd"), "listen": "127.0.0.1:0",
    }  # fmt: skip
    server = agent.serve(config)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}", reader
    server.shutdown()
    server.server_close()
    os.close(reader)


def asked(url, path, body, *, trust=None, **how):
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    request = urllib.request.Request(url + path, data=raw, method="POST", headers=headers(raw, **how))  # noqa: S310 - our own server
    try:
        with urllib.request.urlopen(request, timeout=10, context=trust) as answer:  # noqa: S310
            return answer.status, json.loads(answer.read())
    except urllib.error.HTTPError as refusal:
        return refusal.code, json.loads(refusal.read())


def test_the_agent_shows_and_passes_on_and_refuses_over_http(served):
    url, pipe = served
    status, shown = asked(url, "/v1/status", {})
    assert (status, len(shown["objects"])) == (200, 1)
    assert asked(url, "/v1/commands", PROBLEM)[0] == 202
    assert os.read(pipe, 999).endswith(b"] ACKNOWLEDGE_SVC_PROBLEM;web-01;Queue depth;2;0;0;Ada;mine\n")
    for path, body, expected in (
        ("/v1/commands", {"do": "SHUTDOWN_PROGRAM"}, 422),
        ("/v1/commands", b"{", 422),
        ("/v1/commands", b"[]", 422),
        ("/v1/elsewhere", {"n": 1}, 404),
    ):
        assert asked(url, path, body)[0] == expected, path
    assert asked(url, "/v1/status", {"n": 2}, secret="guessed")[0] == 401


def test_who_connects_and_says_nothing_holds_up_nobody(served, tmp_path):
    certificate, key = certificates.written(tmp_path, "agent", certificates.made("agent"))
    tls = agent.serve(
        {
            "secret_file": str(tmp_path / "secret"), "status_file": str(tmp_path / "status.dat"), "listen": "127.0.0.1:0",
            "certificate": certificate, "key": key,
        }
    )  # fmt: skip
    threading.Thread(target=tls.serve_forever, daemon=True).start()
    trust = ssl.create_default_context(cafile=certificate)
    with socket.create_connection(tls.server_address):
        assert asked(f"https://127.0.0.1:{tls.server_address[1]}", "/v1/status", {}, trust=trust)[0] == 200
    tls.shutdown()
    tls.server_close()


def run(directory, hub, *macros, environment=None):
    (directory / "secret").write_text(SECRET)
    (directory / "isthmus.json").write_text(
        json.dumps({"hub": hub, "secret_file": str(directory / "secret")})
    )
    return subprocess.run(
        [sys.executable, str(FOLDER / "isthmus_nagios.py"), "notify", "--config", str(directory / "isthmus.json"), *macros],
        env={**(environment or {}), "PATH": os.environ["PATH"]}, capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip


def test_the_script_sends_what_the_hub_lets_in_and_tries_again_while_it_is_away(tmp_path):
    from isthmus.connectors.kit import registry
    from isthmus.kernel.instant import Instant

    taken, answers = [], [503, 202]

    class Hub(BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"]))
            taken.append(({name.lower(): value for name, value in self.headers.items()}, body))
            self.send_response(answers.pop(0))
            self.end_headers()

        def log_message(self, *_):
            return

    hub = ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    threading.Thread(target=hub.serve_forever, daemon=True).start()
    macros = {
        "NAGIOS_NOTIFICATIONTYPE": "PROBLEM", "NAGIOS_HOSTNAME": "web-01", "NAGIOS_SERVICEDESC": "Queue; größe",
        "NAGIOS_SERVICESTATE": "CRITICAL", "NAGIOS_SERVICESTATETYPE": "HARD", "NAGIOS_TIMET": "1795188198",
        "NAGIOS_LASTSERVICESTATECHANGE": "1795188190",
    }  # fmt: skip
    done = run(tmp_path, f"http://127.0.0.1:{hub.server_address[1]}/ingest/nagios/n", environment=macros)
    hub.shutdown()
    hub.server_close()
    assert done.returncode == 0, done.stderr
    assert len(taken) == 2
    installed = registry.at(FOLDER)
    here = installed.context("nagios", {"secret": {"secret": "env:S"}}, secrets={"secret": SECRET})
    given, body = taken[-1]
    assert installed.connector.source.authenticate(given, body, here, Instant(time.time_ns() // 1000)) is None
    (found,) = installed.connector.source.parse(body, given, here)
    assert found.values["severity"] == "critical"
    assert found.event_id.endswith(":1795188190000000:2")
    assert SECRET not in body.decode()


def test_the_script_says_when_it_was_given_no_macros(tmp_path):
    done = run(tmp_path, "http://127.0.0.1:9/")
    assert done.returncode == 2
    assert "enable_environment_macros" in done.stderr
