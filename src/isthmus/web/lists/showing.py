"""Rows of a list as cells, and the heads above them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from django.utils.html import conditional_escape, format_html
from django.utils.safestring import SafeString

from isthmus.hub.http import paging
from isthmus.ledger.ids import source
from isthmus.web.lists.asked import Asked
from isthmus.web.lists.cell import Beside, Cell
from isthmus.web.lists.table import Column, Slice

PAGE_MAX: Final = paging.LIMIT_MAX


@dataclass(frozen=True, kw_only=True)
class Row:
    """One record of a list with the cells of the chosen columns, in their order."""

    item: Any
    cells: tuple[tuple[Column, Cell], ...]
    html: SafeString = field(repr=False)
    """The cells as they stand in a table's row: put together here, because a template takes three times as long."""


@dataclass(frozen=True, kw_only=True)
class Head:
    """The head of a column. `sorted`: "ascending", "descending" or "" (`aria-sort`); `query` sorts by it, "" cannot."""

    column: Column
    sorted: str = ""
    query: str = ""


def stored(rows: Any, asked: Asked, cursor: str, limit: int) -> Slice:
    """Return one page of a queryset in the order that is asked for."""
    return paging.cut(rows, cursor=cursor, limit=limit, order=asked.stored_order)


def fetched(asked: Asked, cursor: str, limit: int | str | None) -> Slice:
    size = paging.limited(limit) if limit not in {None, ""} else asked.table.limit
    found: Slice = asked.table.fetch(asked, cursor, size)
    return found


def rows(asked: Asked, items: Sequence[Any], *, zone: str = "") -> list[Row]:
    """Return the rows with their cells; what the chosen columns need is loaded once for all of them."""
    needed = dict.fromkeys(name for column in asked.columns for name in column.needs)
    loaded = {name: asked.table.loaders[name](items, asked.reader) for name in needed} if items else {}
    beside = Beside(now=source.now(), zone=zone, loaded=loaded)
    frames = [_frame(column, leads=column.key == asked.table.fixed) for column in asked.columns]
    found = []
    for each in items:
        cells = tuple((column, column.cell(each, beside)) for column in asked.columns)
        framed = (
            f"{begin}{conditional_escape(cell.html)}{end}"
            for (begin, end), (_, cell) in zip(frames, cells, strict=True)
        )
        found.append(Row(item=each, cells=cells, html=SafeString("".join(framed))))
    return found


def _frame(column: Column, *, leads: bool) -> tuple[SafeString, str]:
    """Return what stands before and after a cell; on a phone the cell says its column (`data-label`)."""
    look = format_html(' class="{}"', column.css) if column.css else ""
    if leads:
        return format_html('<th scope="row" data-label="{}"{}>', column.heading, look), "</th>"
    return format_html('<td data-label="{}"{}>', column.heading, look), "</td>"


def heads(asked: Asked, view: str = "") -> list[Head]:
    """Return the heads of the chosen columns, each with the query that sorts by it and stays with the named view."""
    sorted_by, found = asked.sorted_by, []
    for column in asked.columns:
        if not column.order:
            found.append(Head(column=column))
            continue
        here = sorted_by is column
        direction = ("descending" if asked.descending else "ascending") if here else ""
        falling = not asked.descending if here else column.newest
        query = asked.query(order=f"{'-' if falling else ''}{column.key}", view=view)
        found.append(Head(column=column, sorted=direction, query=query))
    return found


def orders(asked: Asked) -> list[tuple[str, str, bool]]:
    """Return (value, words, chosen) of every order, for those who see no heads: on a phone, or by keyboard."""
    found = []
    for column in asked.table.sortable:
        up, down = ("oldest first", "newest first") if column.newest else ("ascending", "descending")
        for value, words in ((column.key, up), (f"-{column.key}", down)):
            found.append((value, f"{column.heading}, {words}", asked.order == value))
    return found
