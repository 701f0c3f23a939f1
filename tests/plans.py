"""How the embedded store means to find rows: no statement of a hot path may read a growing table from end to end."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from django.db import connection


@contextmanager
def told() -> Iterator[list[tuple[str, str]]]:
    """Collect (step, statement) of every step that reads a whole table or index, for statements of this thread."""
    found: list[tuple[str, str]] = []
    known: set[str] = set()

    def explain(execute: Callable[..., Any], sql: str, given: Any, many: Any, context: Any) -> Any:
        if not many and sql not in known and sql.lstrip()[:6].upper() in {"SELECT", "UPDATE", "DELETE"}:
            known.add(sql)
            store = context["connection"].connection
            plain = "EXPLAIN QUERY PLAN " + sql.replace("%s", "?").replace("%%", "%")
            steps = sqlite3.Connection.execute(store, plain, tuple(given or ())).fetchall()
            found.extend((step[3], sql) for step in steps if step[3].startswith("SCAN"))
        return execute(sql, given, many, context)

    with connection.execute_wrapper(explain):
        yield found


def whole(found: list[tuple[str, str]], *tables: str) -> list[str]:
    """Return the statements that read all of one of these tables, each with the step."""
    return [f"{step}: {sql}" for step, sql in found if step.split()[1] in tables]
