"""The journal, newest first; whoever reads it by a filter, or takes it as a file, stands in it."""

from __future__ import annotations

from typing import Any, Final

from django.http import HttpRequest

from isthmus.ledger import reading
from isthmus.web import journal_reading
from isthmus.web.lists.asked import Asked
from isthmus.web.lists.cell import (
    EMPTY,
    Beside,
    Cell,
    aside,
    code,
    humane,
    instant,
    link,
    number,
    together,
    words,
    yes,
)
from isthmus.web.lists.table import Column, Filter, Slice, Table
from isthmus.web.lists.tables.loading import labels, organisation, organisations

_LINKED: Final = ("connection", "trace")


def _entries(asked: Asked, cursor: str, limit: int) -> Slice:
    found = reading.journal(journal_reading.filters_of(asked.values), cursor, limit=limit)
    return Slice(items=found.entries, next=found.cursor)


def _told(request: HttpRequest, asked: Asked) -> None:
    if request.GET.get("format") == "csv":
        journal_reading.note(request, "audit.exported", "The journal was taken as a file.")
    elif asked.values:
        journal_reading.note(request, "audit.read", "The journal was read with filters.")


def _record(row: Any, _: Beside) -> Cell:
    kind = row.kind.replace("_", " ").capitalize()
    return link(kind, f"/trace/{row.record}", after=aside(f"v{row.version}"))


def _what(row: Any, _: Beside) -> Cell:
    return words(", ".join(each.replace("_", " ").capitalize() for each in row.changes) or "decision")


def _through(row: Any, _: Beside) -> Cell:
    return together(words(row.channel), aside(row.connection) if row.connection else None)


JOURNAL: Final = Table(
    key="journal",
    title="Journal entries",
    path="/audit",
    permission="audit:read",
    fixed="record",
    fetch=_entries,
    order="-seq",
    told=_told,
    filters=(*(Filter(name=each, linked=each in _LINKED) for each in journal_reading.FILTERS), Filter(name="since"), Filter(name="until")),
    loaders={"people": labels("actor"), "organisations": organisations},
    columns=(
        Column(key="recorded", heading="Recorded", cell=lambda row, beside: instant(row.recorded_at, beside)),
        Column(key="record", heading="Record", cell=_record),
        Column(key="what", heading="What", look="wrap small", cell=_what),
        Column(key="who", heading="Who", look="wrap", needs=("people",),
               cell=lambda row, beside: words(beside.name("people", row.actor, row.actor))),
        Column(key="through", heading="Through", cell=_through),
        Column(key="why", heading="Why", look="wrap small",
               cell=lambda row, _: words(" ".join(each.text for each in row.why))),
        Column(key="happened", heading="Happened", shown=False,
               cell=lambda row, beside: instant(row.occurred_at, beside)),
        Column(key="record_id", heading="Record id", shown=False,
               cell=lambda row, _: code(row.record, longest=26)),
        Column(key="version", heading="Version", shown=False, number=True, cell=lambda row, _: number(row.version)),
        Column(key="rules", heading="Rules", shown=False, look="wrap small",
               cell=lambda row, _: words(", ".join(each.rule for each in row.why))),
        Column(key="actor_kind", heading="Kind of actor", shown=False, cell=lambda row, _: humane(row.actor_kind)),
        Column(key="generation", heading="Generation", shown=False, number=True,
               cell=lambda row, _: number(row.generation)),
        Column(key="trace", heading="Trace", shown=False,
               cell=lambda row, _: link(row.trace[:8], f"/trace/{row.trace}") if row.trace else EMPTY),
        Column(key="synthetic", heading="Synthetic", shown=False, cell=lambda row, _: yes(row.synthetic)),
        organisation,
    ),
)  # fmt: skip
