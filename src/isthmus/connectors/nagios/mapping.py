"""Notifications of Nagios and the objects that its agent shows, as alerts; downtimes as silences. Pure.

A service is `host;service`: Nagios allows no semicolon in either. Hard states only; a soft state is Nagios still trying.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

from msgspec import Meta, Struct

from isthmus.connectors.kit import alerts, marks
from isthmus.connectors.nagios.config import NagiosConfig
from isthmus.kernel.instant import SECOND, Instant
from isthmus.kernel.observation import ExternalRef, Observation
from isthmus.kernel.record import Json

SERVICE_STATES = {"OK": 0, "WARNING": 1, "CRITICAL": 2, "UNKNOWN": 3}
HOST_STATES = {"UP": 0, "DOWN": 1, "UNREACHABLE": 2}
STANDING_TYPES: Mapping[str, dict[str, Json]] = {
    "ACKNOWLEDGEMENT": {"acknowledged": True},
    "DOWNTIMESTART": {"silenced": True},
    "DOWNTIMEEND": {"silenced": False},
    "DOWNTIMECANCELLED": {"silenced": False},
}
"""Notification types that say how an object stands, beside its state."""
STATE_TYPES = ("PROBLEM", "RECOVERY")
OTHER_TYPES = ("FLAPPINGSTART", "FLAPPINGSTOP", "FLAPPINGDISABLED", "CUSTOM")
TEXT_MAX = 3_000

Name = Annotated[str, Meta(min_length=1, max_length=250)]
Text = Annotated[str, Meta(max_length=TEXT_MAX)]
Seconds = Annotated[int, Meta(ge=0, le=99_999_999_999)]


class Notification(Struct, frozen=True):
    """What `isthmus_nagios.py notify` sends."""

    version: Literal[1]
    type: Name
    host: Name
    state: Name
    state_type: Name
    at: Annotated[int, Meta(ge=1, le=99_999_999_999)]
    changed_at: Seconds = 0
    notification_id: Annotated[int, Meta(ge=0)] = 0
    problem_id: Annotated[int, Meta(ge=0)] = 0
    address: Annotated[str, Meta(max_length=250)] = ""
    check: Annotated[str, Meta(max_length=250)] = ""
    output: Text = ""
    long_output: Text = ""
    notes_url: Text = ""
    author: Text = ""
    comment: Text = ""


class Shown(Struct, frozen=True):
    """A host or service as the agent shows it."""

    name: Name
    host: Name
    state: int
    firing: bool
    changed_at: Seconds
    check: str = ""
    output: str = ""
    long_output: str = ""
    acknowledged: bool = False
    downtime_depth: int = 0
    problem_id: int = 0


class Comment(Struct, frozen=True):
    """A comment as the agent shows it."""

    name: Name
    acknowledges: bool
    author: str = ""
    text: str = ""
    at: Seconds = 0


class Downtime(Struct, frozen=True):
    """A downtime as the agent shows it."""

    id: int
    name: Name
    host: Name
    start: Seconds
    end: Seconds
    check: str = ""
    at: Seconds = 0
    author: str = ""
    comment: str = ""


class Standing(Struct, frozen=True):
    """The agent's answer: how everything stands."""

    version: str
    created: Seconds
    objects: list[Shown]
    comments: list[Comment]
    downtimes: list[Downtime]
    started: Seconds = 0


def key_of(host: str, check: str) -> str:
    """Return the name of a host or service."""
    return f"{host};{check}" if check else host


def split(key: str) -> tuple[str, str]:
    """Return host and service ("" for a host) of a name."""
    host, _, check = key.partition(";")
    return host, check


def downtime_key(found: Downtime) -> str:
    """Return the key of a downtime: ids of hosts and of services are removed by different commands."""
    return f"{'service' if found.check else 'host'}:{found.id}"


def from_notification(told: Notification, connection: str, config: NagiosConfig) -> list[Observation]:
    """Return what a notification says; a soft state says nothing yet."""
    states = SERVICE_STATES if told.check else HOST_STATES
    state = states.get(told.state)
    unknown: dict[str, Json] = {}
    if state is None:
        unknown["state"] = told.state
    if told.state_type == "SOFT" and state != 0:
        return []
    if told.type not in STANDING_TYPES and told.type not in STATE_TYPES + OTHER_TYPES:
        unknown["type"] = told.type
    more = dict(STANDING_TYPES.get(told.type, {}))
    at = Instant(told.at * SECOND)
    if told.type == "ACKNOWLEDGEMENT":
        more |= {"acknowledged_by": told.author, "acknowledged_at": at}
    key = key_of(told.host, told.check)
    changed = Instant((told.changed_at or told.at) * SECOND)
    tells_state = told.type in STATE_TYPES
    extra = {"nagios_type": "" if tells_state else told.type, "nagios_comment": marks.without(told.comment)}
    return [
        _observation(
            key, state, connection, config,
            output=told.output, annotations={
                "output": told.long_output or told.output, "address": told.address, "runbook_url": told.notes_url, **extra,
            },
            changed=changed,
            event_id="" if tells_state else f"{key}:{told.type}:{told.at}:{told.notification_id}",
            occurred_at=changed if tells_state else at, actor=told.author, more=more, unknown=unknown,
        )
    ]  # fmt: skip


def from_shown(
    shown: Shown, connection: str, config: NagiosConfig, acknowledged: Comment | None
) -> Observation:
    """Return the observation of an object as it stands."""
    more: dict[str, Json] = {"acknowledged": shown.acknowledged, "silenced": shown.downtime_depth > 0}
    if shown.acknowledged and acknowledged is not None:
        more |= {
            "acknowledged_by": acknowledged.author,
            "acknowledged_at": Instant(acknowledged.at * SECOND),
        }
    changed = Instant(shown.changed_at * SECOND)
    states = SERVICE_STATES if shown.check else HOST_STATES
    known = shown.state in states.values()
    return _observation(
        shown.name, shown.state if shown.firing and known else (None if shown.firing else 0), connection, config,
        output=shown.output, annotations={"output": shown.long_output or shown.output},
        changed=changed, event_id="", occurred_at=changed, actor="", more=more,
        unknown={} if known else {"state": shown.state},
    )  # fmt: skip


def from_downtime(found: Downtime, connection: str) -> Observation:
    """Return the observation of a downtime: a silence of one host or service."""
    matchers = [{"label": "host", "op": "=", "value": found.host}]
    if found.check:
        matchers.append({"label": "check", "op": "=", "value": found.check})
    key = downtime_key(found)
    return Observation(
        kind="silence",
        external=ExternalRef(connection=connection, kind="silence", key=key),
        values={
            "matchers": matchers,  # type: ignore[dict-item]
            "starts_at": Instant(found.start * SECOND),
            "ends_at": Instant(found.end * SECOND),
            "comment": marks.without(found.comment),
            "state": "active",
        },
        event_id=f"silence:{key}:{found.at}:{found.end}",
        occurred_at=Instant(found.at * SECOND),
        partner_actor=found.author,
        correlation=marks.found(found.comment),
    )


def removed(key: str, held: Mapping[str, Json], connection: str, now: Instant) -> Observation:
    """Return the observation of a downtime that is no longer there."""
    return Observation(
        kind="silence",
        external=ExternalRef(connection=connection, kind="silence", key=key),
        values={**held, "ends_at": now, "state": "expired"},
        event_id=f"silence:{key}:{held.get('starts_at')}:removed",
        occurred_at=now,
    )


def _observation(
    key: str, state: int | None, connection: str, config: NagiosConfig, *, output: str,
    annotations: Mapping[str, str], changed: Instant, event_id: str, occurred_at: Instant, actor: str,
    more: Mapping[str, Json], unknown: Mapping[str, Json],
) -> Observation:  # fmt: skip
    host, check = split(key)
    firing = state != 0
    severities = (
        {1: config.warning, 2: config.critical, 3: config.unknown}
        if check
        else {1: config.down, 2: config.unreachable}
    )
    severity = severities.get(state or 0, "")
    what = f"{check} on {host}" if check else host
    return alerts.alert(
        connection=connection,
        key=key,
        state="firing" if firing else "resolved",
        summary=f"{what}: {output}" if output else what,
        # Nagios' status knows no addresses: as a label it would make another alert of what a notification told.
        labels={"host": host, "check": check},
        annotations=annotations,
        event_id=event_id or f"{key}:{changed}:{'?' if state is None else state}",
        severity=severity,
        severities={each: each for each in severities.values()},
        starts_at=changed if firing else None,
        ends_at=None if firing else changed,
        occurred_at=occurred_at,
        actor=actor,
        more=more,
        unknown=unknown,
    )
