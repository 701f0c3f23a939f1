"""Checks (b) and (c): columns against bodies, and every projection against the replay of its entries."""

from __future__ import annotations

import base64
import json
import sqlite3
from collections.abc import Iterator
from typing import Any, Final

from isthmus.ledger.verify.findings import Report
from isthmus.ledger.verify.sources import has_table

COLUMNS = "columns"
REPLAY = "replay"
SCHEMA_SUBJECT = "book.schema"

_COPIES = (
    "organisation", "kind", "record", "version", "occurred_at", "recorded_at", "actor", "channel", "connection",
    "synthetic", "cause", "trace", "generation",
)  # fmt: skip
_FORMATS = frozenset({1})
_ABSENT = object()


def schema(book: sqlite3.Connection) -> dict[str, Any] | None:
    """Return the description of kinds, tables and columns that the book carries as an entry, the latest one."""
    found = None
    for (raw,) in book.execute("SELECT body FROM ledger_entry WHERE kind = 'system_event' ORDER BY seq"):
        if b'"book.schema"' not in raw:
            continue
        try:
            changes = json.loads(raw)["changes"]
            if changes["subject"][1] == SCHEMA_SUBJECT:
                found = changes["facts"][1]
        except (ValueError, KeyError, TypeError, IndexError):
            continue
    return found


def verify(book: sqlite3.Connection, report: Report) -> None:
    """Read all entries in the order of records and versions; compare each record's end state with its row."""
    described = schema(book)
    if described is None:
        report.find(REPLAY, "book", "it carries no description of its tables: projections cannot be compared")
        kinds: dict[str, Any] = {}
    else:
        kinds = described["kinds"]
    projections = {
        kind: Projection(book, kind, each["table"], each["fields"], report)
        for kind, each in kinds.items()
        if has_table(book, each["table"])
    }
    for kind, each in kinds.items():
        if kind not in projections:
            report.find(REPLAY, f"table {each['table']}", f"the projection of {kind} is missing")
    state: dict[str, Any] = {}
    current: tuple[str, str] = ("", "")
    for columns, raw in _entries(book):
        body = _compare_columns(report, columns, raw)
        if body is None:
            continue
        record, kind = body["record"], body["kind"]
        if (record, kind) != current:
            _finish(projections, report, current, state)
            state, current = {}, (record, kind)
        _apply(report, state, body)
        report.count("entries")
    _finish(projections, report, current, state)
    for projection in projections.values():
        projection.finish()


def _entries(book: sqlite3.Connection) -> Iterator[tuple[tuple[Any, ...], bytes]]:
    names = ", ".join(f'"{each}"' for each in _COPIES)
    for row in book.execute(f"SELECT {names}, body FROM ledger_entry ORDER BY record, version"):  # noqa: S608 - our own names only
        yield row[:-1], row[-1]


def _compare_columns(report: Report, columns: tuple[Any, ...], raw: bytes) -> dict[str, Any] | None:
    where = f"entry {columns[2]}.{columns[3]}"
    try:
        body: dict[str, Any] = json.loads(raw)
        copies = tuple(map(body.__getitem__, _COPIES))
    except (ValueError, KeyError, TypeError):
        report.find(COLUMNS, where, "its body is not an entry: it was edited")
        return None
    if not _readable(body):
        report.find(COLUMNS, where, "its body is not an entry: it was edited")
        return None
    if body["format"] not in _FORMATS:
        report.find(COLUMNS, where, f"its format {body['format']!r} is unknown to this verifier")
        return None
    if copies != columns:
        for name, inside, column in zip(_COPIES, copies, columns, strict=True):
            if inside != column:
                report.find(COLUMNS, where, f"column {name} says {column!r}, the sealed body says {inside!r}")
    return body


_TYPES: Final[dict[str, type]] = {
    "format": int, "version": int, "record": str, "kind": str, "organisation": str, "recorded_at": int, "occurred_at": int,
    "channel": str, "synthetic": bool, "trace": str, "changes": dict,
}  # fmt: skip


def _readable(body: dict[str, Any]) -> bool:
    """Return whether a body has what the replay reads: an edited one must be a finding, not the end of it."""
    return all(isinstance(body.get(name), wanted) for name, wanted in _TYPES.items()) and all(
        isinstance(pair, list) and len(pair) == 2 for pair in body["changes"].values()
    )


def _apply(report: Report, state: dict[str, Any], body: dict[str, Any]) -> None:
    version, record = body["version"], body["record"]
    expected = state.get("version", 0) + 1
    if version != expected:
        report.find(
            REPLAY,
            f"{body['kind']} {record}",
            f"entry {record}.{expected} was expected, {record}.{version} follows",
        )
    if not state:
        state |= {
            "id": record, "organisation": body["organisation"], "created_at": body["recorded_at"],
            "occurred_at": body["occurred_at"], "channel": body["channel"], "synthetic": body["synthetic"], "trace": body["trace"],
        }  # fmt: skip
    elif body["organisation"] != state["organisation"]:
        report.find(REPLAY, f"entry {record}.{version}", "it belongs to another organisation than its record")
    state["version"] = version
    state["updated_at"] = body["recorded_at"]
    for name, change in body["changes"].items():
        state["field:" + name] = change[1]


def _finish(
    projections: dict[str, Projection], report: Report, current: tuple[str, str], state: dict[str, Any]
) -> None:
    if not state:
        return
    record, kind = current
    if kind in projections:
        projections[kind].compare(record, state)
        report.count("records")
    elif projections:
        report.find(REPLAY, f"{kind} {record}", "the book's description names no table for this kind")


_ENVELOPE = (
    "organisation",
    "version",
    "created_at",
    "updated_at",
    "occurred_at",
    "channel",
    "synthetic",
    "trace",
)


class Projection:
    """One table of end states, read in the order of ids beside the replay: a merge of two sorted streams."""

    def __init__(
        self, book: sqlite3.Connection, kind: str, table: str, fields: dict[str, Any], report: Report
    ) -> None:
        self._kind, self._table, self._report = kind, table, report
        self._fields = sorted(fields.items())
        names = ", ".join(f'"{each}"' for each in ("id", *_ENVELOPE, *(name for name, _ in self._fields)))
        self._rows = iter(book.execute(f'SELECT {names} FROM "{table}" ORDER BY id'))  # noqa: S608 - our own names only
        self._row = next(self._rows, None)

    def compare(self, record: str, state: dict[str, Any]) -> None:
        """Compare the row of `record` with its replayed state; rows before it have no entries."""
        while self._row is not None and self._row[0] < record:
            self._extra()
        if self._row is None or self._row[0] != record:
            self._find(record, "its row is missing: it was deleted")
            return
        row, self._row = self._row, next(self._rows, None)
        for name, held in zip(_ENVELOPE, row[1:], strict=False):
            if held != state[name]:
                self._find(record, f"column {name} says {held!r}, its entries say {state[name]!r}")
        offset = 1 + len(_ENVELOPE)
        for i, (name, field) in enumerate(self._fields, start=offset):
            self._compare_field(record, name, field, row[i], state.get("field:" + name, _ABSENT))

    def _compare_field(self, record: str, name: str, field: dict[str, Any], held: Any, told: Any) -> None:
        form = field["form"]
        if told is _ABSENT:
            if not _same(held, field["blank"]):
                self._differs(record, name, form, held, field["blank"])
            return
        if form == "plain":
            same = _same(held, told)
        elif form == "sealed":
            same = (None if held is None else base64.b64encode(held).decode()) == told
        else:
            same = held == (
                None
                if told is None
                else json.dumps(told, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
            ) or (held is not None and _parsed(held) == json.dumps(told, sort_keys=True))
        if not same:
            self._differs(record, name, form, held, told)

    def _differs(self, record: str, name: str, form: str, held: Any, told: Any) -> None:
        if form == "sealed":
            self._find(record, f"column {name} does not hold the ciphertext of its entries")
        else:
            self._find(record, f"column {name} says {_short(held)}, its entries say {_short(told)}")

    def finish(self) -> None:
        """Rows that are left have no entries."""
        while self._row is not None:
            self._extra()

    def _extra(self) -> None:
        assert self._row is not None  # noqa: S101 - the callers have looked
        self._find(self._row[0], "this row has no entries: it was inserted")
        self._row = next(self._rows, None)

    def _find(self, record: str, what: str) -> None:
        self._report.find(REPLAY, f"{self._kind} {record} (table {self._table})", what)


def _same(held: Any, told: Any) -> bool:
    """Compare a stored value with a plain one: SQLite keeps booleans as 0 and 1."""
    return bool(held == told)


def _parsed(text: Any) -> str | None:
    try:
        return json.dumps(json.loads(text), sort_keys=True)
    except (ValueError, TypeError):
        return None


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 80 else text[:77] + "..."
