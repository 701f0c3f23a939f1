"""Running the child: a private directory, a bare environment, a time limit, and nothing left behind."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import msgspec
import structlog

from isthmus.kernel.errors import Rejected
from isthmus.practices.monitoring.backtest import comparing
from isthmus.practices.monitoring.backtest.shapes import Handover, Side

_log = structlog.get_logger(__name__)

MODULE: Final = "isthmus.practices.monitoring.backtest"
START_SECONDS: Final = 90
PASSED_ON: Final = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "PYTHONPATH", "VIRTUAL_ENV", "SYSTEMROOT")
"""Of the environment, what Python needs: no setting, no secret, no database reaches the child."""

Told = Callable[[str, float], None]


class Failed(Rejected):
    """The child could not finish; the text says why."""


def folder_of(name: str) -> Path:
    """Return the private directory of a run, so that what a killed process left can be removed later."""
    return Path(tempfile.gettempdir()) / f"isthmus-backtest-{name}"


def run(given: Handover, told: Told, *, name: str) -> dict[str, Any]:
    """Replay both sides in a child process and return the difference, with what both were."""
    folder = folder_of(name)
    folder.mkdir(mode=0o700)
    try:
        handover = folder / "handover"
        handover.touch(mode=0o600)
        handover.write_bytes(msgspec.msgpack.encode(given))
        found = _child(folder, given, told)
        in_force, candidate = (msgspec.convert(found[name], Side) for name in ("in_force", "candidate"))
        return {**comparing.compare(in_force, candidate), "notes": given.notes}
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _child(folder: Path, given: Handover, told: Told) -> dict[str, Any]:
    environment = {name: os.environ[name] for name in PASSED_ON if name in os.environ}
    environment |= {
        "ISTHMUS_DATA_DIR": str(folder / "data"),
        "DJANGO_SETTINGS_MODULE": "isthmus.django_settings",
    }
    with (folder / "errors").open("wb") as errors:
        child = subprocess.Popen(
            [sys.executable, "-m", MODULE, str(folder)],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=errors, cwd=folder, env=environment,
            start_new_session=True,
        )  # fmt: skip
    late = threading.Timer(2 * given.seconds_max + START_SECONDS, _end, [child])
    late.daemon = True
    late.start()
    try:
        return _listen(child, folder, told)
    finally:
        late.cancel()
        _end(child)
        child.wait()
        if child.stdout is not None:
            child.stdout.close()


def _listen(child: subprocess.Popen[bytes], folder: Path, told: Told) -> dict[str, Any]:
    failed = Failed("The back-test was ended: it took too long or its process was stopped.",
                    remedy="Choose a shorter window.")  # fmt: skip
    for line in child.stdout or ():
        try:
            said = msgspec.json.decode(line)
        except msgspec.DecodeError:
            continue
        if "result" in said:
            found: dict[str, Any] = said["result"]
            return found
        if "failed" in said:
            failed = Failed(said["failed"], remedy=said["remedy"])
        elif "stage" in said:
            told(said["stage"], float(said["share"]))
    _log.error("backtest_failed", said=(folder / "errors").read_bytes()[-4_000:].decode("utf-8", "replace"))
    raise failed


def _end(child: subprocess.Popen[bytes]) -> None:
    """End the child and the replay that it forked, also where the child itself is dead: they are one process group.

    Until somebody has waited for the child, its number is nobody else's.
    """
    if child.returncode is None:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(child.pid, 9)
