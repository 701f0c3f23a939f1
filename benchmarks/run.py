"""`python -m benchmarks.run`: every benchmark in a process and a directory of its own, one table at the end."""

from __future__ import annotations

import argparse
import importlib
import json
import os
import platform
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from rich.console import Console

from benchmarks import figures, serving

NAMES = ("intake", "visible", "processing", "flow", "chain", "pages", "board", "streams", "idle", "clocks")
SECONDS_MAX = 900


def main(arguments: list[str] | None = None) -> int:
    """Run what is asked for; 0 if everything ran, whether targets were met or not, 1 if something failed."""
    parser = argparse.ArgumentParser(prog="benchmarks.run", description=main.__doc__)
    parser.add_argument("--quick", action="store_true", help="a short run: small book, few seconds each")
    parser.add_argument("--only", action="append", choices=NAMES, help="run only this one; may be repeated")
    parser.add_argument("--json", metavar="FILE", type=Path, help="also write the figures as JSON")
    parser.add_argument("--seconds", type=float, help="length of the sustained run (default 120)")
    parser.add_argument(
        "--book-megabytes", type=int, help="size that the sustained run grows to (default 2000)"
    )
    parser.add_argument("--inside", help=argparse.SUPPRESS)
    parser.add_argument(
        "--directory", type=Path, help="where throw-away data goes (default: a temporary one)"
    )
    chosen = parser.parse_args(arguments)
    scale = _scale(chosen)
    if chosen.inside:
        module = importlib.import_module(f"benchmarks.{chosen.inside}")
        found = module.run(scale, chosen.directory)
        print(json.dumps([each.as_dict() for each in found]))
        return 0
    return _outside(chosen, scale)


def _scale(chosen: argparse.Namespace) -> figures.Scale:
    from dataclasses import replace

    scale = figures.QUICK if chosen.quick else figures.FULL
    if chosen.seconds is not None:
        scale = replace(scale, sustained_seconds=chosen.seconds)
    if chosen.book_megabytes is not None:
        scale = replace(scale, book_bytes=chosen.book_megabytes * 1_000_000)
    return scale


def _outside(chosen: argparse.Namespace, scale: figures.Scale) -> int:
    console = Console(width=max(Console().width, 150))
    console.print(
        f"{scale.name} run on {serving.cpu_count()} cores, {platform.platform()}, Python {platform.python_version()}"
    )
    base = chosen.directory or Path(tempfile.mkdtemp(prefix="isthmus-bench-"))
    rows: list[dict[str, Any]] = []
    failed = False
    for name in chosen.only or NAMES:
        directory = base / name
        shutil.rmtree(directory, ignore_errors=True)
        directory.mkdir(parents=True)
        since = time.monotonic()
        console.print(f"{name} ...", end=" ")
        found = _one(chosen, scale, name, directory)
        failed = failed or found is None
        rows += found or []
        console.print(
            f"{'failed' if found is None else 'done'}, {time.monotonic() - since:.0f} s, load {os.getloadavg()[0]:.1f}"
        )
        if found is not None:
            shutil.rmtree(directory, ignore_errors=True)
    figures.show(rows, console)
    short = [each["name"] for each in rows if each["met"] is False]
    if short:
        console.print(
            f"{len(short)} SHORT; benchmarks/README.md, “What is short and why”, names the profiles."
        )
    if chosen.json:
        chosen.json.write_text(json.dumps(rows, indent=1) + "\n")
    if chosen.directory is None and not failed:
        shutil.rmtree(base, ignore_errors=True)
    return int(failed)


def _one(
    chosen: argparse.Namespace, scale: figures.Scale, name: str, directory: Path
) -> list[dict[str, Any]] | None:
    command = [sys.executable, "-m", "benchmarks.run", "--inside", name, "--directory", str(directory)]
    command += ["--quick"] if chosen.quick else []
    command += [
        "--seconds",
        str(scale.sustained_seconds),
        "--book-megabytes",
        str(scale.book_bytes // 1_000_000),
    ]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("ISTHMUS_")}
    with (directory / "stderr.log").open("wb") as log:
        # A session of its own: what hangs is ended with everything that it started, and the others go on.
        running = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=log, env=environment, start_new_session=True
        )
        try:
            said, _ = running.communicate(timeout=SECONDS_MAX)
        except subprocess.TimeoutExpired:
            os.killpg(running.pid, signal.SIGKILL)
            said, _ = running.communicate()
            print(f"{name} did not end within {SECONDS_MAX} s", file=sys.stderr)
    if running.returncode:
        print((directory / "stderr.log").read_text(errors="replace")[-1500:], file=sys.stderr)
        return None
    return list(json.loads(said.splitlines()[-1]))


if __name__ == "__main__":
    sys.exit(main())
