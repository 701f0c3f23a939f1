"""Kinds of service configuration management."""

from __future__ import annotations

from isthmus.kernel.record import DataClass, Field, FieldType, MergePolicy, RecordKind

_HUB = MergePolicy.HUB
RELATION_TYPES = ("depends_on", "runs_on", "hosted_on", "member_of")
CRITICALITIES = ("gold", "silver", "bronze", "test")

CI = RecordKind(
    name="ci",
    table="configuration_ci",
    fields=(
        Field(name="name", required=True),
        Field(name="ci_class", required=True),
        Field(name="external_key"),
        Field(name="aliases", type=FieldType.SET, policy=MergePolicy.UNION),
        Field(name="addresses", type=FieldType.SET, policy=MergePolicy.UNION),
        Field(name="environment"),
        Field(name="criticality", type=FieldType.CHOICE, choices=CRITICALITIES),
        Field(name="users", type=FieldType.INTEGER),
        Field(name="owner"),
        Field(name="support_group"),
        Field(name="shared", type=FieldType.BOOLEAN),
        Field(name="attributes", type=FieldType.JSON),
        Field(name="source", policy=_HUB),
        Field(name="state", type=FieldType.CHOICE, choices=("live", "retired")),
    ),
)

CI_RELATION = RecordKind(
    name="ci_relation",
    table="configuration_relation",
    fields=(
        Field(name="source_ci", type=FieldType.REFERENCE, policy=_HUB, required=True),
        Field(name="target_ci", type=FieldType.REFERENCE, policy=_HUB, required=True),
        Field(name="type", type=FieldType.CHOICE, choices=RELATION_TYPES, policy=_HUB),
        Field(name="source", policy=_HUB),
        Field(name="state", type=FieldType.CHOICE, choices=("live", "removed"), policy=_HUB),
    ),
)
"""`source_ci depends on (runs on, is hosted on, is a member of) target_ci`: impact flows target → source."""

CMDB_GAP = RecordKind(
    name="cmdb_gap",
    table="configuration_gap",
    fields=(
        Field(name="hint", data_class=DataClass.OPERATIONAL, policy=_HUB, required=True),
        Field(name="found_by", type=FieldType.REFERENCE, policy=_HUB),
        Field(name="state", type=FieldType.CHOICE, choices=("open", "closed"), policy=_HUB),
    ),
)
"""An alert or import named a configuration item that the map does not know."""
