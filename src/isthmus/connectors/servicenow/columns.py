"""From canonical values to ServiceNow's columns, with what the product demands beside them."""

from __future__ import annotations

from collections.abc import Mapping

from isthmus.connectors.servicenow.client import Row, ServiceNowClient
from isthmus.connectors.servicenow.config import ServiceNowConfig
from isthmus.connectors.servicenow.mapping import INCIDENT, PAIRS, raw
from isthmus.kernel.errors import Problem, Rejected
from isthmus.kernel.mapping import RecordMapping
from isthmus.kernel.record import Json

_RESOLVED = ("6", "7")
_ON_HOLD = "3"


class Columns:
    """The columns to write for one connection."""

    def __init__(self, client: ServiceNowClient, config: ServiceNowConfig) -> None:
        self._client, self._config = client, config

    async def of(
        self, mapping: RecordMapping, values: Mapping[str, Json], held: Row | None = None
    ) -> dict[str, str]:
        """Return the columns for `values` of a record that now is `held` (None for a new one).

        A group is written by its sys_id, an incident's priority as impact and urgency. An unknown group is
        refused by name; a new record goes without it instead, since an incident must not wait for a group.
        """
        found: dict[str, str] = {}
        for name, value in values.items():
            external = mapping.fields[name].external
            sent = mapping.normalised(name, value)
            text = "" if sent is None else str(sent)
            if external == "assignment_group" and text:
                text = await self._group(text, required=held is not None)
            if external == "priority" and mapping.external_kind == INCIDENT:
                found |= _pair(name, text)
            else:
                found[external] = text
        if mapping.external_kind == INCIDENT:
            self._complete(found, held or {})
        return found

    async def _group(self, name: str, *, required: bool) -> str:
        try:
            return await self._client.group(name)
        except Rejected:
            if required:
                raise
            return ""

    def _complete(self, columns: dict[str, str], held: Row) -> None:
        """Add the connection's own resolution or hold reason where the product demands one and none is there."""
        state = columns.get("state", "")
        wanted = {"close_code": self._config.close_code, "close_notes": self._config.close_notes}
        if state == _ON_HOLD:
            wanted = {"hold_reason": self._config.hold_reason}
        elif state not in _RESOLVED:
            return
        for column, value in wanted.items():
            stays = raw(held, column) if column not in columns else columns[column]
            if value and not stays:
                columns[column] = value


def _pair(name: str, priority: str) -> dict[str, str]:
    if priority not in PAIRS:
        raise Rejected(
            f"ServiceNow derives no priority {priority!r} from impact and urgency.",
            remedy="Map priorities to 1-5.",
            problems=(Problem(path=f"/{name}", message="cannot be derived"),),
        )
    impact, urgency = PAIRS[priority]
    return {"impact": impact, "urgency": urgency}
