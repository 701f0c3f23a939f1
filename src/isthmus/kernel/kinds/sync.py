"""Kinds of synchronisation: the link between a record and an external object, and conflicts."""

from __future__ import annotations

from isthmus.kernel.record import DataClass, Field, FieldType, MergePolicy, RecordKind

_HUB = MergePolicy.HUB

LINK = RecordKind(
    name="link",
    table="sync_link",
    fields=(
        Field(name="record_kind", policy=_HUB, required=True),
        Field(name="record", type=FieldType.REFERENCE, policy=_HUB, required=True),
        Field(name="connection", policy=_HUB, required=True),
        Field(name="external_kind", policy=_HUB),
        Field(name="external_key", policy=_HUB),
        Field(name="external_label", policy=_HUB),
        Field(name="external_url", policy=_HUB),
        Field(name="external_version", policy=_HUB),
        Field(name="correlation", policy=_HUB),
        Field(name="mapping_version", policy=_HUB),
        Field(name="state", type=FieldType.CHOICE, choices=("active", "unlinked", "parked"), policy=_HUB),
        Field(name="parts", type=FieldType.JSON, data_class=DataClass.FREE_TEXT, policy=_HUB),
    ),
)
"""`parts` holds the base: per field or comment the pair (agreed, seen) with tries and flag."""

CONFLICT = RecordKind(
    name="conflict",
    table="sync_conflict",
    fields=(
        Field(name="record_kind", policy=_HUB),
        Field(name="record", type=FieldType.REFERENCE, policy=_HUB, required=True),
        Field(name="link", type=FieldType.REFERENCE, policy=_HUB),
        Field(name="field", policy=_HUB, required=True),
        Field(name="base", data_class=DataClass.FREE_TEXT, policy=_HUB),
        Field(name="ours", data_class=DataClass.FREE_TEXT, policy=_HUB),
        Field(name="theirs", data_class=DataClass.FREE_TEXT, policy=_HUB),
        Field(name="rule", policy=_HUB),
        Field(
            name="winner",
            type=FieldType.CHOICE,
            choices=("undecided", "ours", "theirs", "other"),
            policy=_HUB,
        ),
        Field(name="state", type=FieldType.CHOICE, choices=("open", "decided"), policy=_HUB),
        Field(name="decided_by", type=FieldType.REFERENCE, policy=_HUB),
        Field(name="decided_at", type=FieldType.INSTANT, policy=_HUB),
    ),
)
