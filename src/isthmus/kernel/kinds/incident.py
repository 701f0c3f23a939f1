"""Kinds of incident management. States are our canonical choice (ITIL prescribes none)."""

from __future__ import annotations

from isthmus.kernel.record import DataClass, Field, FieldType, MergePolicy, RecordKind

_HUB = MergePolicy.HUB
_TEXT = DataClass.FREE_TEXT

INCIDENT_STATES = ("new", "in_progress", "on_hold", "resolved", "closed", "cancelled")
LEVELS = ("1", "2", "3", "4")
"""Impact, urgency and priority: 1 is the highest."""
HOLD_REASONS = ("customer", "supplier", "change", "other")
"""Whom an incident that is on hold waits for."""

INCIDENT = RecordKind(
    name="incident",
    table="incident_incident",
    prefix="INC",
    fields=(
        Field(name="number", policy=_HUB),
        Field(name="title", data_class=_TEXT, required=True),
        Field(name="description", data_class=_TEXT),
        Field(name="state", type=FieldType.CHOICE, choices=INCIDENT_STATES, group="resolution"),
        Field(name="resolution_code", group="resolution"),
        Field(name="resolution_notes", data_class=_TEXT, group="resolution"),
        Field(name="impact", type=FieldType.CHOICE, choices=LEVELS),
        Field(name="urgency", type=FieldType.CHOICE, choices=LEVELS),
        Field(name="priority", type=FieldType.CHOICE, choices=LEVELS, policy=MergePolicy.MAY_RAISE),
        Field(name="category"),
        Field(name="ci", type=FieldType.REFERENCE, policy=_HUB),
        Field(name="service", type=FieldType.REFERENCE, policy=_HUB),
        Field(name="assignment_group"),
        Field(name="assignee", type=FieldType.REFERENCE),
        Field(name="caller", type=FieldType.REFERENCE),
        Field(name="tags", type=FieldType.SET, policy=MergePolicy.UNION),
        Field(name="parent", type=FieldType.REFERENCE, policy=_HUB),
        Field(name="correlation_key", data_class=DataClass.OPERATIONAL, policy=_HUB),
        Field(name="correlation_reason", data_class=DataClass.OPERATIONAL, policy=_HUB),
        Field(name="gathering", type=FieldType.BOOLEAN, policy=_HUB),
        Field(name="major", type=FieldType.BOOLEAN, policy=_HUB),
        Field(name="trigger_owner", policy=_HUB),
        Field(name="opened_at", type=FieldType.INSTANT, policy=_HUB),
        Field(name="resolved_at", type=FieldType.INSTANT, policy=_HUB),
        Field(name="closed_at", type=FieldType.INSTANT, policy=_HUB),
        Field(name="respond_by", type=FieldType.INSTANT, policy=_HUB),
        Field(name="resolve_by", type=FieldType.INSTANT, policy=_HUB),
        Field(name="hold_reason", type=FieldType.CHOICE, choices=HOLD_REASONS, policy=_HUB),
        Field(name="root_cause", data_class=_TEXT),
        Field(name="cause_code"),
        Field(name="workaround", data_class=_TEXT),
        Field(name="steps", type=FieldType.JSON, data_class=_TEXT, policy=_HUB),
        Field(name="merged_into", type=FieldType.REFERENCE, policy=_HUB),
        Field(name="problem", type=FieldType.REFERENCE, policy=_HUB),
        Field(name="escalation_path", policy=_HUB),
        Field(name="escalation_level", type=FieldType.INTEGER, policy=_HUB),
        Field(name="collision_checked", type=FieldType.JSON, policy=_HUB),
        Field(name="extra", type=FieldType.JSON, data_class=_TEXT),
    ),
)

COMMENT = RecordKind(
    name="comment",
    table="incident_comment",
    fields=(
        Field(name="record_kind", policy=_HUB),
        Field(name="record", type=FieldType.REFERENCE, policy=_HUB, required=True),
        Field(name="body", data_class=_TEXT, required=True),
        Field(name="public", type=FieldType.BOOLEAN),
        Field(name="author", type=FieldType.REFERENCE, policy=_HUB),
        Field(name="author_label", data_class=_TEXT, policy=_HUB),
        Field(name="connection", policy=_HUB),
        Field(name="state", type=FieldType.CHOICE, choices=("shown", "deleted"), policy=_HUB),
        Field(name="written_at", type=FieldType.INSTANT, policy=_HUB),
    ),
)

ATTACHMENT = RecordKind(
    name="attachment",
    table="incident_attachment",
    fields=(
        Field(name="record_kind", policy=_HUB),
        Field(name="record", type=FieldType.REFERENCE, policy=_HUB, required=True),
        Field(name="filename", data_class=_TEXT, policy=_HUB, required=True),
        Field(name="content_type", policy=_HUB),
        Field(name="size", type=FieldType.INTEGER, policy=_HUB),
        Field(name="sha256", data_class=DataClass.OPERATIONAL, policy=_HUB),
        Field(name="author", type=FieldType.REFERENCE, policy=_HUB),
        Field(name="author_label", data_class=_TEXT, policy=_HUB),
        Field(name="connection", policy=_HUB),
        Field(name="state", type=FieldType.CHOICE, choices=("stored", "oversized"), policy=_HUB),
        Field(name="added_at", type=FieldType.INSTANT, policy=_HUB),
    ),
)
"""A file of a record; never changed once added. `oversized`: known by name and size, its content was not
taken. `connection` is where it was added ("" for here)."""

SUSPECT = RecordKind(
    name="suspect",
    table="incident_suspect",
    fields=(
        Field(name="incident", type=FieldType.REFERENCE, policy=_HUB, required=True),
        Field(name="change", type=FieldType.REFERENCE, policy=_HUB, required=True),
        Field(name="hops", type=FieldType.INTEGER, policy=_HUB),
        Field(name="reason", data_class=DataClass.OPERATIONAL, policy=_HUB),
        Field(
            name="verdict", type=FieldType.CHOICE, choices=("proposed", "confirmed", "cleared"), policy=_HUB
        ),
    ),
)
"""A change that may have caused an incident, found on the path of the map."""
