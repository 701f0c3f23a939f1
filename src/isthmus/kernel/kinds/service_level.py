"""Kinds of service level management: our clocks, and what partners' clocks were seen to show."""

from __future__ import annotations

from isthmus.kernel.record import DataClass, Field, FieldType, MergePolicy, RecordKind

_HUB = MergePolicy.HUB
_MACHINE = DataClass.OPERATIONAL

CLOCK_STATES = ("running", "paused", "stopped", "cancelled")
OPEN_CLOCK_STATES = ("running", "paused")
PARTNER_CLOCK_STATES = ("running", "paused", "stopped", "cancelled", "unknown")

SLA_CLOCK = RecordKind(
    name="sla_clock",
    table="service_level_clock",
    fields=(
        Field(name="record_kind", policy=_HUB, required=True),
        Field(name="record", type=FieldType.REFERENCE, policy=_HUB, required=True),
        Field(name="target", policy=_HUB, required=True),
        Field(name="definition", policy=_HUB),
        Field(name="calendar", policy=_HUB),
        Field(name="priority", policy=_HUB),
        Field(name="service", type=FieldType.REFERENCE, policy=_HUB),
        Field(name="state", type=FieldType.CHOICE, choices=CLOCK_STATES, policy=_HUB),
        Field(name="breached", type=FieldType.BOOLEAN, policy=_HUB),
        Field(name="amount", type=FieldType.INTEGER, policy=_HUB),
        Field(name="elapsed", type=FieldType.INTEGER, policy=_HUB),
        Field(name="counted_at", type=FieldType.INSTANT, policy=_HUB),
        Field(name="started_at", type=FieldType.INSTANT, policy=_HUB),
        Field(name="stopped_at", type=FieldType.INSTANT, policy=_HUB),
        Field(name="due_at", type=FieldType.INSTANT, policy=_HUB),
        Field(name="breached_at", type=FieldType.INSTANT, policy=_HUB),
        Field(name="thresholds", type=FieldType.JSON, data_class=_MACHINE, policy=_HUB),
        Field(name="reached", type=FieldType.INTEGER, policy=_HUB),
        Field(name="cycle", type=FieldType.INTEGER, policy=_HUB),
    ),
)
"""The running measure of one target on one record. `elapsed` microseconds had counted at `counted_at`;
`due_at` is when `amount` is used up if nothing changes (none while paused); `reached` the highest threshold
in percent that was announced; `cycle` how often it was reset."""

SLA_PARTNER_CLOCK = RecordKind(
    name="sla_partner_clock",
    table="service_level_partner_clock",
    fields=(
        Field(name="record_kind", policy=_HUB, required=True),
        Field(name="record", type=FieldType.REFERENCE, policy=_HUB, required=True),
        Field(name="connection", policy=_HUB, required=True),
        Field(name="name", policy=_HUB, required=True),
        Field(name="target", policy=_HUB),
        Field(name="state", type=FieldType.CHOICE, choices=PARTNER_CLOCK_STATES, policy=_HUB),
        Field(name="breached", type=FieldType.BOOLEAN, policy=_HUB),
        Field(name="amount", type=FieldType.INTEGER, policy=_HUB),
        Field(name="elapsed", type=FieldType.INTEGER, policy=_HUB),
        Field(name="started_at", type=FieldType.INSTANT, policy=_HUB),
        Field(name="stopped_at", type=FieldType.INSTANT, policy=_HUB),
        Field(name="due_at", type=FieldType.INSTANT, policy=_HUB),
        Field(name="runs", type=FieldType.JSON, data_class=_MACHINE, policy=_HUB),
        Field(name="observed_at", type=FieldType.INSTANT, policy=_HUB),
    ),
)
"""A clock as a partner showed it, for comparison only: it never moves ours. `runs`: [from, to] of the times
that the partner says it counted, where it says so."""
