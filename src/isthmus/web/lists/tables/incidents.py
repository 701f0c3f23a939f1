"""Incidents, what waits on them, and the reviews that major ones owe."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from isthmus.kernel.actor import Actor
from isthmus.kernel.kinds.incident import INCIDENT_STATES, LEVELS
from isthmus.practices.incident.waits import OPEN
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
    quiet,
    state,
    together,
    unbroken,
    words,
)
from isthmus.web.lists.showing import stored
from isthmus.web.lists.table import Column, Filter, Slice, Table
from isthmus.web.lists.tables.loading import (
    counted,
    item,
    labels,
    organisation,
    organisations,
    person,
    readable,
    titles,
    whole,
)

OPEN_STATES: Final = ("new", "in_progress", "on_hold")
WAIT_STATES: Final = ("escalated", "recovered", "ended")
REVIEW_STATES: Final = ("open", "overdue", "done")


def _incidents(asked: Asked, cursor: str, limit: int) -> Slice:
    rows = records.of("incident")
    wanted = asked.get("state")
    if wanted == "open":
        rows = rows.filter(state__in=OPEN_STATES)
    elif wanted in INCIDENT_STATES:
        rows = rows.filter(state=wanted)
    if levels := asked.several("priority"):
        rows = rows.filter(priority__in=levels)
    for name, field in (
        ("group", "assignment_group"),
        ("ci", "ci"),
        ("service", "service"),
        ("assignee", "assignee"),
        ("problem", "problem"),
    ):
        if value := asked.get(name):
            rows = rows.filter(**{field: value})
    return stored(rows, asked, cursor, limit)


def _links(rows: Sequence[Any], reader: Actor) -> dict[str, list[Any]]:
    """Return incident → its links; one query."""
    found: dict[str, list[Any]] = {}
    if readable("link", reader):
        ids = [each.id for each in rows]
        for each in records.of("link").filter(record__in=ids).exclude(state="unlinked").order_by("id"):
            found.setdefault(each.record, []).append(each)
    return found


def _title(row: Any, _: Beside) -> Cell:
    return together(words(row.title), state("major", "Major", "bad") if row.major else None)


def _affects(row: Any, beside: Beside) -> Cell:
    more = beside.name("cis", row.service) if row.service and row.service != row.ci else ""
    return together(item(row.ci, beside) if row.ci else None, quiet(more) if more else None)


def _who(row: Any, beside: Beside) -> Cell:
    return person(row.assignee, beside) if row.assignee else words(row.assignment_group or "nobody")


def _tickets(row: Any, beside: Beside) -> Cell:
    held = beside.loaded["links"].get(row.id, ())
    if not held:
        return quiet("here only")
    return together(*(unbroken(each.external_label or each.connection) for each in held), by=", ")


def _opened_by(row: Any, beside: Beside) -> Cell:
    return person(row.caller, beside) if row.caller else quiet(f"by {row.channel}")


INCIDENTS: Final = Table(
    key="incidents",
    title="Incidents",
    path="/incidents",
    permission="incident:read",
    fixed="number",
    fetch=_incidents,
    filters=(
        Filter(name="state", choices=INCIDENT_STATES, keywords=("open", "any"), usual="open"),
        Filter(name="priority", choices=LEVELS, many=True),
        Filter(name="group"),
        Filter(name="ci", linked=True),
        Filter(name="service", linked=True),
        Filter(name="assignee", linked=True),
        Filter(name="problem", linked=True),
    ),
    former={"newest": "-number", "changed": "-changed"},
    loaders={
        "cis": titles("ci", "name", "ci", "service"),
        "people": labels("assignee", "caller"),
        "links": _links,
        "alerts": counted("alert", "incident"),
        "organisations": organisations,
    },
    columns=(
        Column(key="number", heading="Number", order="id", newest=True, look="keep",
               cell=lambda row, _: link(row.number or "incident", f"/incidents/{row.id}")),
        Column(key="title", heading="Title", look="wrap", cell=_title),
        Column(key="state", heading="State", order="state", cell=lambda row, _: state(row.state)),
        Column(key="priority", heading="Priority", order="priority", cell=lambda row, _: level(row.priority)),
        Column(key="affects", heading="Affects", look="wrap", needs=("cis",), cell=_affects),
        Column(key="who", heading="Who", look="wrap", needs=("people",), cell=_who),
        Column(key="in", heading="In", look="small", needs=("links",), cell=_tickets),
        Column(key="opened", heading="Opened", order="opened_at", newest=True,
               cell=lambda row, beside: instant(row.opened_at or row.created_at, beside)),
        Column(key="changed", heading="Changed", shown=False, order="updated_at", newest=True,
               cell=lambda row, beside: instant(row.updated_at, beside)),
        Column(key="service", heading="Service", shown=False, look="wrap", needs=("cis",),
               cell=lambda row, beside: item(row.service, beside)),
        Column(key="group", heading="Group", shown=False, order="assignment_group",
               cell=lambda row, _: words(row.assignment_group)),
        Column(key="assignee", heading="Assignee", shown=False, needs=("people",),
               cell=lambda row, beside: person(row.assignee, beside)),
        Column(key="opened_by", heading="Opened by", shown=False, needs=("people",), cell=_opened_by),
        Column(key="respond_by", heading="Respond by", shown=False, order="respond_by",
               cell=lambda row, beside: instant(row.respond_by, beside)),
        Column(key="resolve_by", heading="Resolve by", shown=False, order="resolve_by",
               cell=lambda row, beside: instant(row.resolve_by, beside)),
        Column(key="resolved", heading="Resolved", shown=False, order="resolved_at", newest=True,
               cell=lambda row, beside: instant(row.resolved_at, beside)),
        Column(key="alerts", heading="Alerts", shown=False, number=True, needs=("alerts",),
               cell=lambda row, beside: number(beside.loaded["alerts"].get(row.id, 0))),
        Column(key="impact", heading="Impact", shown=False, order="impact", cell=lambda row, _: words(row.impact)),
        Column(key="urgency", heading="Urgency", shown=False, order="urgency", cell=lambda row, _: words(row.urgency)),
        Column(key="category", heading="Category", shown=False, order="category", cell=lambda row, _: words(row.category)),
        Column(key="on_hold_for", heading="On hold for", shown=False, cell=lambda row, _: humane(row.hold_reason)),
        organisation,
    ),
)  # fmt: skip


def _waits(asked: Asked, cursor: str, limit: int) -> Slice:
    rows = records.of("wait")
    wanted = asked.get("state")
    if wanted == "open":
        rows = rows.filter(state__in=OPEN)
    elif wanted in WAIT_STATES:
        rows = rows.filter(state=wanted)
    for name in ("workflow", "partner", "owner"):
        if name in asked.values:
            rows = rows.filter(**{name: asked.values[name]})
    return stored(rows, asked, cursor, limit)


def _waiting_incident(row: Any, beside: Beside) -> Cell:
    found = beside.loaded["incidents"].get(row.record)
    if found is None:
        return link("record", f"/trace/{row.about}")
    return link(found.number, f"/incidents/{found.id}", after=words(f"{found.title}"[:60]))


def _limit(row: Any, beside: Beside) -> Cell:
    late = row.limit_at is not None and row.limit_at <= beside.now and row.state == "waiting"
    return together(state("late", "Late", "bad") if late else None, instant(row.limit_at, beside))


WAITING: Final = Table(
    key="waiting",
    title="Waiting",
    path="/waiting",
    permission="incident:read",
    fixed="incident",
    fetch=_waits,
    order="since",
    filters=(
        Filter(name="state", choices=WAIT_STATES, keywords=("open", "any"), usual="open"),
        Filter(name="workflow", blank=True, linked=True),
        Filter(name="partner", blank=True, linked=True),
        Filter(name="owner", blank=True, linked=True),
        Filter(name="by", choices=("workflow", "partner", "owner"), usual="workflow"),
    ),
    loaders={"incidents": whole("incident", "record"), "organisations": organisations},
    columns=(
        Column(key="workflow", heading="Waits for", cell=lambda row, _: humane(row.workflow)),
        Column(key="incident", heading="Incident", needs=("incidents",), cell=_waiting_incident),
        Column(key="partner", heading="Whose move", cell=lambda row, _: words(row.partner or "ours")),
        Column(key="owner", heading="Owner", cell=lambda row, _: words(row.owner or "nobody")),
        Column(key="since", heading="Since", order="since", cell=lambda row, beside: instant(row.since, beside)),
        Column(key="limit", heading="Limit", order="limit_at", cell=_limit),
        Column(key="state", heading="State", order="state", cell=lambda row, _: state(row.state)),
        Column(key="found", heading="Found out", look="wrap small", cell=lambda row, _: words(row.found)),
        Column(key="escalated", heading="Escalated", shown=False,
               cell=lambda row, beside: instant(row.escalated_at, beside)),
        organisation,
    ),
)  # fmt: skip


def _reviews(asked: Asked, cursor: str, limit: int) -> Slice:
    rows = records.of("incident_review")
    wanted = asked.get("state")
    if wanted == "owed":
        rows = rows.exclude(state="done")
    elif wanted in REVIEW_STATES:
        rows = rows.filter(state=wanted)
    return stored(rows, asked, cursor, limit)


def _reviewed(row: Any, beside: Beside) -> Cell:
    found = beside.loaded["incidents"].get(row.record)
    return (
        link(found.number, f"/incidents/{found.id}", after=words(found.title)) if found is not None else EMPTY
    )


REVIEWS: Final = Table(
    key="reviews",
    title="Reviews",
    path="/reviews",
    permission="incident:read",
    fixed="number",
    fetch=_reviews,
    filters=(Filter(name="state", choices=REVIEW_STATES, keywords=("owed", "any"), usual="owed"),),
    loaders={"incidents": whole("incident", "record"), "organisations": organisations},
    columns=(
        Column(key="number", heading="Number", order="id", newest=True,
               cell=lambda row, _: link(row.number, f"/reviews/{row.id}")),
        Column(key="incident", heading="Incident", look="wrap", needs=("incidents",), cell=_reviewed),
        Column(key="owner", heading="Owner", cell=lambda row, _: words(row.owner)),
        Column(key="due", heading="Due", order="due_at", cell=lambda row, beside: instant(row.due_at, beside)),
        Column(key="state", heading="State", order="state", cell=lambda row, _: state(row.state)),
        Column(key="actions", heading="Actions", shown=False, number=True,
               cell=lambda row, _: number(len(row.actions or ()))),
        Column(key="changed", heading="Changed", shown=False, order="updated_at", newest=True,
               cell=lambda row, beside: instant(row.updated_at, beside)),
        organisation,
    ),
)  # fmt: skip
