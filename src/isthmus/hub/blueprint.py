"""The blueprint section `connections`: which systems this hub is connected to, and under what terms.

connections:
prometheus:
connector: alertmanager
organisation: Acme
config: {token: {secret: "env:AM_TOKEN"}}
"""

from __future__ import annotations

from typing import Annotated, Any

import msgspec

from isthmus.blueprint.sections import Parsed, Section, register
from isthmus.connectors.kit import config as kit_config
from isthmus.hub import inventory
from isthmus.hub.intake.segments import NAME
from isthmus.kernel.errors import NeedsOperator, Problem, Rejected

SECTION = "connections"


class OrganisationRule(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which organisation an observed object belongs to: looked up by the value of one of its fields.

    `field` is a canonical field, or `labels.<name>` for a key inside a field; `table` maps values to names
    of organisations. A value that is not in the table parks the message, unless `otherwise` names one.
    """

    field: str
    table: dict[str, str]
    otherwise: str = ""


class Terms(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Bounds of one connection; 0 means the connector's own default."""

    requests_per_minute: Annotated[int, msgspec.Meta(ge=0)] = 0
    request_seconds_max: Annotated[float, msgspec.Meta(ge=0, le=40)] = 0.0
    body_bytes_max: Annotated[int, msgspec.Meta(ge=0)] = 0
    event_id_days: Annotated[int, msgspec.Meta(ge=1, le=400)] = 30
    log_days: Annotated[int, msgspec.Meta(ge=1, le=400)] = 14
    vanished_per_hour: Annotated[int, msgspec.Meta(ge=1, le=100_000)] = 20
    """More linked objects than this gone within an hour, or a fifth of all, are not believed: a person looks first."""
    delivery_days: Annotated[int, msgspec.Meta(ge=7, le=4000)] = 180
    """How long effects that are done or given up stay listed, and are recognised if they are asked for again."""
    outcome_days: Annotated[int, msgspec.Meta(ge=7, le=4000)] = 400
    """How long it is told what came of each message, one by one; what it changed stays in the journal."""
    parked_days: Annotated[int, msgspec.Meta(ge=7, le=4000)] = 90
    """How long parked messages that were taken up again or given up stay known."""


class Polling(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How often to ask what changed. The interval adapts between the bounds to how much was found."""

    enabled: bool = True
    seconds_min: Annotated[int, msgspec.Meta(ge=1)] = 15
    seconds_max: Annotated[int, msgspec.Meta(ge=1)] = 300
    kinds: list[str] = []
    """Record kinds to poll; empty: all that the connector can read."""


class ConnectionEntry(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One connection. `organisation` is a name ("" = the root) or a rule that is applied to each object.

    `streaming`: whether the partner's event stream is kept open, where its connector has one; polls go on beside it.
    """

    connector: str
    organisation: str | OrganisationRule = ""
    enabled: bool = True
    config: dict[str, Any] = {}
    limits: Terms = Terms()
    polling: Polling = Polling()
    streaming: bool = True


Connections = dict[str, ConnectionEntry]


def check(entries: Connections, parsed: Parsed) -> list[Problem]:
    """Return what types cannot say: unknown connectors, configurations that their connector refuses."""
    del parsed
    found: list[Problem] = []
    for name, entry in entries.items():
        found.extend(_entry_problems(name, entry))
    return found


def affects(old: Connections, new: Connections) -> list[str]:
    """Return sentences for the plan."""
    said = [
        f"Connection {name} is added; nothing is received before its partner sends."
        for name in new.keys() - old.keys()
    ]
    said += [
        f"Connection {name} is removed: its senders get 404, its links stop following."
        for name in old.keys() - new.keys()
    ]
    said += [
        f"Connection {name} changes within two seconds in every process."
        for name in old.keys() & new.keys()
        if old[name] != new[name]
    ]
    return sorted(said)


def _entry_problems(name: str, entry: ConnectionEntry) -> list[Problem]:
    found: list[Problem] = []
    if not NAME.fullmatch(name):
        found.append(
            Problem(
                path=f"/{name}",
                message="this name cannot stand in a path",
                remedy="Use lower-case letters, digits, '.', '_' and '-', at most 63.",
            )
        )
    try:
        installed = inventory.find(entry.connector)
    except NeedsOperator as fault:
        return [*found, Problem(path=f"/{name}/connector", message=fault.text, remedy=fault.remedy)]
    try:
        kit_config.parse(installed.connector.config, entry.config)
    except Rejected as fault:
        found.extend(
            Problem(
                path=f"/{name}/config{each.path}", message=each.message, remedy=each.remedy or fault.remedy
            )
            for each in fault.problems
        )
    if entry.polling.seconds_min > entry.polling.seconds_max:
        found.append(
            Problem(
                path=f"/{name}/polling/seconds_min",
                message="the shortest interval is longer than the longest",
                remedy="Make seconds_min at most seconds_max.",
            )
        )
    return found


def register_section() -> None:
    """Register the section; called from the hub's `ready`."""
    register(
        Section(
            name=SECTION,
            schema=Connections,
            help="Connected systems by name: connector, organisation, configuration and limits.",
            default=dict,
            check=check,
            affects=affects,
        )
    )
