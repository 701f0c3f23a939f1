"""Kinds of problem management: problems, known errors, and where a known error was found to fit."""

from __future__ import annotations

from isthmus.kernel.kinds.incident import LEVELS
from isthmus.kernel.record import DataClass, Field, FieldType, MergePolicy, RecordKind

_HUB = MergePolicy.HUB
_TEXT = DataClass.FREE_TEXT

PROBLEM_STATES = ("new", "assessed", "root_cause_known", "resolved", "closed", "cancelled")
KNOWN_ERROR_STATES = ("draft", "published", "retired")
MATCH_VERDICTS = ("proposed", "confirmed", "rejected")

PROBLEM = RecordKind(
    name="problem",
    table="problem_problem",
    prefix="PRB",
    fields=(
        Field(name="number", policy=_HUB),
        Field(name="title", data_class=_TEXT, required=True),
        Field(name="description", data_class=_TEXT),
        Field(name="state", type=FieldType.CHOICE, choices=PROBLEM_STATES, policy=_HUB),
        Field(name="priority", type=FieldType.CHOICE, choices=LEVELS),
        Field(name="service", type=FieldType.REFERENCE, policy=_HUB),
        Field(name="cis", type=FieldType.SET, policy=_HUB),
        Field(name="assignment_group"),
        Field(name="owner", type=FieldType.REFERENCE),
        Field(name="cause_code"),
        Field(name="root_cause", data_class=_TEXT),
        Field(name="actions", type=FieldType.JSON, data_class=_TEXT, policy=_HUB),
        Field(name="resolution", data_class=_TEXT),
        Field(name="opened_at", type=FieldType.INSTANT, policy=_HUB),
        Field(name="resolved_at", type=FieldType.INSTANT, policy=_HUB),
        Field(name="closed_at", type=FieldType.INSTANT, policy=_HUB),
    ),
)
"""The cause, or potential cause, of one or more incidents; each incident names its problem."""

KNOWN_ERROR = RecordKind(
    name="known_error",
    table="problem_known_error",
    prefix="KE",
    fields=(
        Field(name="number", policy=_HUB),
        Field(name="problem", type=FieldType.REFERENCE, policy=_HUB),
        Field(name="title", data_class=_TEXT, required=True),
        Field(name="workaround", data_class=_TEXT),
        Field(name="fix", data_class=_TEXT),
        Field(name="link"),
        Field(name="state", type=FieldType.CHOICE, choices=KNOWN_ERROR_STATES, policy=_HUB),
        Field(name="cis", type=FieldType.SET, policy=_HUB),
        Field(name="classes", type=FieldType.SET, policy=_HUB),
        Field(name="services", type=FieldType.SET, policy=_HUB),
        Field(name="condition", policy=_HUB),
        Field(name="published_at", type=FieldType.INSTANT, policy=_HUB),
        Field(name="retired_at", type=FieldType.INSTANT, policy=_HUB),
    ),
)
"""A problem that is analysed but not resolved. `cis`, `classes`, `services` and `condition` (CEL) say which
incidents it fits; `link` is where the permanent fix is followed."""

KNOWN_ERROR_MATCH = RecordKind(
    name="known_error_match",
    table="problem_known_error_match",
    fields=(
        Field(name="record", type=FieldType.REFERENCE, policy=_HUB, required=True),
        Field(name="known_error", type=FieldType.REFERENCE, policy=_HUB, required=True),
        Field(name="known_error_version", type=FieldType.INTEGER, policy=_HUB),
        Field(name="alert", type=FieldType.REFERENCE, policy=_HUB),
        Field(name="found_by", type=FieldType.CHOICE, choices=("rule", "hand"), policy=_HUB),
        Field(name="reason", data_class=DataClass.OPERATIONAL, policy=_HUB),
        Field(name="verdict", type=FieldType.CHOICE, choices=MATCH_VERDICTS, policy=_HUB),
        Field(name="note", data_class=_TEXT, policy=_HUB),
        Field(name="judged_by", type=FieldType.REFERENCE, policy=_HUB),
        Field(name="judged_at", type=FieldType.INSTANT, policy=_HUB),
    ),
)
"""A known error that fits an incident (`record`): why (`known_error_version`: as it stood then), and what people
say. Erasing the incident erases the note with it."""
