"""Configuration items, by name."""

from __future__ import annotations

from typing import Final

from isthmus.web import records
from isthmus.web.lists.asked import Asked
from isthmus.web.lists.cell import humane, instant, link, number, words
from isthmus.web.lists.showing import stored
from isthmus.web.lists.table import Column, Filter, Slice, Table
from isthmus.web.lists.tables.loading import organisation, organisations


def _items(asked: Asked, cursor: str, limit: int) -> Slice:
    rows = records.of("ci").exclude(state="retired")
    if wanted := asked.get("q"):
        rows = rows.filter(name__icontains=wanted)
    for name, field in (
        ("class", "ci_class"),
        ("environment", "environment"),
        ("criticality", "criticality"),
    ):
        if value := asked.get(name):
            rows = rows.filter(**{field: value})
    return stored(rows, asked, cursor, limit)


ITEMS: Final = Table(
    key="items",
    title="Items",
    path="/map",
    permission="ci:read",
    fixed="name",
    fetch=_items,
    order="name",
    filters=(
        Filter(name="q"),
        Filter(name="class", linked=True),
        Filter(name="environment", linked=True),
        Filter(name="criticality", linked=True),
    ),
    loaders={"organisations": organisations},
    columns=(
        Column(key="name", heading="Item", order="name", cell=lambda row, _: link(row.name, f"/map/{row.id}")),
        Column(key="class", heading="Class", order="ci_class", cell=lambda row, _: humane(row.ci_class)),
        Column(key="environment", heading="Environment", order="environment", cell=lambda row, _: words(row.environment)),
        Column(key="criticality", heading="Criticality", order="criticality", cell=lambda row, _: humane(row.criticality)),
        Column(key="users", heading="Users", number=True, order="users", newest=True,
               cell=lambda row, _: number(row.users)),
        Column(key="owner", heading="Owner", shown=False, order="owner", cell=lambda row, _: words(row.owner)),
        Column(key="group", heading="Group", shown=False, order="support_group", cell=lambda row, _: words(row.support_group)),
        Column(key="key", heading="Key", shown=False, order="external_key", cell=lambda row, _: words(row.external_key)),
        Column(key="source", heading="Source", shown=False, order="source", cell=lambda row, _: words(row.source)),
        Column(key="state", heading="State", shown=False, order="state", cell=lambda row, _: humane(row.state)),
        Column(key="aliases", heading="Also known as", shown=False, look="wrap small",
               cell=lambda row, _: words(", ".join(row.aliases or ()))),
        Column(key="addresses", heading="Addresses", shown=False, look="wrap small",
               cell=lambda row, _: words(", ".join(row.addresses or ()))),
        Column(key="changed", heading="Changed", shown=False, order="updated_at", newest=True,
               cell=lambda row, beside: instant(row.updated_at, beside)),
        organisation,
    ),
)  # fmt: skip
