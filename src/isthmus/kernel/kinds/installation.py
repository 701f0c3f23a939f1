"""Kinds of the installation itself: organisations, people, grants, how they like their lists, generations, offsets."""

from __future__ import annotations

from isthmus.kernel.record import DataClass, Field, FieldType, MergePolicy, RecordKind

_HUB = MergePolicy.HUB

ORGANISATION = RecordKind(
    name="organisation",
    table="ledger_organisation",
    fields=(
        Field(name="name", policy=_HUB, required=True),
        Field(name="parent", type=FieldType.REFERENCE, policy=_HUB),
        Field(name="state", type=FieldType.CHOICE, choices=("active", "closed"), policy=_HUB),
    ),
)

SHARE = RecordKind(
    name="share",
    table="ledger_share",
    fields=(
        Field(name="shared_kind", policy=_HUB),
        Field(name="shared_record", type=FieldType.REFERENCE, policy=_HUB),
        Field(name="shared_with", type=FieldType.REFERENCE, policy=_HUB),
        Field(name="view", policy=_HUB),
    ),
)

PERSON = RecordKind(
    name="person",
    table="identity_person",
    fields=(
        Field(name="name", data_class=DataClass.PERSONAL, policy=_HUB),
        Field(name="email", data_class=DataClass.PERSONAL, policy=_HUB),
        Field(name="username", policy=_HUB),
        Field(name="time_zone", policy=_HUB),
        Field(name="state", type=FieldType.CHOICE, choices=("active", "left"), policy=_HUB),
        Field(name="partner_names", type=FieldType.JSON, data_class=DataClass.PERSONAL, policy=_HUB),
    ),
)

ROLE_GRANT = RecordKind(
    name="role_grant",
    table="identity_role_grant",
    fields=(
        Field(name="holder", type=FieldType.REFERENCE, policy=_HUB, required=True),
        Field(name="role", policy=_HUB, required=True),
        Field(name="state", type=FieldType.CHOICE, choices=("granted", "revoked"), policy=_HUB),
    ),
)

SERVICE_ACCOUNT = RecordKind(
    name="service_account",
    table="identity_service_account",
    fields=(
        Field(name="name", policy=_HUB, required=True),
        Field(name="owner", type=FieldType.REFERENCE, policy=_HUB),
        Field(name="scopes", type=FieldType.SET, policy=_HUB),
        Field(name="token_hash", policy=_HUB),
        Field(name="token_hint", policy=_HUB),
        Field(name="expires_at", type=FieldType.INSTANT, policy=_HUB),
        Field(name="state", type=FieldType.CHOICE, choices=("active", "revoked"), policy=_HUB),
    ),
)

LIST_VIEW = RecordKind(
    name="list_view",
    table="identity_list_view",
    fields=(
        Field(name="owner", type=FieldType.REFERENCE, policy=_HUB, required=True),
        Field(name="table", policy=_HUB, required=True),
        Field(name="name", policy=_HUB, required=True),
        Field(name="query", policy=_HUB),
        Field(name="shared", type=FieldType.BOOLEAN, policy=_HUB),
        Field(name="state", type=FieldType.CHOICE, choices=("kept", "deleted"), policy=_HUB),
    ),
)
"""A filter of one list under a name: its owner's alone or, `shared`, their organisation's. `query` is what would
stand in the URL: filters, order, columns."""

LIST_CHOICE = RecordKind(
    name="list_choice",
    table="identity_list_choice",
    fields=(
        Field(name="owner", type=FieldType.REFERENCE, policy=_HUB, required=True),
        Field(name="table", policy=_HUB, required=True),
        Field(name="columns", type=FieldType.JSON, policy=_HUB),
        Field(name="view", type=FieldType.REFERENCE, policy=_HUB),
    ),
)
"""How one person likes one list: which columns in which order (none: the usual ones), and the view it opens with."""

GENERATION = RecordKind(
    name="generation",
    table="blueprint_generation",
    fields=(
        Field(name="sequence", type=FieldType.INTEGER, policy=_HUB),
        Field(name="content_hash", policy=_HUB),
        Field(name="content", policy=_HUB),
        Field(name="state", type=FieldType.CHOICE, choices=("applied", "superseded"), policy=_HUB),
        Field(name="rolled_back_from", type=FieldType.INTEGER, policy=_HUB),
    ),
)

BLUEPRINT_APPROVAL = RecordKind(
    name="blueprint_approval",
    table="blueprint_approval",
    fields=(
        Field(name="content_hash", policy=_HUB, required=True),
        Field(name="base_generation", type=FieldType.INTEGER, policy=_HUB),
        Field(name="approver", type=FieldType.REFERENCE, policy=_HUB, required=True),
    ),
)
"""A person's consent to one content, to be applied on one generation."""

INTAKE_OFFSET = RecordKind(
    name="intake_offset",
    table="hub_intake_offset",
    fields=(
        Field(name="connection", policy=_HUB, required=True),
        Field(name="position", type=FieldType.INTEGER, policy=_HUB, required=True),
        Field(name="outcomes_root", policy=_HUB),
    ),
)
"""How far the pump has read one connection's log, with the Merkle root of the outcomes of the last batch."""

SYSTEM_EVENT = RecordKind(
    name="system_event",
    table="ledger_system_event",
    fields=(
        Field(name="subject", policy=_HUB, required=True),
        Field(name="facts", type=FieldType.JSON, policy=_HUB),
    ),
)
"""A thing worth journalling that changes no other record: refused requests, a restore, a token used amiss."""
