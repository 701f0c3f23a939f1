"""Kinds of escalation, on-call duty and notification."""

from __future__ import annotations

from isthmus.kernel.record import DataClass, Field, FieldType, MergePolicy, RecordKind

_HUB = MergePolicy.HUB
_MACHINE = DataClass.OPERATIONAL
_PERSONAL = DataClass.PERSONAL
_TEXT = DataClass.FREE_TEXT

ESCALATION_STATES = ("running", "acknowledged", "finished", "stopped")
"""`finished`: every step has been taken and nobody acknowledged. `stopped`: its subject needs nobody any more."""
TRIGGERS = (
    "sla",
    "priority",
    "major",
    "age",
    "stall",
    "approval",
    "integration",
    "manual",
    "watchdog",
    "accuracy",
)
NOTIFICATION_STATES = ("queued", "held", "sent", "failed", "withdrawn", "digested")
"""`held`: until quiet hours or a flood are over. `digested`: told as part of another notification."""
PURPOSES = ("step", "digest", "test")
DOORS = ("button", "link", "api", "console")

ESCALATION = RecordKind(
    name="escalation",
    table="on_call_escalation",
    fields=(
        Field(name="key", data_class=_MACHINE, policy=_HUB, required=True),
        Field(name="open", type=FieldType.BOOLEAN, policy=_HUB),
        Field(name="subject_kind", policy=_HUB, required=True),
        Field(name="subject", type=FieldType.REFERENCE, policy=_HUB, required=True),
        Field(name="policy", policy=_HUB),
        Field(name="trigger", type=FieldType.CHOICE, choices=TRIGGERS, policy=_HUB),
        Field(name="ladder", type=FieldType.JSON, data_class=_MACHINE, policy=_HUB),
        Field(name="definition_version", data_class=_MACHINE, policy=_HUB),
        Field(name="facts", type=FieldType.JSON, data_class=_MACHINE, policy=_HUB),
        Field(name="comment", data_class=_TEXT, policy=_HUB),
        Field(name="state", type=FieldType.CHOICE, choices=ESCALATION_STATES, policy=_HUB),
        Field(name="awaiting", policy=_HUB),
        Field(name="fired", type=FieldType.JSON, data_class=_MACHINE, policy=_HUB),
        Field(name="next_at", type=FieldType.INSTANT, policy=_HUB),
        Field(name="started_at", type=FieldType.INSTANT, policy=_HUB),
        Field(name="acknowledged_at", type=FieldType.INSTANT, policy=_HUB),
        Field(name="acknowledged_by", type=FieldType.REFERENCE, policy=_HUB),
        Field(name="ended_at", type=FieldType.INSTANT, policy=_HUB),
    ),
)
"""One run of a ladder about one subject, pinned to the ladder as it was when it began (`ladder`)."""

NOTIFICATION = RecordKind(
    name="notification",
    table="on_call_notification",
    fields=(
        Field(name="key", data_class=_MACHINE, policy=_HUB, required=True),
        Field(name="purpose", type=FieldType.CHOICE, choices=PURPOSES, policy=_HUB),
        Field(name="escalation", type=FieldType.REFERENCE, policy=_HUB),
        Field(name="step", type=FieldType.INTEGER, policy=_HUB),
        Field(name="subject_kind", policy=_HUB),
        Field(name="subject", type=FieldType.REFERENCE, policy=_HUB),
        Field(name="target", policy=_HUB),
        Field(name="person", type=FieldType.REFERENCE, policy=_HUB),
        Field(name="recipient", data_class=_MACHINE, policy=_HUB),
        Field(name="methods", type=FieldType.JSON, data_class=_PERSONAL, policy=_HUB),
        Field(name="attempt", type=FieldType.INTEGER, policy=_HUB),
        Field(name="channel", policy=_HUB),
        Field(name="connection", policy=_HUB),
        Field(name="locale", policy=_HUB),
        Field(name="zone", policy=_HUB),
        Field(name="comment", data_class=_TEXT, policy=_HUB),
        Field(name="title", data_class=_TEXT, policy=_HUB),
        Field(name="text", data_class=_TEXT, policy=_HUB),
        Field(name="urgent", type=FieldType.BOOLEAN, policy=_HUB),
        Field(name="state", type=FieldType.CHOICE, choices=NOTIFICATION_STATES, policy=_HUB),
        Field(name="cause", data_class=_MACHINE, policy=_HUB),
        Field(name="delivery", type=FieldType.REFERENCE, policy=_HUB),
        Field(name="receipts", type=FieldType.JSON, data_class=_MACHINE, policy=_HUB),
        Field(name="partner_ref", data_class=_MACHINE, policy=_HUB),
        Field(name="planned_at", type=FieldType.INSTANT, policy=_HUB),
        Field(name="held_until", type=FieldType.INSTANT, policy=_HUB),
        Field(name="sent_at", type=FieldType.INSTANT, policy=_HUB),
        Field(name="digest", type=FieldType.REFERENCE, policy=_HUB),
    ),
)
"""One message to one recipient. `recipient` is who is meant (a person's id or a channel's name); addresses are
personal and stand in `methods`. `receipts` is the evidence: one line per attempt."""

ACKNOWLEDGEMENT = RecordKind(
    name="acknowledgement",
    table="on_call_acknowledgement",
    fields=(
        Field(name="escalation", type=FieldType.REFERENCE, policy=_HUB),
        Field(name="notification", type=FieldType.REFERENCE, policy=_HUB),
        Field(name="action", data_class=_MACHINE, policy=_HUB),
        Field(name="person", type=FieldType.REFERENCE, policy=_HUB),
        Field(name="partner_actor", data_class=_PERSONAL, policy=_HUB),
        Field(name="connection", policy=_HUB),
        Field(name="door", type=FieldType.CHOICE, choices=DOORS, policy=_HUB),
        Field(name="comment", data_class=_TEXT, policy=_HUB),
    ),
)
"""Somebody said: I look after it. Where a partner's button was pressed by a stranger, only `partner_actor` says who."""

ROTA_OVERRIDE = RecordKind(
    name="rota_override",
    table="on_call_rota_override",
    fields=(
        Field(name="rota", policy=_HUB, required=True),
        Field(name="person", type=FieldType.REFERENCE, policy=_HUB, required=True),
        Field(name="replaces", type=FieldType.REFERENCE, policy=_HUB),
        Field(name="starts_at", type=FieldType.INSTANT, policy=_HUB),
        Field(name="ends_at", type=FieldType.INSTANT, policy=_HUB),
        Field(name="reason", data_class=_TEXT, policy=_HUB),
        Field(name="state", type=FieldType.CHOICE, choices=("active", "cancelled"), policy=_HUB),
    ),
)

CONTACT_CARD = RecordKind(
    name="contact_card",
    table="on_call_contact_card",
    fields=(
        Field(name="person", type=FieldType.REFERENCE, policy=_HUB, required=True),
        Field(name="methods", type=FieldType.JSON, data_class=_PERSONAL, policy=_HUB),
        Field(name="quiet_hours", type=FieldType.JSON, data_class=_MACHINE, policy=_HUB),
        Field(name="locale", policy=_HUB),
        Field(name="zone", policy=_HUB),
    ),
)
"""How one person wants to be reached: methods in their order, quiet hours, language and zone."""
