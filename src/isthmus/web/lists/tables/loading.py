"""What several lists load for all rows of a page at once: names of items, people, organisations, incidents."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from django.db.models import Count

from isthmus.identity import people, permissions
from isthmus.kernel.actor import Actor
from isthmus.web import records
from isthmus.web.lists.cell import EMPTY, Beside, Cell, link, together, words
from isthmus.web.lists.table import Column, Loader

ITEMS_SHOWN: Final = 3
"""Items of a set that a cell names."""


def readable(kind: str, reader: Actor) -> bool:
    """Return whether the reader of a list may read records of another kind that its rows lead to."""
    return kind not in records.READ or permissions.allowed(reader, records.READ[kind])


def titles(kind: str, field: str, *names: str) -> Loader:
    """Load what records of a kind are called, by the ids that stand in the rows' fields `names`."""

    def load(rows: Sequence[Any], reader: Actor) -> dict[str, str]:
        ids = [getattr(row, name) for row in rows for name in names]
        return records.titles(kind, ids, field) if readable(kind, reader) else {}

    return load


def labels(*names: str) -> Loader:
    """Load the names of the people whose ids stand in the rows' fields `names`."""
    return lambda rows, _: people.labels(getattr(row, name) for row in rows for name in names)


def first_items(*names: str) -> Loader:
    """Load the names of the items that stand in sets (the first ones) and in single fields of the rows."""

    def load(rows: Sequence[Any], reader: Actor) -> dict[str, str]:
        held = [getattr(row, name) or () for row in rows for name in names]
        ids = [ci for each in held for ci in ([each] if isinstance(each, str) else each[:ITEMS_SHOWN])]
        return records.titles("ci", ids, "name") if readable("ci", reader) else {}

    return load


def whole(kind: str, name: str) -> Loader:
    """Load the records of a kind that the rows' field `name` leads to."""

    def load(rows: Sequence[Any], reader: Actor) -> dict[str, Any]:
        return records.by_ids(kind, [getattr(row, name) for row in rows]) if readable(kind, reader) else {}

    return load


def counted(kind: str, field: str) -> Loader:
    """Count the records of a kind whose `field` leads to a row."""

    def load(rows: Sequence[Any], reader: Actor) -> dict[str, int]:
        if not readable(kind, reader):
            return {}
        leading = records.of(kind).filter(**{f"{field}__in": [row.id for row in rows]}).order_by()
        return dict(leading.values(field).annotate(count=Count("id")).values_list(field, "count"))

    return load


def item(ci: str, beside: Beside) -> Cell:
    """A configuration item as a link to its map."""
    return link(beside.name("cis", ci, "?"), f"/map/{ci}") if ci else EMPTY


def items(ids: Sequence[str] | None, beside: Beside) -> Cell:
    """The first of several items by their names (`first_items`), and how many there are more."""
    held = list(ids or ())
    shown = [words(beside.name("cis", each, "?")) for each in held[:ITEMS_SHOWN]]
    more = words(f"{len(held) - ITEMS_SHOWN} more") if len(held) > ITEMS_SHOWN else None
    return together(*shown, more, by=", ") if held else EMPTY


def person(who: str, beside: Beside) -> Cell:
    return words(beside.name("people", who, who)) if who else EMPTY


organisation = Column(
    key="organisation", heading="Organisation", shown=False, needs=("organisations",),
    cell=lambda row, beside: words(beside.name("organisations", row.organisation, row.organisation)),
)  # fmt: skip
"""For those who see several; needs the loader `organisations`."""
organisations = titles("organisation", "name", "organisation")
