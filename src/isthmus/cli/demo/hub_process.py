"""The hub of the demonstration: `isthmus serve` as a process of its own, which may be killed and started again."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Sequence
from pathlib import Path

START_SECONDS_MAX = 60.0
PROGRAM = ("-m", "isthmus.cli.main")


class HubProcess:
    """One `isthmus serve` on a data directory and a fixed port. `program`: what Python runs as the command line."""

    def __init__(self, data_dir: Path, port: int, *, program: Sequence[str] = PROGRAM) -> None:
        self.data_dir = data_dir
        self.port = port
        self._program = program
        self.url = f"http://127.0.0.1:{port}"
        self._process: subprocess.Popen[bytes] | None = None
        self.log = data_dir / "serve.log"

    def start(self) -> None:
        """Start and wait until it answers `/healthz`."""
        command = [sys.executable, *self._program, "serve", "--port", str(self.port)]
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                command,
                env={**os.environ, "ISTHMUS_DATA_DIR": str(self.data_dir)},
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        deadline = time.monotonic() + START_SECONDS_MAX
        while time.monotonic() < deadline:
            if self._process.poll() is not None:
                break
            try:
                with urllib.request.urlopen(f"{self.url}/healthz", timeout=2) as answer:  # noqa: S310 - our own loopback
                    if answer.status == 200:
                        return
            except (urllib.error.URLError, ConnectionError, TimeoutError):
                time.sleep(0.1)
        tail = self.log.read_text(errors="replace")[-2000:]
        raise RuntimeError(f"The hub did not start:\n{tail}")

    def kill(self) -> None:
        """`kill -9` of the whole process group: the supervisor and its processes at once."""
        if self._process is not None:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait(timeout=10)

    def stop(self) -> None:
        """End it the polite way."""
        if self._process is not None and self._process.poll() is None:
            self._process.terminate()
            try:
                self._process.wait(timeout=25)
            except subprocess.TimeoutExpired:
                self.kill()

    def running(self) -> bool:
        """Return whether the process lives and answers."""
        return self._process is not None and self._process.poll() is None

    def healthy(self) -> dict[str, object]:
        """Return what `/healthz` says."""
        with urllib.request.urlopen(f"{self.url}/healthz", timeout=5) as answer:  # noqa: S310 - our own loopback
            return dict(json.loads(answer.read()))
