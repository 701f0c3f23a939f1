"""Kinds of monitoring and event management."""

from __future__ import annotations

from isthmus.kernel.record import DataClass, Field, FieldType, MergePolicy, RecordKind

_HUB = MergePolicy.HUB
_MACHINE = DataClass.OPERATIONAL

SEVERITIES = ("informational", "warning", "error", "critical")
ALERT_STATES = ("firing", "resolved", "stale")
ALERT_DECISIONS = (
    "opened", "joined", "attached_to_parent", "storm", "suppressed_maintenance", "suppressed_silence",
    "suppressed_inhibited", "recorded_only", "drafted", "below_threshold", "informational", "flapping",
    "waiting", "cleared_while_waiting", "heartbeat", "draft_rejected",
)  # fmt: skip
BINDINGS = ("id", "key", "name", "alias", "address", "short_name", "topology", "ambiguous", "none")

ALERT = RecordKind(
    name="alert",
    table="monitoring_alert",
    counters=("occurrences", "notifications", "last_seen_at"),
    fields=(
        Field(name="identity", data_class=_MACHINE, policy=_HUB, required=True),
        Field(name="identity_version", type=FieldType.INTEGER, policy=_HUB),
        Field(name="connection", data_class=_MACHINE, policy=_HUB),
        Field(name="external_key", data_class=_MACHINE, policy=_HUB),
        Field(name="severity", type=FieldType.CHOICE, choices=SEVERITIES, policy=_HUB),
        Field(name="state", type=FieldType.CHOICE, choices=ALERT_STATES, policy=_HUB),
        Field(name="summary", data_class=_MACHINE, policy=_HUB),
        Field(name="labels", type=FieldType.JSON, data_class=_MACHINE, policy=_HUB),
        Field(name="annotations", type=FieldType.JSON, data_class=_MACHINE, policy=_HUB),
        Field(name="starts_at", type=FieldType.INSTANT, policy=_HUB),
        Field(name="ends_at", type=FieldType.INSTANT, policy=_HUB),
        Field(name="ci", type=FieldType.REFERENCE, policy=_HUB),
        Field(name="service", type=FieldType.REFERENCE, policy=_HUB),
        Field(name="binding", type=FieldType.CHOICE, choices=BINDINGS, policy=_HUB),
        Field(name="binding_confidence", type=FieldType.INTEGER, policy=_HUB),
        Field(name="decision", type=FieldType.CHOICE, choices=ALERT_DECISIONS, policy=_HUB),
        Field(name="decision_reason", data_class=_MACHINE, policy=_HUB),
        Field(name="suppressed_by", type=FieldType.REFERENCE, policy=_HUB),
        Field(name="incident", type=FieldType.REFERENCE, policy=_HUB),
        Field(name="parent", type=FieldType.REFERENCE, policy=_HUB),
        Field(name="group_key", data_class=_MACHINE, policy=_HUB),
        Field(name="waits_until", type=FieldType.INSTANT, policy=_HUB),
        Field(name="open", type=FieldType.BOOLEAN, policy=_HUB),
        Field(name="inhibitor", type=FieldType.BOOLEAN, policy=_HUB),
        Field(name="state_changes", type=FieldType.JSON, data_class=_MACHINE, policy=_HUB),
        # The partner's own view, as it last told us.
        Field(name="acknowledged", type=FieldType.BOOLEAN, policy=_HUB),
        Field(name="acknowledged_by", data_class=DataClass.FREE_TEXT, policy=_HUB),
        Field(name="acknowledged_at", type=FieldType.INSTANT, policy=_HUB),
        Field(name="silenced", type=FieldType.BOOLEAN, policy=_HUB),
        # Who looks after it as the hub knows, what the partner was asked because of that, what did not stick.
        Field(name="taken_by", data_class=DataClass.FREE_TEXT, policy=_HUB),
        Field(name="taken_at", type=FieldType.INSTANT, policy=_HUB),
        Field(name="told", type=FieldType.JSON, data_class=_MACHINE, policy=_HUB),
        Field(name="astray", type=FieldType.BOOLEAN, policy=_HUB),
    ),
)

SILENCE = RecordKind(
    name="silence",
    table="monitoring_silence",
    fields=(
        Field(name="matchers", type=FieldType.JSON, data_class=_MACHINE, policy=_HUB),
        Field(name="starts_at", type=FieldType.INSTANT, policy=_HUB),
        Field(name="ends_at", type=FieldType.INSTANT, policy=_HUB),
        Field(name="owner", type=FieldType.REFERENCE, policy=_HUB),
        Field(name="comment", data_class=DataClass.FREE_TEXT, policy=_HUB),
        Field(name="state", type=FieldType.CHOICE, choices=("active", "expired"), policy=_HUB),
        # A silence or downtime that a partner holds: where, under which key, whose; "" for the hub's own.
        Field(name="connection", data_class=_MACHINE, policy=_HUB),
        Field(name="external_key", data_class=_MACHINE, policy=_HUB),
        Field(name="owner_label", data_class=DataClass.FREE_TEXT, policy=_HUB),
        # Where one of the hub's own is mirrored: connection → its key there, and what did not stick.
        Field(name="mirrors", type=FieldType.JSON, data_class=_MACHINE, policy=_HUB),
        Field(name="astray", type=FieldType.BOOLEAN, policy=_HUB),
    ),
)

VERDICTS = ("open", "right", "wrong")

ACCURACY_SAMPLE = RecordKind(
    name="accuracy_sample",
    table="monitoring_accuracy_sample",
    fields=(
        Field(name="alert", type=FieldType.REFERENCE, policy=_HUB, required=True),
        Field(name="service", type=FieldType.REFERENCE, policy=_HUB),
        Field(name="alert_class", data_class=_MACHINE, policy=_HUB),
        Field(name="seed", data_class=_MACHINE, policy=_HUB),
        # What the hub had decided when the person judged it.
        Field(name="decision", type=FieldType.CHOICE, choices=ALERT_DECISIONS, policy=_HUB),
        Field(name="verdict", type=FieldType.CHOICE, choices=VERDICTS, policy=_HUB),
        Field(name="note", data_class=DataClass.FREE_TEXT, policy=_HUB),
        Field(name="judged_by", type=FieldType.REFERENCE, policy=_HUB),
        Field(name="judged_at", type=FieldType.INSTANT, policy=_HUB),
    ),
)

AUTOMATION_MODE = RecordKind(
    name="automation_mode",
    table="monitoring_automation_mode",
    fields=(
        Field(name="service", type=FieldType.REFERENCE, policy=_HUB),
        Field(name="alert_class", data_class=_MACHINE, policy=_HUB),
        Field(name="full_permitted", type=FieldType.BOOLEAN, policy=_HUB),
        Field(name="verdicts", type=FieldType.INTEGER, policy=_HUB),
        Field(name="wrong", type=FieldType.INTEGER, policy=_HUB),
        Field(name="said", data_class=_MACHINE, policy=_HUB),
        Field(name="since", type=FieldType.INSTANT, policy=_HUB),
    ),
)
