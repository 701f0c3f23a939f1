"""Choosing columns: which, in which order. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from isthmus.kernel.errors import Problem, Rejected
from isthmus.web.lists.table import Column, Table


def unknown(table: Table, keys: Sequence[str]) -> list[str]:
    return [each for each in dict.fromkeys(keys) if table.column(each) is None]


def chosen(table: Table, keys: Sequence[str]) -> tuple[Column, ...]:
    """Return the named columns in their order, each once; the one that leads to the record comes first if missing."""
    named = list(dict.fromkeys(keys))
    if table.fixed not in named:
        named.insert(0, table.fixed)
    return tuple(column for each in named if (column := table.column(each)) is not None)


def refuse(table: Table, names: Sequence[str]) -> Rejected:
    """Return the refusal of columns that the list does not have; it lists those that it has."""
    known = ", ".join(each.key for each in table.columns)
    said = ", ".join(repr(each[:40]) for each in names)
    return Rejected(
        f"The list of {table.title.lower()} has no column {said}.",
        remedy=f"Its columns are {known}.",
        problems=(Problem(path="/query/columns", message=f"no column {said}", remedy=f"One of {known}."),),
    )


def moved(keys: Sequence[str], move: str) -> list[str]:
    """Return the keys with one moved by one place: `up:title`, `down:title`; at an end, or unknown, it stays."""
    found = list(keys)
    where, _, key = move.partition(":")
    if key in found and where in {"up", "down"}:
        at = found.index(key)
        to = at - 1 if where == "up" else at + 1
        if 0 <= to < len(found):
            found[at], found[to] = found[to], found[at]
    return found
