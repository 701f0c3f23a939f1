"""Deliveries: what is owed to other systems."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from isthmus.hub.lanes.models import FAULT_CLASSES, OPEN_STATES, STATES, Delivery
from isthmus.kernel.actor import Actor
from isthmus.web import records, visible
from isthmus.web.lists.asked import Asked
from isthmus.web.lists.cell import (
    EMPTY,
    Beside,
    Cell,
    humane,
    instant,
    lines,
    link,
    number,
    quiet,
    state,
    together,
    words,
)
from isthmus.web.lists.showing import stored
from isthmus.web.lists.table import Column, Filter, Slice, Table
from isthmus.web.lists.tables.loading import organisation, organisations, readable


def _deliveries(asked: Asked, cursor: str, limit: int) -> Slice:
    rows = visible.rows(Delivery)
    wanted = asked.get("state")
    if wanted == "open":
        rows = rows.filter(state__in=(*OPEN_STATES, "dead"))
    elif wanted in STATES:
        rows = rows.filter(state=wanted)
    for name in ("connection", "record", "fault"):
        if value := asked.get(name):
            rows = rows.filter(**{name: value})
    return stored(rows, asked, cursor, limit)


def names(deliveries: Sequence[Any], reader: Actor) -> dict[str, tuple[str, str]]:
    """Return record id → (what people call it, its page), of kinds that the reader may read; one query per kind."""
    found: dict[str, tuple[str, str]] = {}
    for kind in {each.record_kind for each in deliveries} & {"incident", "change"}:
        if not readable(kind, reader):
            continue
        numbers = records.titles(
            kind, [each.record for each in deliveries if each.record_kind == kind], "number"
        )
        found.update({key: (number, records.path_of(kind, key)) for key, number in numbers.items()})
    return found


def _record(row: Any, beside: Beside) -> Cell:
    called = beside.loaded["records"].get(row.record)
    return (
        link(*called)
        if called
        else link(row.record_kind.replace("_", " ").capitalize(), f"/trace/{row.record}")
    )


def _why(row: Any, beside: Beside) -> Cell:
    planned = row.next_at if row.state in {"due", "waiting"} else None
    said = (
        words(row.cause) if row.cause else None,
        words(f"What helps: {row.remedy}") if row.cause and row.remedy else None,
        quiet(row.fault) if row.cause and row.fault else None,
        together(quiet("next try"), instant(planned, beside)) if planned else None,
    )
    return lines(said) if any(said) else EMPTY


DELIVERIES: Final = Table(
    key="deliveries",
    title="Deliveries",
    path="/deliveries",
    permission="delivery:read",
    fixed="record",
    fetch=_deliveries,
    order="-updated_at",
    filters=(
        Filter(name="state", choices=STATES, keywords=("open", "any"), usual="open"),
        Filter(name="connection"),
        Filter(name="record", linked=True),
        Filter(name="fault", choices=FAULT_CLASSES, linked=True),
    ),
    loaders={"records": names, "organisations": organisations},
    columns=(
        Column(key="record", heading="Record", look="keep", needs=("records",), cell=_record),
        Column(key="to", heading="To", order="connection", cell=lambda row, _: words(row.connection)),
        Column(key="what", heading="What",
               cell=lambda row, _: words("bring in step") if row.kind == "converge" else humane(row.verb)),
        Column(key="state", heading="State", order="state", cell=lambda row, _: state(row.state)),
        Column(key="tries", heading="Tries", number=True, order="attempts", newest=True,
               cell=lambda row, _: number(row.attempts)),
        Column(key="why", heading="Why, and what helps", look="wrap small", cell=_why),
        Column(key="changed", heading="Changed", order="updated_at", newest=True,
               cell=lambda row, beside: instant(row.updated_at, beside)),
        Column(key="owed_since", heading="Owed since", shown=False, order="created_at", newest=True,
               cell=lambda row, beside: instant(row.created_at, beside)),
        Column(key="next_try", heading="Next try", shown=False, order="next_at",
               cell=lambda row, beside: instant(row.next_at, beside)),
        Column(key="done", heading="Done", shown=False, order="done_at", newest=True,
               cell=lambda row, beside: instant(row.done_at, beside)),
        Column(key="fault", heading="Fault", shown=False, order="fault", cell=lambda row, _: humane(row.fault)),
        Column(key="remedy", heading="What helps", shown=False, look="wrap small", cell=lambda row, _: words(row.remedy)),
        Column(key="trace", heading="Trace", shown=False,
               cell=lambda row, _: link("story", f"/trace/{row.record}") if row.record else EMPTY),
        organisation,
    ),
)  # fmt: skip
