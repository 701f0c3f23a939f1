"""What the business rule posts: the record with both spellings and its journal, signed by us.

ServiceNow has no signed webhooks of its own. `business_rule.js` signs in the Standard Webhooks scheme:
base64 HMAC-SHA256 over `id.timestamp.body`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import msgspec

from isthmus.connectors.kit.ports import Context
from isthmus.connectors.kit.webhook import WebhookSource, decoder
from isthmus.connectors.servicenow import mapping as spelled
from isthmus.connectors.servicenow.config import ServiceNowConfig
from isthmus.connectors.servicenow.mapping import CHANGE, INCIDENT, MAPPINGS
from isthmus.kernel.errors import Problem, Rejected
from isthmus.kernel.observation import Observation


class Cell(msgspec.Struct, frozen=True):
    """One column in both spellings."""

    value: str
    display_value: str = ""


class Delivery(msgspec.Struct, frozen=True):
    """The body that `business_rule.js` sends. Unknown members are ignored: the rule may grow."""

    id: str
    table: str
    operation: str
    record: dict[str, Cell]
    journal: list[dict[str, Cell]] = []


_KINDS = {INCIDENT: "incident", CHANGE: "change"}
_OPERATIONS = ("insert", "update", "delete")
_REQUIRED = ("sys_id", "sys_mod_count", "sys_updated_on")
_TIMES = ("sys_updated_on", "start_date", "end_date")
_decode = decoder(Delivery)


class ServiceNowSource(WebhookSource):
    """Signed deliveries of the business rule."""

    scheme_name = "standard_webhooks"
    secret_names = ("webhook_secret",)

    def parse(self, body: bytes, headers: Mapping[str, str], context: Context) -> list[Observation]:
        """Return the one observation of a delivery; a table that is not ours says nothing."""
        found = _decode(body)
        kind = _KINDS.get(found.table)
        if kind is None:
            return []
        _check(found)
        mapping = context.mappings.get(kind, MAPPINGS[kind])
        url = context.config.url if isinstance(context.config, ServiceNowConfig) else ""
        comments = [spelled.comment(_plain(each)) for each in found.journal]
        observation = spelled.observation(context.connection, url, _plain(found.record), mapping, comments)
        return [
            replace(
                observation,
                event_id=headers.get("webhook-id", "") or found.id,
                deleted=found.operation == "delete",
            )
        ]


def _plain(cells: Mapping[str, Cell]) -> dict[str, Any]:
    return {name: {"value": cell.value, "display_value": cell.display_value} for name, cell in cells.items()}


def _is_time(text: str) -> bool:
    if not text:
        return True
    try:
        spelled.instant_of(text)
    except Rejected:
        return False
    return True


def _check(found: Delivery) -> None:
    problems = [
        Problem(path=f"/record/{name}/value", message="is missing or empty", remedy="Use our business rule.")
        for name in _REQUIRED
        if name not in found.record or not found.record[name].value
    ]
    problems += [
        Problem(path=f"/record/{name}/value", message="is a text where a UTC time belongs")
        for name in _TIMES
        if name in found.record and not _is_time(found.record[name].value)
    ]
    problems += [
        Problem(path=f"/journal/{index}/sys_created_on/value", message="is a text where a UTC time belongs")
        for index, entry in enumerate(found.journal)
        if "sys_created_on" in entry and not _is_time(entry["sys_created_on"].value)
    ]
    if found.operation not in _OPERATIONS:
        problems.append(Problem(path="/operation", message=f"must be one of {', '.join(_OPERATIONS)}"))
    if not found.id:
        problems.append(Problem(path="/id", message="is empty"))
    if problems:
        raise Rejected(
            f"The delivery is wrong at {problems[0].path}: {problems[0].message}.", problems=tuple(problems)
        )
