"""Write the lock files: every version pinned with hashes, no index address.

`make lock` runs this with `uv` from a throw-away environment; the resolver is a tool of the maintainer,
not a dependency of the product.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path

HERE = Path(__file__).parent
BUILD = ["setuptools>=75"]


def compile_lock(requirements: list[str], target: Path, constraint: Path | None) -> None:
    """Resolve `requirements` into `target`; versions agree with `constraint` where both have a package."""
    with tempfile.TemporaryDirectory() as folder:
        wanted = Path(folder) / "wanted.in"
        wanted.write_text("\n".join(requirements) + "\n")
        command = [sys.executable, "-m", "uv", "pip", "compile", "--generate-hashes", "--no-emit-index-url"]
        command += [
            "--no-header",
            "--no-annotate",
            "--quiet",
            "--python-version",
            "3.11",
            str(wanted),
            "-o",
            str(target),
        ]
        if constraint is not None:
            pins = Path(folder) / "pins.txt"
            lines = constraint.read_text().splitlines()
            pins.write_text(
                "\n".join(line.rstrip(" \\") for line in lines if "==" in line and not line.startswith(" "))
            )
            command += ["-c", str(pins)]
        subprocess.run(command, check=True)


def main() -> None:
    """Lock the product (`run.lock`) and then everything for development (`dev.lock`)."""
    project = tomllib.loads((HERE.parent / "pyproject.toml").read_text())["project"]
    product = [*project["dependencies"], *BUILD]
    compile_lock(product, HERE / "run.lock", None)
    compile_lock([*product, *project["optional-dependencies"]["dev"]], HERE / "dev.lock", HERE / "run.lock")


if __name__ == "__main__":
    main()
