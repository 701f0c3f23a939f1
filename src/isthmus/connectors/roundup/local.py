"""A real Roundup tracker on a free loopback port: the peer of tests and of the demonstration.

Nothing is imitated: the classic template is installed with `roundup-admin` and served by Roundup's own
WSGI application in a child process, one write at a time. (`roundup-server` refuses to run as root, as containers do; the WSGI
application is Roundup's documented way behind a web server and has no such rule.)

By hand: `python -m isthmus.connectors.roundup.local serve --directory DIR [--port N]`, then
`… edit --url URL --issue 1 status=resolved` or `… comment --url URL --issue 1 TEXT` act as a person.
"""

from __future__ import annotations

import argparse
import atexit
import functools
import os
import shutil
import socket
import socketserver
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Self
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from isthmus.connectors.roundup.person import Person

ADMINISTRATOR = "admin"
ADMINISTRATOR_PASSWORD = "tracker-admin-1"  # noqa: S105 - a throw-away tracker on the loopback interface
HUB_USER = "isthmus"
PERSON = "grace"
START_SECONDS_MAX = 30.0


class LocalTracker:
    """A running tracker. `url` has no trailing slash; use it as a context manager or call `stop`.

    Two ordinary users exist: `isthmus` for the hub and `grace` for a person, both with `password`.
    """

    default_password = ADMINISTRATOR_PASSWORD

    def __init__(self, directory: Path, port: int, process: subprocess.Popen[bytes], *, owned: bool) -> None:
        self.directory = directory
        self.url = f"http://127.0.0.1:{port}"
        self.user = HUB_USER
        self.password = ADMINISTRATOR_PASSWORD
        self._process = process
        self._owned = owned

    @classmethod
    def start(cls, directory: Path | None = None, port: int = 0) -> Self:
        """Install the tracker unless `directory` already holds one, serve it, wait until it answers."""
        owned = directory is None
        home = directory or Path(tempfile.mkdtemp(prefix="isthmus-roundup-"))
        port = port or _free_port()
        fresh = not (home / "tracker" / "config.ini").exists()
        if fresh:
            # Only the address differs between trackers: the template is initialised once per process.
            shutil.copytree(_template(), home / "tracker")
        _listen_at(home / "tracker", port)
        with (home / "server.log").open("ab") as log:
            process = subprocess.Popen(_command(home / "tracker", port), stdout=log, stderr=log)
        tracker = cls(home, port, process, owned=owned)
        try:
            tracker._wait()
            if fresh:
                tracker._add_users()
        except BaseException:
            tracker.stop()
            raise
        return tracker

    def person(self, name: str = PERSON) -> Person:
        """Return somebody who works in the tracker (`grace`, `isthmus` or `admin`)."""
        return Person(url=self.url, name=name, password=self.password)

    def stop(self) -> None:
        """Stop the server; remove the directory if it was made for this run. Idempotent."""
        if self._process.poll() is None:
            self._process.terminate()
            try:
                self._process.wait(timeout=5)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait(timeout=5)
        if self._owned:
            shutil.rmtree(self.directory, ignore_errors=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.stop()

    def _wait(self) -> None:
        deadline = time.monotonic() + START_SECONDS_MAX
        while time.monotonic() < deadline:
            if self._process.poll() is not None:
                break
            try:
                self.person(ADMINISTRATOR).get("status")
            except (urllib.error.URLError, ConnectionError, TimeoutError):
                time.sleep(0.05)
            else:
                return
        tail = (self.directory / "server.log").read_text(errors="replace")[-800:]
        raise RuntimeError(f"The local Roundup tracker did not start. Its log ends: {tail}")

    def _add_users(self) -> None:
        administrator = self.person(ADMINISTRATOR)
        for name in (HUB_USER, PERSON):
            administrator.create(
                "user", username=name, password=self.password, address=f"{name}@example.test", roles="User"
            )


@functools.cache
def _template() -> Path:
    """Install and initialise the classic template with SQLite; mail goes nowhere."""
    home = Path(tempfile.mkdtemp(prefix="isthmus-roundup-template-"))
    atexit.register(shutil.rmtree, home, ignore_errors=True)
    tracker = home / "tracker"
    settings = (
        "tracker_web=http://127.0.0.1:1/,mail_domain=example.test,mail_host=127.0.0.1,"
        f"mail_debug={os.devnull},"
        # Each call signs in by basic authentication: the cost of guessing passwords is not what we test.
        "password_pbkdf2_default_rounds=1000"
    )
    _admin(tracker, "install", "classic", "sqlite", settings)
    _admin(tracker, "initialise", ADMINISTRATOR_PASSWORD)
    return tracker


def _admin(tracker: Path, *arguments: str) -> None:
    code = "import sys; from roundup.scripts.roundup_admin import run; sys.exit(run())"
    done = subprocess.run(
        [sys.executable, "-c", code, "-i", str(tracker), *arguments],
        capture_output=True,
        timeout=60,
        check=False,
        env={**os.environ, "TRACKER_HOME": str(tracker)},
    )
    if done.returncode:
        raise RuntimeError(
            f"roundup-admin {arguments[0]} failed: {(done.stderr or done.stdout).decode(errors='replace')[:400]}"
        )


def _listen_at(tracker: Path, port: int) -> None:
    """Write the port into the tracker's own idea of its address: REST checks Origin and Referer against it."""
    path = tracker / "config.ini"
    lines = path.read_text().splitlines()
    address = f"web = http://127.0.0.1:{port}/"
    path.write_text("\n".join(address if each.startswith("web =") else each for each in lines) + "\n")


def _command(tracker: Path, port: int) -> list[str]:
    module = "isthmus.connectors.roundup.local"
    return [sys.executable, "-m", module, "_serve", str(tracker), str(port), str(os.getpid())]


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class _Server(socketserver.ThreadingMixIn, WSGIServer):
    daemon_threads = True
    request_queue_size = 64


class _Quiet(WSGIRequestHandler):
    def log_message(self, *_: object) -> None:
        """Say nothing per request: the log is for failures."""


def _end_with(parent: int) -> None:
    """End this process when its parent is gone: a killed test leaves no tracker behind."""
    while os.getppid() == parent:
        time.sleep(1)
    os._exit(0)


def _one_writer(application: Callable[..., Iterable[bytes]]) -> Callable[..., Iterable[bytes]]:
    """Let one write happen at a time: Roundup compares the ETag and writes in two steps, and of two writes on the same
    ETag at the same moment it accepts both. A tracker of one process and one thread does not."""
    writing = threading.Lock()

    def call(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        if environ["REQUEST_METHOD"] in {"GET", "HEAD", "OPTIONS"}:
            return application(environ, start_response)
        with writing:
            return list(application(environ, start_response))

    return call


def _serve(tracker: str, port: int, parent: int) -> None:
    threading.Thread(target=_end_with, args=(parent,), daemon=True).start()
    from roundup.cgi.wsgi_handler import RequestDispatcher  # type: ignore[import-untyped]

    application = _one_writer(RequestDispatcher(tracker))
    make_server("127.0.0.1", port, application, server_class=_Server, handler_class=_Quiet).serve_forever()


def main(arguments: list[str]) -> int:
    """Run one of `serve`, `edit`, `comment` from the command line; return the exit code."""
    if arguments[:1] == ["_serve"]:
        _serve(arguments[1], int(arguments[2]), int(arguments[3]))
        return 0
    parser = argparse.ArgumentParser(prog="isthmus.connectors.roundup.local")
    verbs = parser.add_subparsers(dest="verb", required=True)
    serve = verbs.add_parser("serve")
    serve.add_argument("--directory", type=Path)
    serve.add_argument("--port", type=int, default=0)
    for verb in ("edit", "comment"):
        act = verbs.add_parser(verb)
        act.add_argument("--url", required=True)
        act.add_argument("--issue", required=True)
        act.add_argument("values", nargs="+")
    asked = parser.parse_args(arguments)
    if asked.verb == "serve":
        with LocalTracker.start(asked.directory, asked.port) as tracker:
            sys.stdout.write(f"{tracker.url} (users {HUB_USER}, {PERSON}; password {tracker.password})\n")
            sys.stdout.flush()
            tracker._process.wait()  # noqa: SLF001 - the same module
        return 0
    person = Person(url=asked.url, name=PERSON, password=ADMINISTRATOR_PASSWORD)
    if asked.verb == "edit":
        person.edit(asked.issue, **dict(each.split("=", 1) for each in asked.values))
    else:
        person.comment(asked.issue, " ".join(asked.values))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
