"""The child: `python -m isthmus.practices.monitoring.backtest DIRECTORY`, with its data directory inside DIRECTORY.

It reads `handover` there, tells its progress on standard output, one JSON object per line, and the two outcomes
last. It is started by `running`, which removes the directory whatever happens.
"""

from __future__ import annotations

import gc
import os
import resource
import shutil
import sys
import time
from pathlib import Path
from typing import Any, Final

import msgspec

FILE_BYTES_MAX: Final = 2_000_000_000
TOLD_SECONDS: Final = 0.5
SIDES: Final = ("in_force", "candidate")


def say(**said: Any) -> None:
    """Write one line for the parent."""
    os.write(1, msgspec.json.encode(said) + b"\n")


def main(folder: Path) -> int:
    """Replay both sides; return the exit code."""
    os.nice(10)
    resource.setrlimit(resource.RLIMIT_FSIZE, (FILE_BYTES_MAX, FILE_BYTES_MAX))
    # What was inherited points at no live store: the parent sets both, and this refuses anything else.
    if Path(os.environ.get("ISTHMUS_DATA_DIR", "")).parent != folder or os.environ.get(
        "ISTHMUS_DATABASE_URL"
    ):
        say(failed="The child was not given a directory of its own.", remedy="")
        return 2
    import django

    django.setup()
    from isthmus import logs
    from isthmus.ledger import scope
    from isthmus.practices.monitoring.backtest.shapes import Handover

    logs.configure("ERROR")
    given = msgspec.msgpack.decode((folder / "handover").read_bytes(), type=Handover)
    say(stage="preparing", share=0.0)
    with scope.everywhere("a scratch book holds one organisation"):
        return _replay_both(folder, given)


def _replay_both(folder: Path, given: Any) -> int:
    from django.db import connections

    from isthmus.ledger import keys
    from isthmus.practices.monitoring.backtest import scratch

    data, pristine = folder / "data", folder / "pristine"
    clock = scratch.Clock(given.since - 1)
    scratch.prepare(given, clock)
    connections.close_all()
    keys.ring().close()
    shutil.copytree(data, pristine)
    gc.freeze()
    for side in SIDES:
        if side != SIDES[0]:
            shutil.rmtree(data)
            shutil.copytree(pristine, data)
        # A process of its own for each side: nothing that one holds in memory can reach the other.
        child = os.fork()
        if child == 0:
            os._exit(_one(folder, given, side, clock))
        if os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) != 0:
            return 1
    sides = {side: msgspec.json.decode((folder / side).read_bytes()) for side in SIDES}
    say(result=sides)
    return 0


def _one(folder: Path, given: Any, side: str, clock: Any) -> int:
    from isthmus.kernel.errors import IsthmusError
    from isthmus.practices.monitoring.backtest import scratch
    from isthmus.practices.monitoring.backtest.replay import Replay

    told = [0.0]

    def tell(share: float) -> None:
        if time.monotonic() - told[0] > TOLD_SECONDS:
            told[0] = time.monotonic()
            say(stage=side, share=share)

    try:
        scratch.hurry()
        scratch.put_in_force(given.organisation, getattr(given, side))
        found = Replay(given, clock, tell).run()
    except IsthmusError as fault:
        say(failed=fault.text, remedy=fault.remedy)
        return 1
    except Exception as fault:  # noqa: BLE001 - whatever it is, the parent is told
        import traceback

        traceback.print_exc()
        say(
            failed=f"The replay failed ({type(fault).__name__}).", remedy="Give the hub's log to an operator."
        )
        return 1
    (folder / side).write_bytes(msgspec.json.encode(found))
    return 0


if __name__ == "__main__":
    try:
        code = main(Path(sys.argv[1]))
    except BrokenPipeError:
        # Whoever asked is gone, and nobody else would remove what was copied.
        shutil.rmtree(sys.argv[1], ignore_errors=True)
        code = 1
    sys.exit(code)
