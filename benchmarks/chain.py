"""Sealing and verifying entries against nothing but SHA-256 over the same bytes in memory.

All of it runs in one thread without waiting, so rates are per CPU second: others on the machine do not show.
"""

from __future__ import annotations

import hashlib
import json
import resource
import subprocess
import sys
import time
from pathlib import Path

from benchmarks import payloads, serving, world
from benchmarks.figures import Figure, Scale

VERIFY_TARGET = 0.4


def run(scale: Scale, directory: Path) -> list[Figure]:
    """Write entries through the pump, then seal them, then verify the closed book with the standalone verifier."""
    made = world.make(directory / "hub", cis=1_000)
    from isthmus.hub.intake import shared
    from isthmus.hub.pump.pump import Pump
    from isthmus.ledger import checkpoint, scope, sealer
    from isthmus.ledger.ids import source

    with scope.everywhere("the benchmark seals"):
        sealer.seal_all(source.now())
        serving.fill(0, scale.alerts, payloads.Shape())
        pump = Pump(shared.log())
        while pump.round():
            pass
        since = time.process_time()
        sealed = sealer.seal_all(source.now())
        seal_rate = sealed / (time.process_time() - since)
        checkpoint.make(source.now())
    book = serving.Book(made.directory)
    entries = book.one("SELECT COUNT(*) FROM ledger_entry")
    bodies = [row[0] for row in book._book.execute("SELECT body FROM ledger_entry ORDER BY seq")]  # noqa: SLF001
    book.close()
    bare = _bare(bodies)
    size = round(sum(map(len, bodies)) / len(bodies))
    notes = {"entries": entries, "bytes each": size}
    chain, whole = _verified(made.directory, "--chain-only"), _verified(made.directory)
    return [
        Figure(name="seal", value=seal_rate, unit="entries/CPU s", against="bare chain", other=bare, notes=notes),
        Figure(
            name="verify the chain", value=entries / chain, unit="entries/CPU s", against="bare chain", other=bare,
            target=VERIFY_TARGET, judged="ratio", notes=notes,
        ),
        Figure(
            name="verify the chain and replay every projection", value=entries / whole, unit="entries/CPU s",
            against="bare chain", other=bare, notes=notes,
        ),
    ]  # fmt: skip


def _bare(bodies: list[bytes]) -> float:
    """Return links per second of a chain over bytes that lie in memory (best of three)."""
    best = float("inf")
    for _ in range(3):
        since, link = time.process_time(), bytes(32)
        for body in bodies:
            link = hashlib.sha256(link + body).digest()
        best = min(best, time.process_time() - since)
    return len(bodies) / best


def _verified(directory: Path, *options: str) -> float:
    """Return the CPU seconds that the verifier needs, without the start of its interpreter."""
    command = [sys.executable, "-m", "isthmus.ledger.verify", "--json", *options]
    empty = _children()
    subprocess.run([*command, "--help"], capture_output=True, check=True)
    since = _children()
    done = subprocess.run([*command, str(directory / "book.sqlite")], capture_output=True, check=False)
    took = _children() - since - (since - empty)
    report = json.loads(done.stdout)
    if not report["ok"]:
        raise RuntimeError(f"The verifier found {report['findings'][:3]}")
    return took


def _children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime
