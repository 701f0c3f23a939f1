"""The part of JQL that the connector uses: clauses joined by AND, and ORDER BY one field."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Mapping
from typing import Any

_CLAUSE = re.compile(r'^(\w+)\s*(=|>=)\s*"([^"]*)"$')
_RELATIVE = re.compile(r"^-(\d+)m$")


class JqlError(Exception):
    """The query cannot be understood: answered with 400."""


def select(issues: list[dict[str, Any]], jql: str, now: dt.datetime) -> list[dict[str, Any]]:
    """Return the issues that a query asks for, in its order; an unbounded query is refused as in Cloud."""
    where, _, order = jql.partition(" ORDER BY ")
    clauses = [_clause(each.strip()) for each in where.split(" AND ") if each.strip()]
    if not clauses:
        raise JqlError("Unbounded JQL queries are not allowed here.")
    found = [each for each in issues if all(_holds(each, clause, now) for clause in clauses)]
    field, _, direction = order.strip().partition(" ")
    if field:
        found.sort(key=lambda each: (each["fields"][field], int(each["id"])), reverse=direction == "DESC")
    return found


def _clause(text: str) -> tuple[str, str, str]:
    found = _CLAUSE.match(text)
    if found is None:
        raise JqlError(f"Error in the JQL Query near {text!r}.")
    return found[1], found[2], found[3]


def _holds(issue: Mapping[str, Any], clause: tuple[str, str, str], now: dt.datetime) -> bool:
    field, operator, value = clause
    fields = issue["fields"]
    match field, operator:
        case "project", "=":
            return bool(fields["project"]["key"] == value)
        case "issuetype", "=":
            return bool(fields["issuetype"]["name"] == value)
        case "labels", "=":
            return value in fields["labels"]
        case "updated", ">=":
            return _moment(fields["updated"]) >= _bound(value, now)
        case _:
            raise JqlError(f"Field {field!r} with {operator!r} is not supported.")


def _bound(value: str, now: dt.datetime) -> dt.datetime:
    relative = _RELATIVE.match(value)
    if relative is None:
        raise JqlError(f"Date value {value!r} is invalid.")
    # Search compares whole minutes.
    return (now - dt.timedelta(minutes=int(relative[1]))).replace(second=0, microsecond=0)


def _moment(text: str) -> dt.datetime:
    return dt.datetime.strptime(text, "%Y-%m-%dT%H:%M:%S.%f%z")
