"""Where a book can be read from: its SQLite file, an export, or rows handed in (a PostgreSQL dump)."""

from __future__ import annotations

import base64
import json
import os
import sqlite3
import tempfile
import zipfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

Tables = Iterable[tuple[str, Sequence[str], Iterable[Sequence[Any]]]]
"""(table, column names, rows in that order), for every table of the book."""


class NotABook(Exception):
    """The file is neither a book nor an export of one."""


@contextmanager
def opened(path: Path) -> Iterator[sqlite3.Connection]:
    """Open a book or an export read-only."""
    if not path.exists():
        raise NotABook(f"{path} does not exist.")
    if zipfile.is_zipfile(path):
        with from_rows(_export(path)) as book:
            yield book
        return
    with path.open("rb") as file:
        if file.read(16) != b"SQLite format 3\0":
            raise NotABook(f"{path} is neither a SQLite book nor an export.")
    book = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=30)
    try:
        book.execute("BEGIN")
        yield book
    finally:
        book.close()


@contextmanager
def from_rows(tables: Tables) -> Iterator[sqlite3.Connection]:
    """Bring rows into a scratch file of the same tables, and open that."""
    handle, name = tempfile.mkstemp(prefix="isthmus-verify-", suffix=".sqlite")
    os.close(handle)
    book = sqlite3.connect(name, isolation_level=None)
    try:
        book.executescript("PRAGMA journal_mode=OFF; PRAGMA synchronous=OFF;")
        for table, columns, rows in tables:
            names = ", ".join(f'"{each}"' for each in columns)
            marks = ", ".join("?" for _ in columns)
            book.execute(f'CREATE TABLE "{table}" ({names})')
            book.execute("BEGIN")
            book.executemany(f'INSERT INTO "{table}" VALUES ({marks})', rows)  # noqa: S608 - our own names only
            book.execute("COMMIT")
        if not has_table(book, "ledger_entry"):
            raise NotABook("There are no entries in it.")
        book.execute('CREATE UNIQUE INDEX scratch_seq ON ledger_entry ("seq")')
        book.execute('CREATE INDEX scratch_name ON ledger_entry ("record", "version")')
        yield book
    finally:
        book.close()
        Path(name).unlink()


def has_table(book: sqlite3.Connection, name: str) -> bool:
    """True if the book has this table."""
    return (
        book.execute("SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = ?", (name,)).fetchone()
        is not None
    )


def _export(path: Path) -> Tables:
    """Yield the tables of an export: `tables/<name>.jsonl`, a header line of column names, then rows."""
    with zipfile.ZipFile(path) as archive:
        names = [
            name for name in archive.namelist() if name.startswith("tables/") and name.endswith(".jsonl")
        ]
        for name in names:
            with archive.open(name) as lines:
                header = json.loads(next(iter(lines)))
                yield name[len("tables/") : -len(".jsonl")], header, (_row(line) for line in lines)


def _row(line: bytes) -> list[Any]:
    return [base64.b64decode(each["b64"]) if isinstance(each, dict) else each for each in json.loads(line)]
