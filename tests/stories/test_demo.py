"""The demonstration, without a terminal: the same story, asserted, as a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest


@pytest.mark.skipif(
    os.environ.get("ISTHMUS_TEST_STORE", "sqlite") != "sqlite", reason="the demo runs on the embedded store"
)
def test_the_main_job_is_told_to_its_end(tmp_path):
    base = {
        name: value for name, value in os.environ.items() if not name.startswith(("ISTHMUS_", "DATABASE_URL"))
    }
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "isthmus.cli.main",
            "demo",
            "--directory",
            str(tmp_path / "demo"),
            "--port",
            "0",
            "--no-keep",
        ],
        env=base,
        capture_output=True,
        text=True,
        check=False,
        timeout=280,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "checks held" in done.stdout
    assert all(f"{row:>2}. " in done.stdout for row in range(1, 11)), "each of the ten rows is told"
