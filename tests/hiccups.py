"""Run a command while its processes stand still now and then, as on a host that pauses: `hiccups.py command …`.

A test that only fails here depends on how fast its machine is. What a test has stopped itself stays stopped.
"""

from __future__ import annotations

import random
import subprocess
import sys
import time

import psutil

EVERY_SECONDS, PAUSE_SECONDS = (5.0, 11.0), (0.6, 1.8)


def running(command: subprocess.Popen[bytes]) -> list[psutil.Process]:
    """Return the command's processes that are not stopped already."""
    try:
        found = psutil.Process(command.pid).children(recursive=True)
        return [each for each in found if each.status() != psutil.STATUS_STOPPED]
    except psutil.NoSuchProcess:
        return []


def signalled(processes: list[psutil.Process], *, stop: bool) -> None:
    """Stop these processes, or let them go on; some may have ended meanwhile."""
    for each in processes:
        try:
            each.suspend() if stop else each.resume()
        except psutil.NoSuchProcess:
            continue


def main() -> int:
    """Run the command of the arguments to its end, pausing it, and return its exit code."""
    pauses = 0
    with subprocess.Popen(sys.argv[1:]) as command:
        while command.poll() is None:
            try:
                command.wait(random.uniform(*EVERY_SECONDS))
            except subprocess.TimeoutExpired:
                paused = running(command)
                try:
                    signalled(paused, stop=True)
                    time.sleep(random.uniform(*PAUSE_SECONDS))
                finally:
                    signalled(paused, stop=False)
                pauses += 1
    print(f"{pauses} pauses")
    return command.returncode


if __name__ == "__main__":
    sys.exit(main())
