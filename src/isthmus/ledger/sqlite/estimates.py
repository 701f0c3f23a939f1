"""What SQLite should believe about each index, written once instead of measured.

Without statistics SQLite takes the index with most equal columns: for the open alerts of one item it read all
firing alerts of the organisation (state has four values), more with every day. `ANALYZE` on a young book would
teach it nothing better. So the estimates follow from what columns are: an organisation holds nearly everything,
a state or a flag a good part, an id or a key next to nothing. PostgreSQL measures by itself (autovacuum).
"""

from __future__ import annotations

import re
from typing import Any, Final

from django.db import connections

ROWS: Final = 1_000_000
"""The size that every table is taken to have: plans must be right when it is large."""

_EVERYTHING: Final = frozenset({"organisation", "connection"})
_PART: Final = frozenset({"kind", "what", "lane", "channel", "holder"})
_SHARE: Final = 4
_SELECTIVE: Final = 50_000
_PARTIAL: Final = 10
_SHORT_TEXT: Final = re.compile(r"varchar\((\d+)\)", re.IGNORECASE)
_STATE_CHARACTERS_MAX: Final = 24


def install(*, using: str = "default", **_: Any) -> None:
    """Write the estimates of every index after migrations; connections opened later read them."""
    connection = connections[using]
    if connection.vendor != "sqlite":
        return
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")
        cursor.execute("DELETE FROM sqlite_stat1")
        cursor.execute("SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite%'")
        rows = [row for (table,) in cursor.fetchall() for row in _of_table(cursor, table)]
        cursor.executemany("INSERT INTO sqlite_stat1 (tbl, idx, stat) VALUES (%s, %s, %s)", rows)
        cursor.execute("ANALYZE sqlite_schema")


def _of_table(cursor: Any, table: str) -> list[tuple[str, str, str]]:
    cursor.execute(f'PRAGMA table_info("{table}")')
    types = {name: str(declared) for _, name, declared, *_ in cursor.fetchall()}
    cursor.execute(f'PRAGMA index_list("{table}")')
    found = []
    for _, index, unique, _, partial in cursor.fetchall():
        cursor.execute(f'PRAGMA index_info("{index}")')
        columns = [name for _, _, name in cursor.fetchall()]
        found.append((table, index, _estimate(columns, types, unique=bool(unique), partial=bool(partial))))
    return found


def _estimate(columns: list[str], types: dict[str, str], *, unique: bool, partial: bool) -> str:
    """Return rows in the index, then rows that share its first column, its first two, and so on."""
    rows = ROWS // _PARTIAL if partial else ROWS
    numbers = [rows]
    for name in columns:
        rows = max(1, rows // _selectivity(name, types.get(name, "")))
        numbers.append(rows)
    if unique:
        numbers[-1] = 1
    return " ".join(str(each) for each in numbers)


def _selectivity(name: str, declared: str) -> int:
    """Return into how many parts a column divides the rows."""
    if name in _EVERYTHING:
        return 1
    short = _SHORT_TEXT.match(declared)
    if name in _PART or declared == "bool" or (short and int(short[1]) <= _STATE_CHARACTERS_MAX):
        return _SHARE
    return _SELECTIVE
