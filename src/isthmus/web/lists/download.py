"""A list as a CSV file: what is seen, all pages of it up to a bound, safe to open in a spreadsheet."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from io import StringIO
from typing import Final

from django.http import HttpResponse

from isthmus.web.lists import showing
from isthmus.web.lists.asked import Asked

ROWS_MAX: Final = 5_000
"""Rows of one file. A list that is longer is cut there, and the file's name says so."""
_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r", "\n")
"""What makes a spreadsheet compute a cell instead of showing it."""


@dataclass(frozen=True, kw_only=True)
class Taken:
    """`text`: the file; `rows`: how many it holds; `next`: where the rest begins ("": it is whole)."""

    text: str
    rows: int
    next: str


def guarded(text: str) -> str:
    """Return a cell that no spreadsheet takes for a formula: an apostrophe goes before what begins like one.

    A negative whole number computes nothing and stays a number.
    """
    if text.removeprefix("-").isdecimal():
        return text
    return f"'{text}" if text.startswith(_FORMULA) else text


def taken(asked: Asked, *, cursor: str = "", rows_max: int = ROWS_MAX) -> Taken:
    """Return the file of a list from `cursor` on: one line of headings, one line a row, as RFC 4180 says."""
    out = StringIO()
    writer = csv.writer(out)
    writer.writerow(guarded(each.heading) for each in asked.columns)
    count = 0
    while count < rows_max:
        found = showing.fetched(asked, cursor, min(showing.PAGE_MAX, rows_max - count))
        for row in showing.rows(asked, found.items):
            writer.writerow(guarded(cell.text) for _, cell in row.cells)
        count, cursor = count + len(found.items), found.next
        if not cursor:
            break
    return Taken(text=out.getvalue(), rows=count, next=cursor)


def answer(asked: Asked, *, cursor: str = "") -> HttpResponse:
    """Return the file as a download. A cut one is called so, and names the cursor of the rest."""
    found = taken(asked, cursor=cursor)
    name = f"{asked.table.key}-first-{found.rows}" if found.next else asked.table.key
    response = HttpResponse(found.text, content_type="text/csv; charset=utf-8")
    response["Content-Disposition"] = f'attachment; filename="{name}.csv"'
    response["Isthmus-Rows"] = str(found.rows)
    if found.next:
        response["Isthmus-Next"] = found.next
    return response
