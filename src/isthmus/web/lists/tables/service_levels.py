"""Open service level clocks, the one with the least time left first."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from isthmus.identity import permissions
from isthmus.kernel.actor import Actor
from isthmus.kernel.errors import Rejected
from isthmus.kernel.kinds.incident import LEVELS
from isthmus.kernel.kinds.service_level import OPEN_CLOCK_STATES
from isthmus.ledger.ids import source
from isthmus.practices.service_level import board
from isthmus.web import records
from isthmus.web.lists.asked import Asked
from isthmus.web.lists.cell import (
    EMPTY,
    Beside,
    Cell,
    humane,
    instant,
    level,
    link,
    number,
    span,
    state,
    words,
)
from isthmus.web.lists.table import Column, Filter, Slice, Table
from isthmus.web.lists.tables.loading import readable

NARROWED: Final = ("target", "priority", "service", "state")
OFFSET_MAX: Final = 10_000
"""Clocks that paging goes through: their order is counted anew with every page."""


def wanted(asked: Asked) -> dict[str, str]:
    return {name: asked.get(name) for name in NARROWED}


def _clocks(asked: Asked, cursor: str, limit: int) -> Slice:
    if cursor and not (cursor.isdigit() and int(cursor) <= OFFSET_MAX):
        raise Rejected("The cursor is not one of ours.", remedy="Start from the first page.")
    skipped = int(cursor or 0)
    found = board.open_clocks(wanted(asked), limit=skipped + limit + 1)
    more = str(skipped + limit) if len(found) > skipped + limit else ""
    clocks = found[skipped : skipped + limit]
    return Slice(items=board.by_urgency(board.counting(clocks, source.now())), next=more)


def named(clocks: Sequence[Any], reader: Actor) -> dict[str, tuple[str, str, str]]:
    """Return record id → (number, title, page), as far as the reader may see the record; one query per kind."""
    by_kind: dict[str, list[str]] = {}
    for each in clocks:
        by_kind.setdefault(each.record_kind, []).append(each.record)
    shown: dict[str, tuple[str, str, str]] = {}
    for kind, ids in by_kind.items():
        if kind not in records.models() or not permissions.allowed(
            reader, records.READ.get(kind, "trace:read")
        ):
            continue
        for each in records.by_ids(kind, ids).values():
            number_of = str(getattr(each, "number", "") or "")
            shown[each.id] = (
                number_of,
                str(getattr(each, "title", "") or ""),
                records.path_of(kind, each.id),
            )
    return shown


def _services(rows: Sequence[Any], reader: Actor) -> dict[str, str]:
    services = [each.clock.service for each in rows]
    return records.titles("ci", services, "name") if readable("ci", reader) else {}


def _record(row: Any, beside: Beside) -> Cell:
    shown = beside.loaded["records"].get(row.clock.record)
    if not shown:
        return humane(row.clock.record_kind)
    return link(shown[0] or row.clock.record_kind, shown[2], after=words(shown[1]) if shown[1] else None)


def _state(row: Any, _: Beside) -> Cell:
    if row.left <= 0:
        return state("breached")
    if row.clock.state == "paused":
        return state("paused", "On pause", "quiet")
    return (
        state("running", "Counting", "now") if row.moving else state("closed_hours", "Outside hours", "quiet")
    )


def _service(row: Any, beside: Beside) -> Cell:
    called = beside.name("services", row.clock.service)
    return link(called, f"/map/{row.clock.service}") if called else EMPTY


CLOCKS: Final = Table(
    key="clocks",
    title="Service level clocks",
    path="/sla",
    permission="sla:read",
    fixed="target",
    fetch=_clocks,
    order="due_at",
    limit=board.LIMIT,
    id_of=lambda row: str(row.clock.id),
    filters=(
        Filter(name="target"),
        Filter(name="priority", choices=LEVELS),
        Filter(name="service"),
        Filter(name="state", choices=OPEN_CLOCK_STATES),
        Filter(name="as", choices=("board", "table"), usual="board"),
    ),
    loaders={
        "records": lambda rows, reader: named([each.clock for each in rows], reader),
        "services": _services,
    },
    columns=(
        Column(key="target", heading="Target", cell=lambda row, _: link(row.clock.target.capitalize(), f"/sla/clocks/{row.clock.id}")),
        Column(key="record", heading="Record", look="wrap", needs=("records",), cell=_record),
        Column(key="left", heading="Left", look="keep", number=True, cell=lambda row, _: span(row.left)),
        Column(key="used", heading="Used", number=True, cell=lambda row, _: words(row.percent_words)),
        Column(key="state", heading="State", cell=_state),
        Column(key="priority", heading="Priority", cell=lambda row, _: level(row.clock.priority)),
        Column(key="due", heading="Due", cell=lambda row, beside: instant(row.clock.due_at, beside)),
        Column(key="service", heading="Service", look="wrap", needs=("services",), cell=_service),
        Column(key="started", heading="Started", shown=False, cell=lambda row, beside: instant(row.clock.started_at, beside)),
        Column(key="allowed", heading="Allowed", shown=False, number=True, cell=lambda row, _: span(row.clock.amount)),
        Column(key="calendar", heading="Calendar", shown=False, cell=lambda row, _: words(row.clock.calendar)),
        Column(key="definition", heading="Promise", shown=False, cell=lambda row, _: words(row.clock.definition)),
        Column(key="cycle", heading="Times begun", shown=False, number=True, cell=lambda row, _: number(row.clock.cycle)),
    ),
)  # fmt: skip
