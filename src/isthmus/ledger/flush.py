"""The one module that writes by raw SQL: a Work becomes rows, in batches, in one transaction.

Both stores run the same statements (`INSERT … ON CONFLICT`, `RETURNING`); only the placeholder differs.
Work that needs no lock (keys, sealing, encoding) happened in `rendering`, before the turnstile.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import Any

from django.db import IntegrityError, OperationalError, connection

from isthmus.ledger import scope, visibility
from isthmus.ledger.beside import SideRows
from isthmus.ledger.pending import give_number
from isthmus.ledger.rendering import Prepared, render
from isthmus.ledger.shapes import mark, quoted
from isthmus.ledger.work import StaleRecord, Work

_ENTRY_COLUMNS = (
    "seq", "organisation", "kind", "record", "version", "occurred_at", "recorded_at", "actor", "channel",
    "connection", "synthetic", "cause", "trace", "generation", "body",
)  # fmt: skip

_ROWS_PER_STATEMENT = 500
_PASSING = frozenset({"40P01", "40001"})
"""PostgreSQL's states of a deadlock and of a serialisation failure: the same Work may succeed again."""


def flush(prepared: Prepared) -> None:
    """Write everything inside the open transaction; `StaleRecord` if the book has moved on meanwhile."""
    work = prepared.work
    for check in work.rechecks:
        check()
    visible = scope.current_or_all()
    visibility.apply(visible if visible is None else visible | work.reaches)
    with connection.cursor():
        raw = connection.connection.cursor()
    if work.numbers and _take_numbers(raw, work):
        prepared = render(work)
    try:
        with connection.wrap_database_errors:
            _write(raw, prepared)
    except OperationalError as cause:
        if getattr(cause.__cause__, "sqlstate", "") in _PASSING:
            raise StaleRecord("Two writers waited for each other.", remedy="The act is run again.") from cause
        raise
    except IntegrityError as cause:
        raise StaleRecord(
            "Another writer was first with the same key.", remedy="Read again, then decide again."
        ) from cause
    finally:
        raw.close()


def _write(raw: Any, prepared: Prepared) -> None:
    one = mark()
    # Updates come first: closing one record may free the unique key that a new one takes.
    for (table, columns), rows in prepared.updates.items():
        sets = _sets(columns)
        raw.executemany(f'UPDATE "{table}" SET {sets} WHERE "id" = {one} AND "version" = {one}', rows)  # noqa: S608
        if raw.rowcount != len(rows):
            raise StaleRecord("A record was changed meanwhile.", remedy="Read it again, then decide again.")
    for statement, rows in prepared.creates.items():
        _insert(raw, statement, rows)
    if prepared.entries:
        _write_entries(raw, prepared)
    for group in prepared.work.side:
        _write_side(raw, group)


def _insert(raw: Any, statement: str, rows: Sequence[Sequence[Any]]) -> None:
    """Insert rows by a statement that ends in its one group of placeholders.

    PostgreSQL copies them (measured: a quarter of the time of one statement per row), or, where row-level
    security binds this role and forbids COPY, gets many rows per statement.
    """
    if connection.vendor == "sqlite":
        raw.executemany(statement, rows)
        return
    start, _, group = statement.rpartition(" VALUES ")
    if _may_copy(raw):
        with raw.copy(f"COPY {start.removeprefix('INSERT INTO ')} FROM STDIN") as copy:
            for row in rows:
                copy.write_row(row)
        return
    for at in range(0, len(rows), _ROWS_PER_STATEMENT):
        chunk = rows[at : at + _ROWS_PER_STATEMENT]
        groups = ", ".join(group for _ in chunk)
        raw.execute(f"{start} VALUES {groups}", [value for row in chunk for value in row])


def _may_copy(raw: Any) -> bool:
    """True if no row-level security binds this connection's role; asked once per connection."""
    known = getattr(connection, "isthmus_may_copy", None)
    if known is None or known[0] != id(connection.connection):
        raw.execute("SELECT NOT row_security_active('ledger_entry')")
        known = id(connection.connection), bool(raw.fetchone()[0])
        connection.isthmus_may_copy = known  # type: ignore[attr-defined]
    return known[1]


def _write_entries(raw: Any, prepared: Prepared) -> None:
    seqs = _take_seqs(raw, len(prepared.entries))
    one = mark()
    _insert(
        raw,
        f"INSERT INTO ledger_entry ({quoted(*_ENTRY_COLUMNS)}) VALUES ({', '.join(one for _ in _ENTRY_COLUMNS)})",  # noqa: S608
        [(seq, *row) for seq, row in zip(seqs, prepared.entries, strict=True)],
    )
    raw.execute(
        f"INSERT INTO ledger_unsealed (seqs, recorded_at) VALUES ({one}, {one})",  # noqa: S608
        (struct.pack(f">{len(seqs)}q", *seqs), prepared.work.now),
    )


def _take_seqs(raw: Any, count: int) -> Sequence[int]:
    if connection.vendor == "sqlite":
        (last,) = raw.execute(
            "SELECT COALESCE((SELECT seq FROM sqlite_sequence WHERE name = 'ledger_entry'), 0)"
        ).fetchone()
        return range(last + 1, last + 1 + count)
    raw.execute(
        "SELECT nextval(pg_get_serial_sequence('ledger_entry', 'seq')) FROM generate_series(1, %s)", (count,)
    )
    return [seq for (seq,) in raw.fetchall()]


def _take_numbers(raw: Any, work: Work) -> bool:
    """Take the numbers that this Work needs; True if others came first and the records were renumbered."""
    moved = False
    one = mark()
    for key, takers in work.numbers.items():
        raw.execute(
            f"INSERT INTO ledger_number (organisation, kind, next) VALUES ({one}, {one}, {one})"  # noqa: S608
            f" ON CONFLICT (organisation, kind) DO UPDATE SET next = ledger_number.next + {one} RETURNING next",
            (*key, 1 + len(takers), len(takers)),
        )
        (following,) = raw.fetchone()
        first = following - len(takers)
        if first != work.first_number(key):
            moved = True
            for i, pending in enumerate(takers):
                give_number(pending, first + i)
    return moved


def _write_side(raw: Any, group: SideRows) -> None:
    if group.verb == "insert":
        _insert(raw, _statement(group), group.rows)
        return
    raw.executemany(_statement(group), group.rows)
    if group.exact and raw.rowcount != len(group.rows):
        raise StaleRecord(
            "A row was taken or moved by somebody else.", remedy="Read it again, then decide again."
        )


def _statement(group: SideRows) -> str:
    one, table, names = mark(), quoted(group.table), group.shape
    match group.verb:
        case "insert":
            return f"INSERT INTO {table} ({quoted(*names[0])}) VALUES ({', '.join(one for _ in names[0])})"  # noqa: S608
        case "remove":
            return f"DELETE FROM {table} WHERE {_all(names[0])}"  # noqa: S608
        case "advance":
            return f"UPDATE {table} SET {_sets(names[0])} WHERE {_all(names[1])}"  # noqa: S608
        case "count":
            sets = [f'"{each}" = COALESCE("{each}", 0) + {one}' for each in names[0]] + [
                f'"{each}" = {one}' for each in names[1]
            ]
            return f"UPDATE {table} SET {', '.join(sets)} WHERE {_all(names[2])}"  # noqa: S608
    columns, key, values, add = names
    sets = [f'"{each}" = excluded."{each}"' for each in values]
    sets += [f'"{each}" = {table}."{each}" + excluded."{each}"' for each in add]
    then = f"UPDATE SET {', '.join(sets)}" if sets else "NOTHING"
    marks = ", ".join(one for _ in columns)
    return f"INSERT INTO {table} ({quoted(*columns)}) VALUES ({marks}) ON CONFLICT ({quoted(*key)}) DO {then}"  # noqa: S608


def _sets(columns: Sequence[str]) -> str:
    return ", ".join(f'"{each}" = {mark()}' for each in columns)


def _all(columns: Sequence[str]) -> str:
    return " AND ".join(f'"{each}" = {mark()}' for each in columns)
