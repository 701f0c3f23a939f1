"""How the product shows a row: stored values, and display values for the user's language and zone."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping

from isthmus.connectors.kit.shelf import Shelf
from isthmus.connectors.servicenow.simulated.instance import GROUP
from isthmus.connectors.servicenow.simulated.service_levels import DEFINITION, DURATIONS, MOMENTS, moment_of

_STATES: Mapping[str, str] = {
    "1": "New", "2": "In Progress", "3": "On Hold", "6": "Resolved", "7": "Closed", "8": "Canceled",
    "-5": "New", "-4": "Assess", "-3": "Authorize", "-2": "Scheduled", "-1": "Implement", "0": "Review",
}  # fmt: skip
_PRIORITIES: Mapping[str, str] = {
    "1": "1 - Critical", "2": "2 - High", "3": "3 - Moderate", "4": "4 - Low", "5": "5 - Planning",
}  # fmt: skip
_TIMES = ("sys_updated_on", "sys_created_on", "start_date", "end_date", *MOMENTS)
_USER_ZONE = dt.timezone(dt.timedelta(hours=-8))
"""Display values follow the zone of the user, here Pacific time: a client that reads them is wrong by hours."""


def cells(shelf: Callable[[str], Shelf], row: Mapping[str, str]) -> dict[str, dict[str, str]]:
    """Return every column as `{value, display_value}`."""
    return {
        name: {"value": value, "display_value": _display(shelf, name, value)} for name, value in row.items()
    }


def _display(shelf: Callable[[str], Shelf], name: str, value: str) -> str:
    if not value:
        return ""
    if name in _TIMES:
        moment = dt.datetime.fromisoformat(value).replace(tzinfo=dt.UTC)
        return moment.astimezone(_USER_ZONE).strftime("%Y-%m-%d %H:%M:%S")
    if name in DURATIONS:
        return f"{int(moment_of(value).timestamp()) // 60} Minutes"
    if name == "sla":
        definition = shelf(DEFINITION).get(value)
        return definition["name"] if definition else ""
    if name == "state":
        return _STATES.get(value, value)
    if name == "priority":
        return _PRIORITIES.get(value, value)
    if name == "assignment_group":
        group = shelf(GROUP).get(value)
        return group["name"] if group else ""
    return value
