"""Kinds of change enablement, approval and the deployment gate."""

from __future__ import annotations

from isthmus.kernel.kinds.incident import LEVELS
from isthmus.kernel.record import DataClass, Field, FieldType, MergePolicy, RecordKind

_HUB = MergePolicy.HUB
_TEXT = DataClass.FREE_TEXT
CHANGE_STATES = (
    "new", "assessment", "authorisation", "scheduled", "implementation", "review", "closed", "cancelled",
)  # fmt: skip
CHANGE_TYPES = ("standard", "normal", "emergency")
OUTCOMES = ("successful", "successful_with_issues", "failed", "backed_out", "not_implemented")
AUTHORISATIONS = ("not_requested", "requested", "approved", "refused", "void")

CHANGE = RecordKind(
    name="change",
    table="change_change",
    prefix="CHG",
    fields=(
        Field(name="number", policy=_HUB),
        Field(name="title", data_class=_TEXT, required=True),
        Field(name="description", data_class=_TEXT),
        Field(name="type", type=FieldType.CHOICE, choices=CHANGE_TYPES, policy=_HUB),
        Field(name="model", policy=_HUB),
        Field(name="state", type=FieldType.CHOICE, choices=CHANGE_STATES, authority=True, policy=_HUB),
        Field(
            name="authorisation", type=FieldType.CHOICE, choices=AUTHORISATIONS, authority=True, policy=_HUB
        ),
        Field(
            name="risk", type=FieldType.CHOICE, choices=("low", "medium", "high"), authority=True, policy=_HUB
        ),
        Field(name="window_start", type=FieldType.INSTANT, authority=True, policy=_HUB),
        Field(name="window_end", type=FieldType.INSTANT, authority=True, policy=_HUB),
        Field(name="cis", type=FieldType.SET, policy=_HUB),
        Field(name="environment", policy=_HUB),
        Field(name="artefact_hash", policy=_HUB),
        Field(name="implementation_plan", data_class=_TEXT),
        Field(name="backout_plan", data_class=_TEXT),
        Field(name="requester", type=FieldType.REFERENCE, policy=_HUB),
        Field(name="assignment_group"),
        Field(name="priority", type=FieldType.CHOICE, choices=LEVELS),
        Field(name="incident", type=FieldType.REFERENCE, policy=_HUB),
        Field(name="content_hash", policy=_HUB),
        Field(name="impact_report", type=FieldType.JSON, policy=_HUB),
        Field(name="authorised_at", type=FieldType.INSTANT, authority=True, policy=_HUB),
        Field(name="authorised_until", type=FieldType.INSTANT, authority=True, policy=_HUB),
        Field(name="started_at", type=FieldType.INSTANT, policy=_HUB),
        Field(name="finished_at", type=FieldType.INSTANT, policy=_HUB),
        Field(name="outcome", type=FieldType.CHOICE, choices=OUTCOMES, policy=_HUB),
        Field(name="review_due_at", type=FieldType.INSTANT, policy=_HUB),
        Field(name="reviewed_at", type=FieldType.INSTANT, policy=_HUB),
        Field(name="reviewer", type=FieldType.REFERENCE, policy=_HUB),
        Field(name="review_notes", data_class=_TEXT, policy=_HUB),
        Field(name="evidence", type=FieldType.JSON, policy=_HUB),
        Field(name="closed_at", type=FieldType.INSTANT, policy=_HUB),
    ),
)

APPROVAL = RecordKind(
    name="approval",
    table="approval_approval",
    fields=(
        Field(name="subject_kind", policy=_HUB),
        Field(name="subject", type=FieldType.REFERENCE, policy=_HUB, required=True),
        Field(name="content_hash", policy=_HUB, required=True),
        Field(name="definition", policy=_HUB),
        Field(name="definition_version", policy=_HUB),
        Field(name="authority", policy=_HUB),
        Field(name="terms", type=FieldType.JSON, policy=_HUB),
        Field(name="requester", type=FieldType.REFERENCE, policy=_HUB),
        Field(name="approver", type=FieldType.REFERENCE, policy=_HUB),
        Field(
            name="state",
            type=FieldType.CHOICE,
            choices=("awaiting", "approved", "refused", "void", "expired"),
            policy=_HUB,
        ),
        Field(name="comment", data_class=_TEXT, policy=_HUB),
        Field(name="evidence", type=FieldType.JSON, policy=_HUB),
        Field(name="decided_at", type=FieldType.INSTANT, policy=_HUB),
        Field(name="expires_at", type=FieldType.INSTANT, policy=_HUB),
    ),
)

FREEZE = RecordKind(
    name="freeze",
    table="change_freeze",
    fields=(
        Field(name="name", policy=_HUB, required=True),
        Field(name="effect", type=FieldType.CHOICE, choices=("freeze", "peak"), policy=_HUB),
        Field(name="starts_at", type=FieldType.INSTANT, policy=_HUB),
        Field(name="ends_at", type=FieldType.INSTANT, policy=_HUB),
        Field(name="environments", type=FieldType.SET, policy=_HUB),
        Field(name="cis", type=FieldType.SET, policy=_HUB),
        Field(name="state", type=FieldType.CHOICE, choices=("active", "cancelled"), policy=_HUB),
        Field(name="source", policy=_HUB),
    ),
)

CHANGE_CALENDAR = RecordKind(
    name="change_calendar",
    table="change_calendar",
    fields=(Field(name="freezes", type=FieldType.SET, policy=_HUB),),
)
"""Which freezes an organisation has: one record each, so that its entries prove that none was hidden."""

GATE_DECISION = RecordKind(
    name="gate_decision",
    table="change_gate_decision",
    fields=(
        Field(name="change", type=FieldType.REFERENCE, policy=_HUB),
        Field(name="change_number", policy=_HUB),
        Field(name="decision", type=FieldType.CHOICE, choices=("allow", "deny", "wait"), policy=_HUB),
        Field(name="reasons", type=FieldType.JSON, policy=_HUB),
        Field(name="environment", policy=_HUB),
        Field(name="artefact_hash", policy=_HUB),
        Field(name="cis", type=FieldType.SET, policy=_HUB),
        Field(name="asked_by", type=FieldType.REFERENCE, policy=_HUB),
        Field(name="facts", type=FieldType.JSON, policy=_HUB),
        Field(name="token_hash", policy=_HUB),
        Field(name="expires_at", type=FieldType.INSTANT, policy=_HUB),
        Field(name="callback", policy=_HUB),
    ),
)
