"""Kinds around an incident that several desks work on: who holds it, who may fire what, what it waits for.

Each names its incident in `record`: free text of them is sealed under the incident's key and is erased with it.
"""

from __future__ import annotations

from isthmus.kernel.record import DataClass, Field, FieldType, MergePolicy, RecordKind

_HUB = MergePolicy.HUB
_TEXT = DataClass.FREE_TEXT
_MACHINE = DataClass.OPERATIONAL

CUSTODY_STATES = ("offered", "accepted", "rejected", "withdrawn", "returned")
WAIT_STATES = ("waiting", "asking", "recovered", "escalated", "ended")
MERGE_TYPES = ("merge", "split")

CUSTODY = RecordKind(
    name="custody",
    table="incident_custody",
    fields=(
        Field(name="record", type=FieldType.REFERENCE, policy=_HUB, required=True),
        Field(name="case", type=FieldType.REFERENCE, policy=_HUB, required=True),
        Field(name="giver", policy=_HUB, required=True),
        Field(name="taker", policy=_HUB, required=True),
        Field(name="contract", policy=_HUB),
        Field(name="state", type=FieldType.CHOICE, choices=CUSTODY_STATES, policy=_HUB),
        Field(name="reason", data_class=_TEXT, policy=_HUB),
        Field(name="answer", data_class=_TEXT, policy=_HUB),
        Field(name="offered_at", type=FieldType.INSTANT, policy=_HUB),
        Field(name="accept_by", type=FieldType.INSTANT, policy=_HUB),
        Field(name="answered_at", type=FieldType.INSTANT, policy=_HUB),
        Field(name="returned_at", type=FieldType.INSTANT, policy=_HUB),
        Field(name="escalated_at", type=FieldType.INSTANT, policy=_HUB),
        Field(name="orphaned_at", type=FieldType.INSTANT, policy=_HUB),
        Field(name="receiver", data_class=_MACHINE, policy=_HUB),
        Field(name="counterpart", type=FieldType.REFERENCE, policy=_HUB),
        Field(name="connection", policy=_HUB),
        Field(name="base", type=FieldType.JSON, data_class=_TEXT, policy=_HUB),
        Field(name="copied", type=FieldType.JSON, data_class=_MACHINE, policy=_HUB),
    ),
)
"""An offer of one desk to another to take an incident over, and what became of it: a line of the custody ledger.
`case`: the incident with which the story began, on whose ledger the line stands. `receiver`: the organisation of
the taker, `counterpart` its own incident; `connection`: the system on which a partner's desk works. `base`: the
carried values that both incidents last agreed on, `copied`: which comment stands for which."""

MAJOR_INCIDENT = RecordKind(
    name="major_incident",
    table="incident_major",
    fields=(
        Field(name="record", type=FieldType.REFERENCE, policy=_HUB, required=True),
        Field(name="owner", policy=_HUB),
        Field(name="triggers", type=FieldType.JSON, data_class=_MACHINE, policy=_HUB),
        Field(name="people", type=FieldType.JSON, data_class=_TEXT, policy=_HUB),
        Field(name="state", type=FieldType.CHOICE, choices=("active", "ended"), policy=_HUB),
        Field(name="declared_at", type=FieldType.INSTANT, policy=_HUB),
        Field(name="ended_at", type=FieldType.INSTANT, policy=_HUB),
        Field(name="update_due", type=FieldType.INSTANT, policy=_HUB),
        Field(name="updated_last", type=FieldType.INSTANT, policy=_HUB),
    ),
)
"""The procedure of a major incident: which desk owns each workflow trigger, who plays which part, when the next
update to those concerned is due."""

TRIGGER_HANDOVER = RecordKind(
    name="trigger_handover",
    table="incident_trigger_handover",
    fields=(
        Field(name="record", type=FieldType.REFERENCE, policy=_HUB, required=True),
        Field(name="trigger", policy=_HUB, required=True),
        Field(name="owner", policy=_HUB),
        Field(name="wanted_by", policy=_HUB),
        Field(name="asked_by", type=FieldType.REFERENCE, policy=_HUB),
        Field(
            name="state",
            type=FieldType.CHOICE,
            choices=("offered", "handed_over", "kept", "lapsed"),
            policy=_HUB,
        ),
        Field(name="asked_at", type=FieldType.INSTANT, policy=_HUB),
        Field(name="answered_at", type=FieldType.INSTANT, policy=_HUB),
    ),
)
"""A trigger of a major incident that a desk fired and does not own: refused, and offered to be handed over."""

WAIT = RecordKind(
    name="wait",
    table="incident_wait",
    fields=(
        Field(name="workflow", data_class=_MACHINE, policy=_HUB, required=True),
        Field(name="record", type=FieldType.REFERENCE, policy=_HUB),
        Field(name="about", type=FieldType.REFERENCE, policy=_HUB),
        Field(name="partner", data_class=_MACHINE, policy=_HUB),
        Field(name="owner", policy=_HUB),
        Field(name="path", policy=_HUB),
        Field(name="state", type=FieldType.CHOICE, choices=WAIT_STATES, policy=_HUB),
        Field(name="since", type=FieldType.INSTANT, policy=_HUB),
        Field(name="limit_at", type=FieldType.INSTANT, policy=_HUB),
        Field(name="asked_at", type=FieldType.INSTANT, policy=_HUB),
        Field(name="escalated_at", type=FieldType.INSTANT, policy=_HUB),
        Field(name="ended_at", type=FieldType.INSTANT, policy=_HUB),
        Field(name="found", data_class=_TEXT, policy=_HUB),
    ),
)
"""A workflow that waits for somebody, with the instant at which the watchdog looks. `about`: what it waits on
(a link, an approval, an offer), `partner`: the connection or desk whose move it is, `found`: what the watchdog
found out."""

INCIDENT_MERGE = RecordKind(
    name="incident_merge",
    table="incident_merge",
    fields=(
        Field(name="type", type=FieldType.CHOICE, choices=MERGE_TYPES, policy=_HUB),
        Field(name="record", type=FieldType.REFERENCE, policy=_HUB, required=True),
        Field(name="other", type=FieldType.REFERENCE, policy=_HUB, required=True),
        Field(name="state", type=FieldType.CHOICE, choices=("done", "undone"), policy=_HUB),
        Field(name="reason", data_class=_TEXT, policy=_HUB),
        Field(name="moved", type=FieldType.JSON, data_class=_MACHINE, policy=_HUB),
        Field(name="done_at", type=FieldType.INSTANT, policy=_HUB),
        Field(name="undone_at", type=FieldType.INSTANT, policy=_HUB),
    ),
)
"""Two incidents that were one (merge), or one that was two (split). `record`: the one that goes on, `other`: the duplicate, or the new incident.
`moved`: what followed, by kind, so that it can be taken back."""

INCIDENT_REVIEW = RecordKind(
    name="incident_review",
    table="incident_review",
    prefix="PIR",
    fields=(
        Field(name="number", policy=_HUB),
        Field(name="record", type=FieldType.REFERENCE, policy=_HUB, required=True),
        Field(name="state", type=FieldType.CHOICE, choices=("open", "overdue", "done"), policy=_HUB),
        Field(name="owner", policy=_HUB),
        Field(name="due_at", type=FieldType.INSTANT, policy=_HUB),
        Field(name="timeline", type=FieldType.JSON, data_class=_TEXT, policy=_HUB),
        Field(name="cause", data_class=_TEXT, policy=_HUB),
        Field(name="lessons", data_class=_TEXT, policy=_HUB),
        Field(name="actions", type=FieldType.JSON, data_class=_TEXT, policy=_HUB),
        Field(name="done_at", type=FieldType.INSTANT, policy=_HUB),
        Field(name="done_by", type=FieldType.REFERENCE, policy=_HUB),
    ),
)
"""The review that a major incident owes: cause, lessons and actions, with the timeline as it was when it ended."""
