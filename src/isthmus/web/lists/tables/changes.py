"""Changes, and what the gate decided about them."""

from __future__ import annotations

from typing import Any, Final

from isthmus.kernel.kinds.change import CHANGE_STATES, CHANGE_TYPES
from isthmus.practices.change.rules import states
from isthmus.web import records
from isthmus.web.lists.asked import Asked
from isthmus.web.lists.cell import (
    EMPTY,
    Beside,
    Cell,
    code,
    exact,
    humane,
    instant,
    link,
    number,
    quiet,
    state,
    together,
    words,
)
from isthmus.web.lists.showing import stored
from isthmus.web.lists.table import Column, Filter, Slice, Table
from isthmus.web.lists.tables.loading import (
    first_items,
    items,
    labels,
    organisation,
    organisations,
    person,
    titles,
)

DECISIONS: Final = ("allow", "deny", "wait")


def _changes(asked: Asked, cursor: str, limit: int) -> Slice:
    rows = records.of("change")
    wanted = asked.get("state")
    if wanted == "open":
        rows = rows.exclude(state__in=states.TERMINAL)
    elif wanted in CHANGE_STATES:
        rows = rows.filter(state=wanted)
    for name, field in (("type", "type"), ("group", "assignment_group")):
        if value := asked.get(name):
            rows = rows.filter(**{field: value})
    return stored(rows, asked, cursor, limit)


def _window(row: Any, beside: Beside) -> Cell:
    if row.window_start is None:
        return quiet("none")
    return together(exact(row.window_start, beside), exact(row.window_end, beside, "%m-%d %H:%M"), by=" to ")


def _incident(row: Any, beside: Beside) -> Cell:
    called = beside.name("incidents", row.incident)
    return link(called, f"/incidents/{row.incident}") if called else EMPTY


CHANGES: Final = Table(
    key="changes",
    title="Changes",
    path="/changes",
    permission="change:read",
    fixed="number",
    fetch=_changes,
    filters=(
        Filter(name="state", choices=CHANGE_STATES, keywords=("open", "any"), usual="open"),
        Filter(name="type", choices=CHANGE_TYPES),
        Filter(name="group", linked=True),
    ),
    loaders={
        "cis": first_items("cis"),
        "people": labels("requester"),
        "incidents": titles("incident", "number", "incident"),
        "organisations": organisations,
    },
    columns=(
        Column(key="number", heading="Number", order="id", newest=True, look="keep",
               cell=lambda row, _: link(row.number, f"/changes/{row.id}")),
        Column(key="title", heading="Title", look="wrap", cell=lambda row, _: words(row.title)),
        Column(key="type", heading="Type", order="type", cell=lambda row, _: humane(row.type)),
        Column(key="state", heading="State", order="state", cell=lambda row, _: state(row.state)),
        Column(key="authorisation", heading="Authorisation", order="authorisation",
               cell=lambda row, _: state(row.authorisation)),
        Column(key="risk", heading="Risk", cell=lambda row, _: humane(row.risk)),
        Column(key="window", heading="Window", look="small", order="window_start", cell=_window),
        Column(key="touches", heading="Touches", look="small wrap", needs=("cis",),
               cell=lambda row, beside: items(row.cis, beside)),
        Column(key="group", heading="Group", shown=False, order="assignment_group",
               cell=lambda row, _: words(row.assignment_group)),
        Column(key="requester", heading="Requested by", shown=False, needs=("people",),
               cell=lambda row, beside: person(row.requester, beside)),
        Column(key="environment", heading="Environment", shown=False, order="environment",
               cell=lambda row, _: words(row.environment)),
        Column(key="model", heading="Model", shown=False, order="model", cell=lambda row, _: words(row.model)),
        Column(key="outcome", heading="Outcome", shown=False, order="outcome", cell=lambda row, _: humane(row.outcome)),
        Column(key="incident", heading="For incident", shown=False, look="keep", needs=("incidents",), cell=_incident),
        Column(key="started", heading="Started", shown=False, order="started_at", newest=True,
               cell=lambda row, beside: instant(row.started_at, beside)),
        Column(key="finished", heading="Finished", shown=False, order="finished_at", newest=True,
               cell=lambda row, beside: instant(row.finished_at, beside)),
        Column(key="changed", heading="Changed", shown=False, order="updated_at", newest=True,
               cell=lambda row, beside: instant(row.updated_at, beside)),
        organisation,
    ),
)  # fmt: skip


def _decisions(asked: Asked, cursor: str, limit: int) -> Slice:
    rows = records.of("gate_decision")
    if wanted := asked.get("decision"):
        rows = rows.filter(decision=wanted)
    return stored(rows, asked, cursor, limit)


def _about(row: Any, _: Beside) -> Cell:
    if row.change:
        return link(row.change_number, f"/changes/{row.change}")
    return words(row.change_number or "none named")


def _reasons(row: Any, _: Beside) -> Cell:
    return words(
        " ".join(
            str(each.get("text", each) if isinstance(each, dict) else each) for each in row.reasons or ()
        )
    )


GATE: Final = Table(
    key="gate",
    title="Gate decisions",
    path="/changes/gate",
    permission="change:read",
    fixed="answer",
    fetch=_decisions,
    filters=(Filter(name="decision", choices=DECISIONS),),
    loaders={"people": labels("asked_by"), "organisations": organisations},
    columns=(
        Column(key="asked", heading="Asked", order="id", newest=True,
               cell=lambda row, beside: instant(row.created_at, beside)),
        Column(key="answer", heading="Answer", order="decision", cell=lambda row, _: state(row.decision)),
        Column(key="change", heading="Change", cell=_about),
        Column(key="environment", heading="Environment", order="environment", cell=lambda row, _: words(row.environment)),
        Column(key="artefact", heading="Artefact", cell=lambda row, _: code(row.artefact_hash)),
        Column(key="reasons", heading="Reasons", look="wrap small", cell=_reasons),
        Column(key="asked_by", heading="Asked by", shown=False, needs=("people",),
               cell=lambda row, beside: person(row.asked_by, beside)),
        Column(key="items", heading="Items", shown=False, number=True, cell=lambda row, _: number(len(row.cis or ()))),
        Column(key="expires", heading="Expires", shown=False, order="expires_at",
               cell=lambda row, beside: instant(row.expires_at, beside)),
        organisation,
    ),
)  # fmt: skip
