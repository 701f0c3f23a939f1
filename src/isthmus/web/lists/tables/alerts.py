"""Alerts, those that wait for a person's word, and silences."""

from __future__ import annotations

from typing import Any, Final

from django.db.models import Q
from django.utils.html import format_html, format_html_join

from isthmus.kernel.kinds.monitoring import ALERT_DECISIONS, ALERT_STATES, SEVERITIES
from isthmus.practices.monitoring import drafts
from isthmus.practices.monitoring.rules.classification import CLASSES, classify, severities_of
from isthmus.practices.monitoring.surroundings import matchers_of
from isthmus.web import records
from isthmus.web.lists.asked import Asked
from isthmus.web.lists.cell import (
    EMPTY,
    Beside,
    Cell,
    alarming,
    aside,
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
from isthmus.web.lists.tables.loading import item, labels, organisation, organisations, titles, whole

SUMMARY_CHARACTERS: Final = 120
LABELS_SHOWN: Final = 8
MARKS: Final = {
    "nobody": "Nobody has it", "taken": "Somebody has it", "silenced": "Silenced at its source", "astray": "Did not stick",
}  # fmt: skip
_MARKED: Final = {
    "nobody": Q(taken_at__isnull=True, acknowledged=False), "taken": Q(taken_at__isnull=False) | Q(acknowledged=True),
    "silenced": Q(silenced=True), "astray": Q(astray=True),
}  # fmt: skip
SILENCE_STATES: Final = ("active", "expired")


def _alerts(asked: Asked, cursor: str, limit: int) -> Slice:
    rows = records.of("alert")
    if (wanted := asked.get("state")) in ALERT_STATES:
        rows = rows.filter(state=wanted)
    if kind := asked.get("classification"):
        rows = rows.filter(severity__in=severities_of(kind))
    for name in ("severity", "decision", "connection", "ci", "incident"):
        if value := asked.get(name):
            rows = rows.filter(**{name: value})
    if mark := asked.get("mark"):
        rows = rows.filter(_MARKED[mark])
    return stored(rows, asked, cursor, limit)


def _alert(row: Any, _: Beside) -> Cell:
    said = str(row.summary or row.identity)
    said = said if len(said) <= SUMMARY_CHARACTERS else f"{said[: SUMMARY_CHARACTERS - 1]}…"
    return lines((link(said, f"/alerts/{row.id}"), aside(row.connection)))


def _item(row: Any, beside: Beside) -> Cell:
    return item(row.ci, beside) if row.ci else quiet("unknown")


def _decision(row: Any, _: Beside) -> Cell:
    at = row.connection
    by = f" by {row.acknowledged_by}" if row.acknowledged_by else ""
    return lines(
        (
            together(humane(row.decision), aside(row.decision_reason) if row.decision_reason else None),
            aside(f"{row.taken_by} has it") if row.taken_by else None,
            aside(f"acknowledged at {at}{by}") if row.acknowledged else None,
            aside(f"silenced at {at}") if row.silenced else None,
            alarming(f"did not stick at {at}") if row.astray else None,
        )
    )


def _labels(row: Any, _: Beside) -> Cell:
    held = [f"{name}={value}" for name, value in sorted((row.labels or {}).items())]
    if not held:
        return EMPTY
    more = "" if len(held) <= LABELS_SHOWN else f" and {len(held) - LABELS_SHOWN} more"
    shown = format_html_join(" ", "<code>{}</code>", ((each,) for each in held[:LABELS_SHOWN]))
    return Cell(" ".join(held), format_html("{}{}", shown, more))


def _incident(row: Any, beside: Beside) -> Cell:
    found = beside.loaded["incidents"].get(row.incident)
    return link(found.number, f"/incidents/{found.id}") if found is not None else EMPTY


_SEVERITY = Column(key="severity", heading="Severity", cell=lambda row, _: state(row.severity))
_STATE = Column(key="state", heading="State", order="state", cell=lambda row, _: state(row.state))
_ITEM = Column(key="item", heading="Item", look="wrap", needs=("cis",), cell=_item)
_TIMES = Column(
    key="times", heading="Times", number=True, order="occurrences", newest=True,
    cell=lambda row, _: number(row.occurrences),
)  # fmt: skip
_SINCE = Column(
    key="since", heading="Since", order="starts_at", newest=True,
    cell=lambda row, beside: instant(row.starts_at or row.created_at, beside),
)  # fmt: skip
_SOURCE = Column(
    key="source", heading="Source", shown=False, order="connection", cell=lambda row, _: words(row.connection)
)
_LABELS = Column(key="labels", heading="Labels", shown=False, look="wrap small", cell=_labels)
_LAST = Column(
    key="last_seen", heading="Last seen", shown=False, order="last_seen_at", newest=True,
    cell=lambda row, beside: instant(row.last_seen_at, beside),
)  # fmt: skip

ALERTS: Final = Table(
    key="alerts",
    title="Alerts",
    path="/alerts",
    permission="alert:read",
    fixed="alert",
    fetch=_alerts,
    filters=(
        Filter(name="state", choices=ALERT_STATES, keywords=("any",), usual="firing"),
        Filter(name="severity", choices=SEVERITIES),
        Filter(name="classification", choices=tuple(CLASSES)),
        Filter(name="mark", choices=tuple(MARKS)),
        Filter(name="decision", choices=ALERT_DECISIONS),
        Filter(name="connection"),
        Filter(name="ci", linked=True),
        Filter(name="incident", linked=True),
    ),
    loaders={
        "cis": titles("ci", "name", "ci", "service"),
        "incidents": whole("incident", "incident"),
        "organisations": organisations,
    },
    columns=(
        Column(key="alert", heading="Alert", look="wrap", cell=_alert),
        _SEVERITY,
        _STATE,
        _ITEM,
        Column(key="decision", heading="What became of it", look="wrap", cell=_decision),
        _TIMES,
        _SINCE,
        _LAST,
        Column(key="ended", heading="Ended", shown=False, order="ends_at", newest=True,
               cell=lambda row, beside: instant(row.ends_at, beside)),
        Column(key="kind", heading="Kind", shown=False, cell=lambda row, _: humane(classify(row.severity))),
        Column(key="service", heading="Service", shown=False, look="wrap", needs=("cis",),
               cell=lambda row, beside: item(row.service, beside)),
        Column(key="incident", heading="Incident", shown=False, look="keep", needs=("incidents",), cell=_incident),
        Column(key="taken_by", heading="Who has it", shown=False, cell=lambda row, _: words(row.taken_by)),
        _SOURCE,
        _LABELS,
        organisation,
    ),
)  # fmt: skip


def _drafts(asked: Asked, cursor: str, limit: int) -> Slice:
    rows = records.of("alert").filter(decision=drafts.DRAFTED, open=True)
    if connection := asked.get("connection"):
        rows = rows.filter(connection=connection)
    return stored(rows, asked, cursor, limit)


DRAFTS: Final = Table(
    key="drafts",
    title="Drafts",
    path="/drafts",
    limit=25,
    permission="alert:read",
    fixed="alert",
    fetch=_drafts,
    filters=(Filter(name="connection", linked=True),),
    loaders={"cis": titles("ci", "name", "ci", "service"), "organisations": organisations},
    columns=(
        Column(key="alert", heading="Alert", look="wrap", cell=_alert),
        _SEVERITY,
        _STATE,
        _ITEM,
        Column(key="service", heading="Service", look="wrap", needs=("cis",),
               cell=lambda row, beside: item(row.service, beside)),
        Column(key="why", heading="Why only a draft", look="wrap small", cell=lambda row, _: words(row.decision_reason)),
        _TIMES,
        _SINCE,
        _LAST,
        _SOURCE,
        _LABELS,
        organisation,
    ),
)  # fmt: skip


def _silences(asked: Asked, cursor: str, limit: int) -> Slice:
    rows = records.of("silence")
    if (wanted := asked.get("state")) in SILENCE_STATES:
        rows = rows.filter(state=wanted)
    if connection := asked.get("connection"):
        rows = rows.filter(connection=connection)
    return stored(rows, asked, cursor, limit)


def matchers(silence: Any) -> list[str]:
    """Return what a silence matches, in words."""
    held = silence.matchers if isinstance(silence.matchers, list) else []
    return [
        str(each)
        for each in matchers_of(each for each in held if isinstance(each, dict) and each.get("label"))
    ]


def _matches(row: Any, _: Beside) -> Cell:
    said = matchers(row)
    return Cell(" ".join(said), format_html_join(" ", "<code>{}</code>", ((each,) for each in said)))


def _owner(row: Any, beside: Beside) -> Cell:
    return words(beside.name("people", row.owner) or row.owner_label or row.owner or "unknown")


def _where(row: Any, _: Beside) -> Cell:
    if row.connection:
        return words(f"held by {row.connection}")
    held = row.mirrors if isinstance(row.mirrors, dict) else {}
    mirrors = [
        alarming(f"{name}: {each.get('why', '')}")
        if each.get("state") == "astray"
        else words(f"{name} ({each.get('state', '')})")
        for name, each in sorted(held.items())
        if isinstance(each, dict)
    ]
    return together(words("here"), *mirrors, by=", ")


SILENCES: Final = Table(
    key="silences",
    title="Silences",
    path="/silences",
    permission="alert:read",
    fixed="matches",
    fetch=_silences,
    filters=(
        Filter(name="state", choices=SILENCE_STATES, keywords=("any",), usual="active"),
        Filter(name="connection"),
    ),
    loaders={
        "people": labels("owner"),
        "organisations": organisations,
    },
    columns=(
        Column(key="matches", heading="Matches", look="wrap", cell=_matches),
        Column(key="state", heading="State", order="state", cell=lambda row, _: state(row.state)),
        Column(key="why", heading="Why", look="wrap", cell=lambda row, _: words(row.comment)),
        Column(key="owner", heading="Owner", needs=("people",), cell=_owner),
        Column(key="from", heading="From", order="starts_at", newest=True,
               cell=lambda row, beside: instant(row.starts_at, beside)),
        Column(key="until", heading="Until", order="ends_at", newest=True,
               cell=lambda row, beside: instant(row.ends_at, beside)),
        Column(key="where", heading="Where", look="wrap", cell=_where),
        Column(key="astray", heading="Did not stick", shown=False, cell=lambda row, _: words("yes" if row.astray else "no")),
        organisation,
    ),
)  # fmt: skip
