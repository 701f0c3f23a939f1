"""What parent and child hand to each other, and the bounds of a back-test."""

from __future__ import annotations

from typing import Any, Final

import msgspec

EVENTS_MAX: Final = 50_000
BYTES_MAX: Final = 64_000_000
ROWS_MAX: Final = 200_000
SECONDS_MAX: Final = 120
"""For each of the two replays."""
DAYS_MAX: Final = 31
INCIDENTS_SHOWN_MAX: Final = 500
ALERTS_SHOWN_MAX: Final = 200
REPLAYED: Final = ("monitoring", "incident", "configuration")
"""Sections that decide about alerts. No other is in force in the scratch book, connections least of all."""


class Event(msgspec.Struct, frozen=True, kw_only=True):
    """One past observation of an alert; `body` is its encoding by the kit. `repeat`: told before in this window."""

    connection: str
    position: int
    place: int
    received_at: int
    message_id: str
    trace: str
    door: str
    body: bytes
    repeat: bool = False


class Row(msgspec.Struct, frozen=True):
    """A record that decisions ask for: item, relation, change, silence, automation mode; sealed texts are left out."""

    kind: str
    id: str
    values: dict[str, Any]


class Handover(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that the child needs."""

    organisation: str
    since: int
    until: int
    rows: list[Row]
    events: list[Event]
    in_force: dict[str, Any]
    candidate: dict[str, Any]
    seconds_max: int = SECONDS_MAX
    notes: list[str] = []


class Made(msgspec.Struct, frozen=True, kw_only=True):
    """An incident that a replay made. `alerts` are keys of `Side.alerts`: every alert that was ever part of it."""

    title: str
    state: str
    correlation_key: str
    reason: str
    opened_at: int
    resolved_at: int | None
    alerts: list[str]


class Shown(msgspec.Struct, frozen=True, kw_only=True):
    """An alert of a replay and what was decided about it at last."""

    identity: str
    summary: str
    connection: str
    decision: str
    reason: str
    starts_at: int


class Side(msgspec.Struct, frozen=True, kw_only=True):
    """One replay: `alerts` by identity and episode, so that both sides name the same alert alike."""

    incidents: list[Made]
    alerts: dict[str, Shown]
    decisions: dict[str, int]
    events: int
    timers: int
    faults: list[str] = []
