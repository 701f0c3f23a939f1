"""Problems of Zabbix as alerts, maintenance periods as silences: the media type's body and the API, pure.

The alert is the *trigger* (a problem that comes again is the same alert), the event is the problem: event ids of
Zabbix name what happened, trigger ids whom it happened to.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Annotated, Literal

from msgspec import Meta, Struct

from isthmus.connectors.kit import alerts, marks
from isthmus.connectors.zabbix.config import ZabbixConfig
from isthmus.kernel.instant import SECOND, Instant
from isthmus.kernel.observation import ExternalRef, Observation
from isthmus.kernel.record import Json

TEXT_MAX = 2_000
TAGS_MAX = 100
CLOSE, ACKNOWLEDGE, MESSAGE, UNACKNOWLEDGE, SUPPRESS, UNSUPPRESS = 1, 2, 4, 16, 32, 64
"""Bits of `event.acknowledge`'s action (8 changes the severity, which the hub leaves alone)."""

Id = Annotated[str, Meta(pattern=r"^\d{1,20}$")]
Text = Annotated[str, Meta(max_length=65_536)]
Seconds = Annotated[int, Meta(ge=0, le=99_999_999_999)]


class Tag(Struct, frozen=True):
    """A tag of an event."""

    tag: str
    value: str = ""


class Told(Struct, frozen=True):
    """What the media type's script sends."""

    version: Literal[1]
    event_id: Id
    trigger_id: Id
    value: Literal[0, 1]
    host: Annotated[str, Meta(min_length=1, max_length=255)]
    name: Text
    severity: int
    started_at: Seconds
    at: Annotated[int, Meta(ge=1, le=99_999_999_999)]
    recovery_id: Annotated[str, Meta(pattern=r"^\d{0,20}$")] = ""
    ended_at: Seconds = 0
    update: bool = False
    host_name: Text = ""
    address: Text = ""
    opdata: Text = ""
    url: Text = ""
    tags: Annotated[list[Tag], Meta(max_length=TAGS_MAX)] = []
    acknowledged: bool = False
    user: Text = ""
    action: Text = ""
    message: Text = ""


class Acknowledged(Struct, frozen=True):
    """One update of a problem, as `event.get` shows it."""

    clock: str
    action: str
    message: str = ""
    username: str = ""
    name: str = ""
    surname: str = ""


class Shown(Struct, frozen=True):
    """A problem as `problem.get` shows it."""

    eventid: Id
    objectid: Id
    clock: str
    name: str
    severity: str
    acknowledged: str
    suppressed: str = "0"
    opdata: str = ""
    tags: list[Tag] = []


class Host(Struct, frozen=True):
    """A host of a trigger or of a maintenance period."""

    hostid: str
    host: str = ""


class Group(Struct, frozen=True):
    """A host group of a maintenance period."""

    name: str = ""


class Trigger(Struct, frozen=True):
    """A trigger as `trigger.get` shows it."""

    triggerid: Id
    url: str = ""
    hosts: list[Host] = []


class Period(Struct, frozen=True):
    """A time period of a maintenance; type 0 happens once."""

    timeperiod_type: str = "0"
    start_date: str = "0"
    period: str = "0"


class Maintenance(Struct, frozen=True):
    """A maintenance as `maintenance.get` shows it."""

    maintenanceid: Id
    name: str
    active_since: str
    active_till: str
    description: str = ""
    hosts: list[Host] = []
    hostgroups: list[Group] = []
    timeperiods: list[Period] = []


def from_told(told: Told, connection: str, config: ZabbixConfig) -> Observation:
    """Return what a notification says: a problem, its end, or how a person has changed it."""
    firing = told.value == 1
    started, ended = Instant(told.started_at * SECOND), Instant((told.ended_at or told.at) * SECOND)
    more: dict[str, Json] = {}
    if told.update:
        more["acknowledged"] = told.acknowledged and firing
        if more["acknowledged"]:
            more |= {"acknowledged_by": told.user, "acknowledged_at": Instant(told.at * SECOND)}
    event_id = f"{told.event_id}:problem" if firing else f"{told.recovery_id or told.event_id}:recovery"
    if told.update and firing:
        event_id = f"{told.event_id}:update:{told.at}"
    notes = {
        "operational_data": told.opdata, "address": told.address, "host_name": told.host_name,
        "zabbix_action": told.action, "zabbix_message": marks.without(told.message),
    }  # fmt: skip
    return _observation(
        told.trigger_id, told.host, told.tags, told.name, str(told.severity), connection, config,
        firing=firing, started=started, ended=ended, event_id=event_id, notes=notes, url=told.url, more=more,
        actor=told.user, occurred_at=Instant(told.at * SECOND) if told.update else None,
    )  # fmt: skip


def from_shown(
    shown: Shown, trigger: Trigger | None, connection: str, config: ZabbixConfig, who: Acknowledged | None
) -> Observation:
    """Return the observation of a problem that is open."""
    taken = shown.acknowledged == "1"
    more: dict[str, Json] = {"acknowledged": taken, "silenced": shown.suppressed == "1"}
    if taken and who is not None:
        more |= {"acknowledged_by": name_of(who), "acknowledged_at": Instant(int(who.clock) * SECOND)}
    host = trigger.hosts[0].host if trigger is not None and trigger.hosts else ""
    started = Instant(int(shown.clock) * SECOND)
    return _observation(
        shown.objectid, host, shown.tags, shown.name, shown.severity, connection, config,
        firing=True, started=started, ended=started, event_id=f"{shown.eventid}:problem",
        notes={"operational_data": shown.opdata}, url=trigger.url if trigger else "", more=more, actor="",
        occurred_at=None,
    )  # fmt: skip


def ended(
    key: str, held: Mapping[str, Json], connection: str, at: Instant, recovery: str = ""
) -> Observation:
    """Return the observation of a problem that is no longer open; `recovery` is the event that ended it, if any did."""
    return Observation(
        kind="alert",
        external=ExternalRef(connection=connection, kind="alert", key=key),
        values={**held, "state": "resolved", "ends_at": at, "acknowledged": False, "silenced": False},
        event_id=f"{recovery}:recovery" if recovery else f"{key}:{held.get('starts_at')}:gone",
        occurred_at=at,
    )


def from_maintenance(found: Maintenance, connection: str, now: Instant) -> Observation:
    """Return the observation of a maintenance period. What matchers cannot say is kept as unknown."""
    hosts, groups = [each.host for each in found.hosts], [each.name for each in found.hostgroups]
    matchers = [_any_of("host", hosts)] if hosts else [_any_of("host_group", groups)] if groups else []
    unknown: dict[str, Json] = {}
    if hosts and groups:
        unknown["host_groups"] = [*groups]
    if any(each.timeperiod_type != "0" for each in found.timeperiods):
        unknown["time_periods"] = "repeated: the silence is not in force all the time"
    starts_at, ends_at = (Instant(int(each) * SECOND) for each in (found.active_since, found.active_till))
    return Observation(
        kind="silence",
        external=ExternalRef(connection=connection, kind="silence", key=f"maintenance:{found.maintenanceid}"),
        values={
            "matchers": matchers,  # type: ignore[dict-item]
            "starts_at": starts_at, "ends_at": ends_at, "comment": found.description or marks.without(found.name),
            "state": "active" if ends_at > now else "expired",
        },
        event_id="",
        occurred_at=starts_at,
        correlation=marks.found(found.name),
        unknown=unknown,
    )  # fmt: skip


def removed(key: str, held: Mapping[str, Json], connection: str, now: Instant) -> Observation:
    """Return the observation of a maintenance period that is no longer there."""
    return Observation(
        kind="silence",
        external=ExternalRef(connection=connection, kind="silence", key=key),
        values={**held, "ends_at": now, "state": "expired"},
        event_id=f"silence:{key}:removed",
        occurred_at=now,
    )


def name_of(who: Acknowledged) -> str:
    """Return a person's name, else their login."""
    return f"{who.name} {who.surname}".strip() or who.username


def _any_of(label: str, values: Sequence[str]) -> dict[str, str]:
    if len(values) == 1:
        return {"label": label, "op": "=", "value": values[0]}
    return {"label": label, "op": "=~", "value": "|".join(re.escape(each) for each in values)}


def _observation(
    key: str, host: str, tags: Sequence[Tag], name: str, severity: str, connection: str, config: ZabbixConfig, *,
    firing: bool, started: Instant, ended: Instant, event_id: str, notes: Mapping[str, str], url: str,
    more: Mapping[str, Json], actor: str, occurred_at: Instant | None,
) -> Observation:  # fmt: skip
    labels: dict[str, str] = {}
    for each in sorted(tags, key=lambda found: (found.tag, found.value))[:TAGS_MAX]:
        labels[each.tag] = f"{labels[each.tag]}, {each.value}" if labels.get(each.tag) else each.value
    return alerts.alert(
        connection=connection,
        key=key,
        state="firing" if firing else "resolved",
        summary=name,
        labels={**labels, "host": host, "trigger": key},
        annotations=notes,
        event_id=event_id,
        severity=severity,
        severities=config.severities,
        starts_at=started or None,
        ends_at=None if firing else ended,
        occurred_at=occurred_at,
        url=url,
        actor=actor,
        more=more,
    )
