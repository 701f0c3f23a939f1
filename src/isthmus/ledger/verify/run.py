"""The whole verification, over a book that is open."""

from __future__ import annotations

import sqlite3
import time
from pathlib import Path

from isthmus.ledger.verify import chains, checkpoints, replay
from isthmus.ledger.verify.findings import Report
from isthmus.ledger.verify.sources import Tables, from_rows, has_table, opened

_NEEDED = ("ledger_entry", "ledger_seal", "ledger_head", "ledger_checkpoint", "ledger_unsealed")


def verify_path(
    path: Path, *, witness: Path | None = None, public: bytes | None = None, chain_only: bool = False
) -> Report:
    """Verify a SQLite book or an export."""
    known = checkpoints.witnessed(witness)
    with opened(path) as book:
        return verify_open(book, known=known, public=public, chain_only=chain_only)


def verify_rows(
    tables: Tables, *, known: checkpoints.Known | None = None, public: bytes | None = None
) -> Report:
    """Verify rows from anywhere else (a PostgreSQL book is read by whoever can connect to it)."""
    with from_rows(tables) as book:
        return verify_open(book, known=known, public=public)


def verify_open(
    book: sqlite3.Connection,
    *,
    known: checkpoints.Known | None,
    public: bytes | None = None,
    chain_only: bool = False,
) -> Report:
    """Run the checks: chains, checkpoints and witness, columns and projections.

    `known`: what the witness held before the snapshot of the book was taken. A checkpoint is in the store
    before it is at the witness, so all of it must be in the snapshot; read later, a hub that works meanwhile
    would look like a book that was cut back.
    """
    report = Report()
    for table in _NEEDED:
        if not has_table(book, table):
            report.find("book", f"table {table}", "it is missing")
    if report.findings:
        return report
    started = time.perf_counter()
    chains.verify(book, report)
    report.seconds["chains"] = time.perf_counter() - started
    checkpoints.verify(book, report, known, public)
    if not chain_only:
        started = time.perf_counter()
        replay.verify(book, report)
        report.seconds["replay"] = time.perf_counter() - started
    return report
