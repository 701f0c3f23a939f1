"""`kill -9` keeps the page cache; power cuts do not. What must be on the disk before a partner hears of it."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.chaos.installation import Installation

pytestmark = [
    pytest.mark.chaos,
    pytest.mark.skipif(
        os.environ.get("ISTHMUS_TEST_STORE", "sqlite") != "sqlite", reason="SQLite's log is what is watched"
    ),
    pytest.mark.skipif(
        shutil.which("strace") is None, reason="strace is not installed: apt-get install strace"
    ),
]
CALLS = "trace=fdatasync,fsync,pwrite64,write,writev,sendto,sendmsg"
PAGE_BYTES = 4_200


def test_the_intent_is_on_the_disk_before_the_first_request_leaves(
    found_town: Callable[..., Installation], tmp_path: Path
) -> None:
    town, trace = found_town("snow"), tmp_path / "trace"
    watching = subprocess.Popen(
        [
            "strace",
            "-f",
            "-y",
            "-s",
            str(PAGE_BYTES),
            "-e",
            CALLS,
            "-o",
            str(trace),
            "-p",
            str(town.pids()["lanes"]),
        ],
        stderr=subprocess.PIPE,
    )
    assert watching.stderr is not None
    line = watching.stderr.readline()
    if b"attached" not in line:
        pytest.skip(f"strace may not attach here: {line.decode().strip()}")
    links = []
    for number in range(3):
        made = town.call(
            "POST", "/incidents", {"title": f"Till {number} is down", "impact": "3", "urgency": "2"}
        )
        links.append(_linked(town, made.body["id"]))
    watching.terminate()
    watching.wait(20)
    lines = trace.read_text(errors="replace").splitlines()
    sends = [at for at, each in enumerate(lines) if "POST /api/now/table/incident" in each]
    assert len(sends) == len(links) == 3
    for link, sent in zip(links, sends, strict=True):
        intents = [
            at
            for at, each in enumerate(lines[:sent])
            if "book.sqlite-wal>" in each and link in each and "sent" in each
        ]
        assert intents, f"the intent of {link} was not written before its request left"
        assert _synced(lines, intents[-1], sent), (
            f"the intent of {link} was not synced before its request left"
        )


def _linked(town: Installation, incident: str) -> str:
    """Wait until the ticket is there; return the id of its link."""
    until = time.monotonic() + 60
    while time.monotonic() < until:
        for each in town.call("GET", f"/incidents/{incident}/links").body["items"]:
            if each["external_key"]:
                return str(each["id"])
        time.sleep(0.1)
    raise AssertionError("The ticket was not created.")


def _synced(lines: list[str], written: int, sent: int) -> bool:
    """Whether the thread that wrote a page finished a sync of the same file before the request."""
    thread, begun = lines[written].split()[0], False
    for each in lines[written + 1 : sent]:
        if each.split()[0] != thread:
            continue
        begun = begun or re.search(r"f(data)?sync\(\d+<[^>]*book\.sqlite-wal>", each) is not None
        if begun and re.search(r"sync(\(| resumed>).*= 0$", each):
            return True
    return False
