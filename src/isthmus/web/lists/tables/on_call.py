"""Escalations and notifications: what needs somebody, and who was told."""

from __future__ import annotations

from typing import Any, Final

from isthmus.kernel.kinds.on_call import ESCALATION_STATES, NOTIFICATION_STATES
from isthmus.web import records
from isthmus.web.lists.asked import Asked
from isthmus.web.lists.cell import (
    EMPTY,
    Beside,
    Cell,
    aside,
    humane,
    instant,
    lines,
    link,
    number,
    state,
    together,
    words,
    yes,
)
from isthmus.web.lists.showing import stored
from isthmus.web.lists.table import Column, Filter, Slice, Table
from isthmus.web.lists.tables.loading import labels, organisation, organisations, person, titles

TITLE_CHARACTERS: Final = 300
_NUMBERS: Final = titles("incident", "number", "subject")


def _escalations(asked: Asked, cursor: str, limit: int) -> Slice:
    rows = records.of("escalation").all()
    for name in ("state", "policy", "subject"):
        if value := asked.get(name):
            rows = rows.filter(**{name: value})
    return stored(rows, asked, cursor, limit)


def _about(row: Any, beside: Beside) -> Cell:
    return link(beside.name("numbers", row.subject, row.subject), f"/on-call/escalations/{row.id}")


ESCALATIONS: Final = Table(
    key="escalations",
    title="Escalations",
    path="/on-call/escalations",
    permission="oncall:read",
    fixed="about",
    fetch=_escalations,
    filters=(
        Filter(name="state", choices=ESCALATION_STATES),
        Filter(name="policy", linked=True),
        Filter(name="subject", linked=True),
    ),
    loaders={"numbers": _NUMBERS, "people": labels("acknowledged_by"), "organisations": organisations},
    columns=(
        Column(key="about", heading="About", needs=("numbers",), cell=_about),
        Column(key="policy", heading="Policy", order="policy",
               cell=lambda row, _: together(words(row.policy or "by hand"), aside(row.trigger.replace("_", " ")))),
        Column(key="state", heading="State", order="state", cell=lambda row, _: state(row.state)),
        Column(key="since", heading="Since", order="started_at", newest=True,
               cell=lambda row, beside: instant(row.started_at, beside)),
        Column(key="next", heading="Next step", order="next_at", cell=lambda row, beside: instant(row.next_at, beside)),
        Column(key="acknowledged", heading="Acknowledged", shown=False, order="acknowledged_at", newest=True,
               cell=lambda row, beside: instant(row.acknowledged_at, beside)),
        Column(key="by", heading="By", shown=False, needs=("people",),
               cell=lambda row, beside: person(row.acknowledged_by, beside)),
        Column(key="ended", heading="Ended", shown=False, order="ended_at", newest=True,
               cell=lambda row, beside: instant(row.ended_at, beside)),
        Column(key="kind", heading="Kind", shown=False, cell=lambda row, _: humane(row.subject_kind)),
        organisation,
    ),
)  # fmt: skip


def _notifications(asked: Asked, cursor: str, limit: int) -> Slice:
    rows = records.of("notification").all()
    for name in ("state", "channel", "connection", "subject"):
        if value := asked.get(name):
            rows = rows.filter(**{name: value})
    return stored(rows, asked, cursor, limit)


def _whom(row: Any, beside: Beside) -> Cell:
    who = beside.name("people", row.person) or row.channel or row.target
    return together(words(who), aside(row.target) if row.target else None)


def _evidence(row: Any, beside: Beside) -> Cell:
    held = [each for each in row.receipts or () if isinstance(each, dict)]
    return lines(_receipt(each, beside) for each in held) if held else EMPTY


def _receipt(said: dict[str, Any], beside: Beside) -> Cell:
    ref = f" {said['ref']}" if said.get("ref") else ""
    read_back = " (read back)" if said.get("read_back") else ""
    cause = f": {said['cause']}" if said.get("cause") else ""
    text = f"{said.get('channel', '')}: {said.get('state', '')}{ref}{read_back}{cause}"
    at = said.get("at")
    return together(words(text), instant(at, beside) if isinstance(at, int) else None)


def _subject(row: Any, beside: Beside) -> Cell:
    called = beside.name("numbers", row.subject)
    return link(called, f"/incidents/{row.subject}") if called else humane(row.subject_kind)


NOTIFICATIONS: Final = Table(
    key="notifications",
    title="Notifications",
    path="/on-call/notifications",
    permission="oncall:read",
    fixed="who",
    fetch=_notifications,
    filters=(
        Filter(name="state", choices=NOTIFICATION_STATES),
        Filter(name="channel"),
        Filter(name="connection"),
        Filter(name="subject", linked=True),
    ),
    loaders={"people": labels("person"), "numbers": _NUMBERS, "organisations": organisations},
    columns=(
        Column(key="who", heading="Who", needs=("people",), cell=_whom),
        Column(key="what", heading="What", look="wrap small",
               cell=lambda row, _: words(str(row.title or "")[:TITLE_CHARACTERS])),
        Column(key="state", heading="State", order="state",
               cell=lambda row, _: together(state(row.state), aside(row.cause) if row.cause else None)),
        Column(key="evidence", heading="Evidence", look="wrap small", cell=_evidence),
        Column(key="when", heading="When", order="planned_at", newest=True,
               cell=lambda row, beside: instant(row.planned_at, beside)),
        Column(key="about", heading="About", shown=False, needs=("numbers",), cell=_subject),
        Column(key="channel", heading="Channel", shown=False, order="channel", cell=lambda row, _: words(row.channel)),
        Column(key="system", heading="System", shown=False, order="connection", cell=lambda row, _: words(row.connection)),
        Column(key="sent", heading="Sent", shown=False, order="sent_at", newest=True,
               cell=lambda row, beside: instant(row.sent_at, beside)),
        Column(key="held_until", heading="Held until", shown=False, order="held_until",
               cell=lambda row, beside: instant(row.held_until, beside)),
        Column(key="urgent", heading="Urgent", shown=False, cell=lambda row, _: yes(row.urgent)),
        Column(key="step", heading="Step", shown=False, number=True, cell=lambda row, _: number(row.step)),
        organisation,
    ),
)  # fmt: skip
