"""An installation for the command line, and commands as a script runs them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest


def isthmus(*arguments: str, data_dir: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    base = {
        name: value for name, value in os.environ.items() if not name.startswith(("ISTHMUS_", "DATABASE_URL"))
    }
    return subprocess.run(
        [sys.executable, "-m", "isthmus.cli.main", *arguments],
        env={**base, "ISTHMUS_DATA_DIR": str(data_dir), **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


@pytest.fixture(scope="module")
def installation(tmp_path_factory) -> Path:
    """A data directory and a starter blueprint made by `isthmus init`."""
    home = tmp_path_factory.mktemp("installation")
    done = isthmus("init", str(home / "blueprint"), "--json", data_dir=home / "data")
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    assert said["administrator"] == "admin"
    assert len(said["password"]) >= 12
    return home
