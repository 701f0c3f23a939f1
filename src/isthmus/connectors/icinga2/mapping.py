"""Hosts and services of Icinga 2 as alerts, downtimes as silences: pure.

An object *fires* while its last hard state is not OK; soft states are Icinga still trying and are left alone. Labels
are those that stay the same over an object's life, so that poll and stream name one alert alike.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Annotated, Any

import msgspec
from msgspec import Meta, Struct

from isthmus.connectors.icinga2.config import Icinga2Config
from isthmus.connectors.kit import alerts, marks
from isthmus.kernel.instant import Instant
from isthmus.kernel.observation import ExternalRef, Observation
from isthmus.kernel.record import Json

OUTPUT_MAX = 1_000
ACKNOWLEDGEMENT = 4  # entry_type of a comment that acknowledges

Name = Annotated[str, Meta(min_length=1)]


class CheckResult(Struct, frozen=True):
    """The part of a check result that we read."""

    execution_end: float = 0.0
    output: str = ""


class Attributes(Struct, frozen=True):
    """The attributes of a host or service that we ask for."""

    name: Name
    last_hard_state: float
    last_hard_state_change: float
    host_name: str = ""
    display_name: str = ""
    address: str = ""
    acknowledgement: float = 0
    downtime_depth: float = 0
    notes_url: str = ""
    action_url: str = ""
    vars: dict[str, Any] | None = None
    last_check_result: CheckResult | None = None


ATTRIBUTES = [each for each in Attributes.__struct_fields__ if each not in {"host_name", "address"}]


class Object(Struct, frozen=True):
    """One object of a query; `joins` holds the host of a service."""

    name: Name
    type: str
    attrs: Attributes
    joins: dict[str, dict[str, Any] | None] = {}


class Comment(Struct, frozen=True):
    """A comment, for who acknowledged and for notes of ours."""

    host_name: Name
    author: str = ""
    text: str = ""
    entry_time: float = 0.0
    entry_type: float = 0
    service_name: str = ""


class Downtime(Struct, frozen=True):
    """A downtime."""

    host_name: Name
    start_time: float
    end_time: float
    entry_time: float = 0.0
    author: str = ""
    comment: str = ""
    service_name: str = ""
    parent: str = ""


class Event(Struct, frozen=True):
    """One line of the event stream; what a type lacks is empty."""

    type: str
    timestamp: float
    host: str = ""
    service: str = ""
    state: float = 0
    state_type: float = 0
    acknowledgement: bool = False
    downtime_depth: float = 0
    author: str = ""
    check_result: CheckResult | None = None
    downtime: Downtime | None = None


EVENTS = (
    "StateChange", "AcknowledgementSet", "AcknowledgementCleared", "DowntimeStarted", "DowntimeTriggered", "DowntimeRemoved",
)  # fmt: skip
decode_event = msgspec.json.Decoder(Event).decode
"""Icinga writes whole numbers as 2 or 2.0, so all numbers are read as floats."""


def key_of(host: str, check: str) -> str:
    """Return Icinga's own name of a host or service."""
    return f"{host}!{check}" if check else host


def split(key: str) -> tuple[str, str]:
    """Return host and service ("" for a host) of an object's name."""
    host, _, check = key.partition("!")
    return host, check


def instant(seconds: float) -> Instant:
    """Return Icinga's time (seconds as a float)."""
    return Instant(round(seconds * 1_000_000))


def pending(found: Object) -> bool:
    """Return whether an object was never checked: until then Icinga shows DOWN or UNKNOWN, which nobody has found."""
    return found.attrs.last_check_result is None


def fires(found: Object) -> bool:
    """Return whether an object is in a hard state that is not OK."""
    return found.attrs.last_hard_state != 0 and not pending(found)


def from_object(
    found: Object, connection: str, config: Icinga2Config, acknowledged: Comment | None = None
) -> Observation:
    """Return the observation of an object as it stands."""
    attrs, (host, check) = found.attrs, split(found.name)
    state, changed = int(attrs.last_hard_state), instant(attrs.last_hard_state_change)
    severity, unknown = _severity(state, check, config)
    output = attrs.last_check_result.output.strip() if attrs.last_check_result else ""
    labels = _labels(found, host, check, config)
    what = f"{check} on {host}" if check else host
    firing = state != 0
    more: dict[str, Json] = {
        "acknowledged": firing and attrs.acknowledgement != 0,
        "silenced": attrs.downtime_depth != 0,
    }
    if more["acknowledged"] and acknowledged is not None:
        more |= {
            "acknowledged_by": acknowledged.author,
            "acknowledged_at": instant(acknowledged.entry_time),
        }
    return alerts.alert(
        connection=connection,
        key=found.name,
        state="firing" if firing else "resolved",
        summary=f"{what}: {output.splitlines()[0]}" if output else what,
        labels=labels,
        annotations={"output": output[:OUTPUT_MAX], "runbook_url": attrs.notes_url},
        event_id=f"{found.name}:{changed}:{state}",
        severity=severity,
        severities={each: each for each in (config.warning, config.critical, config.unknown, config.down)},
        starts_at=changed if firing else None,
        ends_at=None if firing else changed,
        occurred_at=changed,
        url=attrs.action_url,
        more=more,
        unknown=unknown,
    )


def changed(found: Object, event: Event) -> Object:
    """Return an object as it stands after a hard state change or a change of its acknowledgement."""
    attrs = found.attrs
    if event.type == "StateChange":
        result = event.check_result or CheckResult(execution_end=event.timestamp)
        attrs = msgspec.structs.replace(
            attrs,
            last_hard_state=event.state,
            last_hard_state_change=result.execution_end or event.timestamp,
            acknowledgement=float(event.acknowledgement),
            downtime_depth=event.downtime_depth,
            last_check_result=result,
        )
    elif event.type.startswith("Acknowledgement"):
        attrs = msgspec.structs.replace(attrs, acknowledgement=float(event.type == "AcknowledgementSet"))
    return msgspec.structs.replace(found, attrs=attrs)


def from_event(
    event: Event, found: Object, connection: str, config: Icinga2Config, acknowledged: Comment | None
) -> Observation:
    """Return the observation of an object after an event; `found` is as it stands now."""
    seen = from_object(found, connection, config, acknowledged)
    if event.type == "StateChange":
        return seen
    at = instant(event.timestamp)
    return replace(
        seen, event_id=f"{found.name}:{event.type}:{at}", occurred_at=at, partner_actor=event.author
    )


def from_downtime(name: str, found: Downtime, connection: str) -> Observation:
    """Return the observation of a downtime: a silence of one host or service."""
    matchers = [{"label": "host", "op": "=", "value": found.host_name}]
    if found.service_name:
        matchers.append({"label": "check", "op": "=", "value": found.service_name})
    entered = instant(found.entry_time)
    values: dict[str, Json] = {
        "matchers": matchers,  # type: ignore[dict-item]
        "starts_at": instant(found.start_time),
        "ends_at": instant(found.end_time),
        "comment": marks.without(found.comment),
        "state": "active",
    }
    return Observation(
        kind="silence",
        external=ExternalRef(connection=connection, kind="silence", key=name),
        values=values,
        event_id=f"silence:{name}:{entered}:{instant(found.end_time)}",
        occurred_at=entered,
        partner_actor=found.author,
        correlation=marks.found(found.comment),
    )


def removed(name: str, held: Mapping[str, Json], connection: str, now: Instant) -> Observation:
    """Return the observation of a downtime that is no longer there."""
    return Observation(
        kind="silence",
        external=ExternalRef(connection=connection, kind="silence", key=name),
        values={**held, "ends_at": now, "state": "expired"},
        event_id=f"silence:{name}:removed",
        occurred_at=now,
    )


def _severity(state: int, check: str, config: Icinga2Config) -> tuple[str, dict[str, Json]]:
    """Return the severity of a state; a state that we do not know is kept and reported."""
    known = (
        {0: "", 1: config.warning, 2: config.critical, 3: config.unknown}
        if check
        else {0: "", 1: config.down}
    )
    return (known[state], {}) if state in known else ("", {"state": state})


def _labels(found: Object, host: str, check: str, config: Icinga2Config) -> dict[str, Any]:
    joined = found.joins.get("host") or {}
    address = found.attrs.address or str(joined.get("address") or "")
    labels: dict[str, Any] = {"host": host, "check": check, "address": address}
    for wanted in config.labels:
        of_host = wanted.startswith("host.vars.")
        held = (joined.get("vars") if of_host and check else found.attrs.vars) or {}
        value = held.get(wanted.removeprefix("host.").removeprefix("vars."))
        if isinstance(value, str | int | float | bool):
            labels[wanted.removeprefix("host.").removeprefix("vars.")] = value
    return labels
