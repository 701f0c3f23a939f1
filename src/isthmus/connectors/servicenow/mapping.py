"""ServiceNow's incident and change request in canonical words: pure tables, both directions.

ServiceNow derives an incident's priority from impact × urgency, so a priority is written by writing a pair
that yields it (`PAIRS`); impact and urgency themselves are not synchronised. State and approval of a change
request are evidence: reported beside the values, never among them.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence

from isthmus.kernel.errors import Rejected
from isthmus.kernel.instant import Instant, from_datetime
from isthmus.kernel.mapping import FieldMapping, RecordMapping
from isthmus.kernel.observation import ExternalRef, Observation, ObservedComment
from isthmus.kernel.record import Json

INCIDENT = "incident"
CHANGE = "change_request"

PAIRS: Mapping[str, tuple[str, str]] = {
    "1": ("1", "1"),
    "2": ("1", "2"),
    "3": ("2", "2"),
    "4": ("2", "3"),
    "5": ("3", "3"),
}
"""Priority → (impact, urgency) that ServiceNow's baseline data lookup turns into it."""

_LINE = ("collapse", "cut 160", "trim")
_TEXT = ("newlines", "trim", "cut 4000")
_PRIORITY = FieldMapping(
    external="priority",
    outward={"1": "1", "2": "2", "3": "3", "4": "4"},
    inward={"1": "1", "2": "2", "3": "3", "4": "4", "5": "4"},
    loss="5 (planning) comes in as 4; impact and urgency are chosen to yield the priority.",
)
_TITLE = FieldMapping(external="short_description", normalise=_LINE, loss="One line of 160 characters.")
_DESCRIPTION = FieldMapping(external="description", normalise=_TEXT, loss="At most 4000 characters.")
_NUMBER = FieldMapping(external="correlation_display", direction="out")
_GROUP = FieldMapping(external="assignment_group", normalise=("trim",), loss="Known by the group's name.")

INCIDENT_MAPPING = RecordMapping(
    kind="incident",
    external_kind=INCIDENT,
    fields={
        "number": _NUMBER,
        "title": _TITLE,
        "description": _DESCRIPTION,
        "state": FieldMapping(
            external="state",
            outward={
                "new": "1", "in_progress": "2", "on_hold": "3", "resolved": "6", "closed": "7", "cancelled": "8",
            },
        ),
        "resolution_code": FieldMapping(external="close_code", normalise=("trim",), loss="Outer blanks go."),
        "resolution_notes": FieldMapping(external="close_notes", normalise=_TEXT, loss="At most 4000 characters."),
        "priority": _PRIORITY,
        "category": FieldMapping(external="category", normalise=("trim",), loss="Outer blanks go."),
        "assignment_group": _GROUP,
    },
)  # fmt: skip

CHANGE_MAPPING = RecordMapping(
    kind="change",
    external_kind=CHANGE,
    fields={
        "number": _NUMBER,
        "title": _TITLE,
        "description": _DESCRIPTION,
        "type": FieldMapping(
            external="type",
            direction="out",
            outward={"standard": "standard", "normal": "normal", "emergency": "emergency"},
        ),
        "window_start": FieldMapping(external="start_date", direction="out", convert="utc_text"),
        "window_end": FieldMapping(external="end_date", direction="out", convert="utc_text"),
        "implementation_plan": FieldMapping(
            external="implementation_plan", normalise=_TEXT, loss="At most 4000 characters."
        ),
        "backout_plan": FieldMapping(
            external="backout_plan", normalise=_TEXT, loss="At most 4000 characters."
        ),
        "priority": _PRIORITY,
        "assignment_group": _GROUP,
    },
)
MAPPINGS: Mapping[str, RecordMapping] = {"incident": INCIDENT_MAPPING, "change": CHANGE_MAPPING}

CHANGE_STATES: Mapping[str, str] = {
    "-5": "new", "-4": "assessment", "-3": "authorisation", "-2": "scheduled",
    "-1": "implementation", "0": "review", "3": "closed", "4": "cancelled",
}  # fmt: skip
APPROVALS: Mapping[str, str] = {
    "not requested": "not_requested",
    "requested": "requested",
    "approved": "approved",
    "rejected": "refused",
}
RISKS: Mapping[str, str] = {"2": "high", "3": "medium", "4": "low"}

INCIDENT_MOVES: Mapping[str, tuple[str, ...]] = {
    "1": ("2", "3", "6", "8"),
    "2": ("1", "3", "6", "8"),
    "3": ("1", "2", "6", "8"),
    "6": ("2", "7"),
    "7": (),
    "8": (),
}
"""What an incident may become next; closed and cancelled are final for an integration user."""

SYSTEM_FIELDS = (
    "sys_id", "number", "sys_mod_count", "sys_updated_on", "sys_updated_by", "sys_created_on", "sys_created_by",
    "correlation_id", "correlation_display",
)  # fmt: skip
EVIDENCE_FIELDS = ("state", "approval", "risk", "type", "start_date", "end_date", "cmdb_ci")
_OPEN, _CLOSE = "\n\n[isthmus ", "]"
MARK = "[isthmus "
"""Our comments end in a line `[isthmus <id>]`: journals have no hidden properties."""


def fields_read(mapping: RecordMapping) -> tuple[str, ...]:
    """Return the columns to ask for, without repeats."""
    evidence = EVIDENCE_FIELDS if mapping.external_kind == CHANGE else ("hold_reason",)
    mapped = (each.external for each in mapping.fields.values())
    return tuple(dict.fromkeys((*SYSTEM_FIELDS, *evidence, *mapped)))


def instant_of(text: str) -> Instant:
    """Return the instant of `2026-11-20 20:09:44`: raw values are UTC, whatever the user's zone."""
    try:
        return from_datetime(dt.datetime.strptime(text, "%Y-%m-%d %H:%M:%S").replace(tzinfo=dt.UTC))
    except ValueError as cause:
        raise Rejected(f"ServiceNow sent {text!r} where a UTC time belongs.") from cause


def observation(
    connection: str,
    url: str,
    row: Mapping[str, Json],
    mapping: RecordMapping,
    comments: Sequence[ObservedComment] | None = None,
) -> Observation:
    """Return what one row says. Each column is `{value, display_value}` or a raw text."""
    key, table = raw(row, "sys_id"), mapping.external_kind
    values: dict[str, Json] = {}
    for name in mapping.read():
        external = mapping.fields[name].external
        if external not in row:
            continue  # a webhook carries the columns that its rule lists; absent is not empty
        values[name] = shown(row, external) if external == "assignment_group" else raw(row, external)
    updated = raw(row, "sys_updated_on")
    return Observation(
        kind=mapping.kind,
        external=ExternalRef(
            connection=connection,
            kind=table,
            key=key,
            label=raw(row, "number"),
            url=f"{url}/nav_to.do?uri={table}.do%3Fsys_id%3D{key}",
        ),
        values=values,
        version=raw(row, "sys_mod_count"),
        occurred_at=instant_of(updated) if updated else None,
        source_zone="UTC",
        partner_actor=raw(row, "sys_updated_by"),
        comments=None if comments is None else tuple(comments),
        correlation=raw(row, "correlation_id"),
        evidence=_evidence(row, values) if table == CHANGE else {},
    )


def _evidence(row: Mapping[str, Json], content: Mapping[str, Json]) -> dict[str, Json]:
    """Return what the partner claims about authority, with the content that it claims it for."""
    state, approval, risk = raw(row, "state"), raw(row, "approval"), raw(row, "risk")
    found: dict[str, Json] = {
        "state": CHANGE_STATES.get(state, ""),
        "authorisation": APPROVALS.get(approval, ""),
        "risk": RISKS.get(risk, ""),
        "partner_state": state,
        "partner_approval": approval,
        "type": raw(row, "type"),
        "content": dict(content),
    }
    # A webhook carries the columns that its rule lists: an absent one says nothing, an empty one says "none".
    for name, column in (("window_start", "start_date"), ("window_end", "end_date")):
        if column in row:
            text = raw(row, column)
            found[name] = instant_of(text) if text else None
    if "sys_created_by" in row:
        found["requester"] = raw(row, "sys_created_by")
    if "cmdb_ci" in row:
        item = shown(row, "cmdb_ci") or raw(row, "cmdb_ci")
        found["cis"] = [item] if item else []
    return found


def comment(entry: Mapping[str, Json]) -> ObservedComment:
    """Return a journal entry as a comment; the marker of ours is taken off."""
    body, correlation = split_mark(raw(entry, "value"))
    written = raw(entry, "sys_created_on")
    return ObservedComment(
        key=raw(entry, "sys_id"),
        body=body,
        author=raw(entry, "sys_created_by"),
        public=raw(entry, "element") == "comments",
        at=instant_of(written) if written else None,
        correlation=correlation,
    )


def marked(body: str, correlation: str) -> str:
    """Return the text of a comment of ours as it is written."""
    return f"{body.strip()}{_OPEN}{correlation}{_CLOSE}"


def split_mark(text: str) -> tuple[str, str]:
    """Return body and correlation of a journal text; the correlation is "" if the text is not ours."""
    body, found, rest = text.rstrip().rpartition(_OPEN)
    if found and rest.endswith(_CLOSE) and " " not in rest:
        return body, rest[: -len(_CLOSE)]
    return text, ""


def raw(row: Mapping[str, Json], column: str) -> str:
    """Return a column's stored value ("" if absent): the same for every user."""
    return _side(row.get(column), "value")


def shown(row: Mapping[str, Json], column: str) -> str:
    """Return a column's display value: only for names, never for times or choices."""
    return _side(row.get(column), "display_value")


def _side(cell: Json, side: str) -> str:
    value = cell.get(side) if isinstance(cell, dict) else cell
    return "" if value is None else str(value)
