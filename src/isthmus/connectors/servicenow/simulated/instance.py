"""The records of a simulated instance and the rules that the product enforces on them.

Mandatory resolution fields, derived priority, journals, `sys_mod_count`, cut texts, final states and columns
that an access rule silently ignores: what a connector stumbles over is here, the rest is not.
"""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from isthmus.connectors.kit.shelf import Shelf
from isthmus.connectors.servicenow.simulated.service_levels import COLUMNS as TASK_SLA_COLUMNS
from isthmus.connectors.servicenow.simulated.service_levels import TASK_SLA

INCIDENT = "incident"
CHANGE = "change_request"
JOURNAL = "sys_journal_field"
GROUP = "sys_user_group"
FILE, CONTENT = "sys_attachment", "sys_attachment_doc"
JOURNALS = ("comments", "work_notes")

_COMMON = (
    "sys_id", "number", "sys_mod_count", "sys_updated_on", "sys_updated_by", "sys_created_on", "sys_created_by",
    "correlation_id", "correlation_display", "short_description", "description", "state", "impact", "urgency",
    "priority", "category", "assignment_group", "assigned_to", "cmdb_ci", "active",
)  # fmt: skip
_COLUMNS: Mapping[str, tuple[str, ...]] = {
    INCIDENT: (*_COMMON, "close_code", "close_notes", "hold_reason", "caller_id"),
    CHANGE: (
        *_COMMON, "type", "approval", "risk", "start_date", "end_date", "implementation_plan", "backout_plan",
    ),
    JOURNAL: ("sys_id", "element_id", "name", "element", "value", "sys_created_on", "sys_created_by"),
    GROUP: ("sys_id", "name"),
    TASK_SLA: TASK_SLA_COLUMNS,
    FILE: (
        "sys_id", "table_name", "table_sys_id", "file_name", "content_type", "size_bytes", "sys_created_on", "sys_created_by",
    ),
}  # fmt: skip
_WIDTHS: Mapping[str, int] = {"short_description": 160, "description": 4000, "close_notes": 4000}
_DERIVED: Mapping[tuple[str, str], str] = {
    ("1", "1"): "1", ("1", "2"): "2", ("1", "3"): "3",
    ("2", "1"): "2", ("2", "2"): "3", ("2", "3"): "4",
    ("3", "1"): "3", ("3", "2"): "4", ("3", "3"): "5",
}  # fmt: skip
_LABELS: Mapping[str, str] = {"close_code": "Resolution code", "close_notes": "Resolution notes"}
_STATES: Mapping[str, tuple[str, ...]] = {
    INCIDENT: ("1", "2", "3", "6", "7", "8"),
    CHANGE: ("-5", "-4", "-3", "-2", "-1", "0", "3", "4"),
}
_DEFAULTS: Mapping[str, Mapping[str, str]] = {
    INCIDENT: {"state": "1", "impact": "3", "urgency": "3", "category": "inquiry", "active": "true"},
    CHANGE: {
        "state": "-5", "approval": "not requested", "risk": "3", "type": "normal", "priority": "4",
        "active": "true",
    },
}  # fmt: skip
_PREFIX: Mapping[str, str] = {INCIDENT: "INC", CHANGE: "CHG"}
_FINAL = ("7", "8")


class Refusal(Exception):
    """What the instance answers instead of doing it: a status, a message and a detail."""

    def __init__(self, status: int, message: str, detail: str) -> None:
        super().__init__(message)
        self.status, self.message, self.detail = status, message, detail


@dataclass(kw_only=True)
class Instance:
    """One instance. `shelf` gives the objects of a table, `clock` the current UTC time; `changed` hears of
    every insert and update.

    `ignored`: columns that an access rule makes read-only for the integration user: writes to them are
    accepted and dropped. `hidden`: sys_ids that the integration user may not see. `denied`: tables that it may not
    query, `blank`: columns that it may not read. `extra_columns` are custom columns of both task tables (`u_…`).
    """

    shelf: Callable[[str], Shelf]
    clock: Callable[[], dt.datetime]
    changed: Callable[[str, str, dict[str, str]], None] = lambda _table, _operation, _row: None
    integration_user: str = "isthmus.hub"
    ignored: set[str] = field(default_factory=set)
    hidden: set[str] = field(default_factory=set)
    denied: set[str] = field(default_factory=set)
    blank: set[str] = field(default_factory=set)
    extra_columns: tuple[str, ...] = ()

    def columns(self, table: str) -> frozenset[str]:
        """Return the columns of a table; 400 for a table that does not exist."""
        if table not in _COLUMNS:
            raise Refusal(400, "Invalid table " + table, "")
        extra = self.extra_columns if table in _PREFIX else ()
        return frozenset((*_COLUMNS[table], *extra))

    def require(self, table: str) -> None:
        """Refuse the integration user a table that it may not query."""
        if table in self.denied:
            raise Refusal(403, "User Not Authorized", "Failed API level ACL Validation")

    def add_group(self, name: str) -> str:
        """Add an assignment group; return its sys_id."""
        key = uuid.uuid4().hex
        self.shelf(GROUP).put(key, {"sys_id": key, "name": name})
        return key

    def sees(self, user: str, key: str) -> bool:
        """Return whether this user may read a record."""
        return user != self.integration_user or key not in self.hidden

    def rows(self, table: str) -> list[dict[str, str]]:
        """Return all rows of a table, whoever may read them."""
        self.columns(table)
        return [row for _, row in self.shelf(table).all()]

    def row(self, table: str, key: str, user: str) -> dict[str, str]:
        """Return one row; 404 if it is gone or hidden."""
        self.columns(table)
        found = self.shelf(table).get(key)
        if found is None or not self.sees(user, key):
            raise Refusal(
                404, "No Record found", "Record doesn't exist or ACL restricts the record retrieval"
            )
        return found

    def insert(self, table: str, values: Mapping[str, str], user: str) -> dict[str, str]:
        """Create a task as `user`; unknown columns are dropped without a word, as in the product."""
        columns = self.columns(table)
        if table not in _PREFIX:
            raise Refusal(403, "Operation Failed", "ACL Exception Insert Failed due to security constraints")
        now, key = self._now(), uuid.uuid4().hex
        row = dict.fromkeys(columns, "") | {
            **_DEFAULTS[table],
            "sys_id": key,
            "number": f"{_PREFIX[table]}{self.shelf(table).next_number() + 10000:07d}",
            "sys_mod_count": "0",
            "sys_created_on": now,
            "sys_created_by": user,
        }
        self._apply(table, row, values, user)
        row |= {"sys_updated_on": now, "sys_updated_by": user}
        self.shelf(table).put(key, row)
        self._journal(table, row, values, user)
        self.changed(table, "insert", row)
        return row

    def update(self, table: str, key: str, values: Mapping[str, str], user: str) -> dict[str, str]:
        """Change a task as `user`; a write that changes nothing leaves `sys_mod_count` alone."""
        held = self.row(table, key, user)
        if table == INCIDENT and held["state"] in _FINAL and user == self.integration_user:
            raise Refusal(403, "Operation Failed", "ACL Exception Update Failed due to security constraints")
        row = dict(held)
        self._apply(table, row, values, user)
        noted = self._journal(table, row, values, user)
        if row == held and not noted:
            return held
        row["sys_mod_count"] = str(int(held["sys_mod_count"]) + 1)
        row |= {"sys_updated_on": self._now(), "sys_updated_by": user}
        self.shelf(table).put(key, row)
        self.changed(table, "update", row)
        return row

    def attach(self, table: str, key: str, name: str, kind: str, content: bytes, user: str) -> dict[str, str]:
        """Add a file to a task: the task's own row, version and time stay as they are."""
        self.row(table, key, user)
        file = {
            "sys_id": uuid.uuid4().hex, "table_name": table, "table_sys_id": key, "file_name": name, "content_type": kind,
            "size_bytes": str(len(content)), "sys_created_on": self._now(), "sys_created_by": user,
        }  # fmt: skip
        self.shelf(FILE).put(file["sys_id"], file)
        self.shelf(CONTENT).put(file["sys_id"], {"content": content})
        return file

    def content(self, key: str) -> bytes:
        """Return the content of a file; 404 if there is none."""
        found = self.shelf(CONTENT).get(key)
        if found is None:
            raise Refusal(404, "No Record found", "Attachment doesn't exist")
        held: bytes = found["content"]
        return held

    def journals(self, key: str) -> list[dict[str, str]]:
        """Return the journal entries of a record, oldest first."""
        return [dict(each) for each in self.shelf(JOURNAL).having("element_id", key)]

    def _apply(self, table: str, row: dict[str, str], values: Mapping[str, str], user: str) -> None:
        columns = self.columns(table)
        for name, value in values.items():
            dropped = name.startswith("sys_") or name not in columns or name in {"number", *JOURNALS}
            if dropped or (name in self.ignored and user == self.integration_user):
                continue
            row[name] = value[: _WIDTHS[name]] if name in _WIDTHS else value
        if table == INCIDENT:
            row["priority"] = _DERIVED.get((row["impact"], row["urgency"]), row["priority"])
        if row["state"] not in _STATES[table]:
            raise Refusal(403, "Operation Failed", f"Invalid choice {row['state']} for field State")
        group = row["assignment_group"]
        if group and self.shelf(GROUP).get(group) is None:
            row["assignment_group"] = ""  # an unknown reference is stored as empty, without an error
        self._require_resolution(table, row)
        row["active"] = "false" if table == INCIDENT and row["state"] in _FINAL else "true"

    def _require_resolution(self, table: str, row: Mapping[str, str]) -> None:
        missing = [label for name, label in _LABELS.items() if not row.get(name, "").strip()]
        if table == INCIDENT and row["state"] in {"6", "7"} and missing:
            fields = ", ".join(missing)
            raise Refusal(
                403, "Operation Failed", f"Data Policy Exception: Following fields are mandatory: {fields}"
            )

    def _journal(self, table: str, row: Mapping[str, str], values: Mapping[str, str], user: str) -> bool:
        noted = False
        for element in JOURNALS:
            if text := values.get(element, ""):
                key = uuid.uuid4().hex
                entry = {
                    "sys_id": key,
                    "element_id": row["sys_id"],
                    "name": table,
                    "element": element,
                    "value": text,
                    "sys_created_on": self._now(),
                    "sys_created_by": user,
                }
                self.shelf(JOURNAL).put(key, entry)
                noted = True
        return noted

    def _now(self) -> str:
        return self.clock().strftime("%Y-%m-%d %H:%M:%S")
