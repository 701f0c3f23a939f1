"""Tables around an incident that several desks work on; columns are those of `kernel.kinds.desks`."""

from __future__ import annotations

from typing import ClassVar

from django.db import models

from isthmus.kernel.kinds.desks import (
    CUSTODY,
    INCIDENT_MERGE,
    INCIDENT_REVIEW,
    MAJOR_INCIDENT,
    TRIGGER_HANDOVER,
    WAIT,
)
from isthmus.ledger.columns import JsonColumn, SealedJson, SealedText
from isthmus.ledger.records import RecordModel


class Custody(RecordModel):
    """An offer to take an incident over; the lines of one `case` are its custody ledger."""

    kind: ClassVar[str] = CUSTODY.name

    record = models.CharField(max_length=26, default="", blank=True)
    case = models.CharField(max_length=26, default="", blank=True)
    giver = models.TextField(default="", blank=True)
    taker = models.TextField(default="", blank=True)
    contract = models.TextField(default="", blank=True)
    state = models.CharField(max_length=9, default="", blank=True)
    reason = SealedText()
    answer = SealedText()
    offered_at = models.BigIntegerField(null=True)
    accept_by = models.BigIntegerField(null=True)
    answered_at = models.BigIntegerField(null=True)
    returned_at = models.BigIntegerField(null=True)
    escalated_at = models.BigIntegerField(null=True)
    orphaned_at = models.BigIntegerField(null=True)
    receiver = models.CharField(max_length=64, default="", blank=True)
    counterpart = models.CharField(max_length=26, default="", blank=True)
    connection = models.TextField(default="", blank=True)
    base = SealedJson()
    copied = JsonColumn()

    class Meta:
        db_table = CUSTODY.table
        constraints = [
            # Two people who offer at once: the store itself lets one offer of a ledger be open.
            models.UniqueConstraint(
                fields=["organisation", "case"],
                name="incident_custody_open_once",
                condition=models.Q(state="offered"),
            )
        ]
        indexes = [
            models.Index(fields=["case", "id"], name="incident_custody_case"),
            models.Index(fields=["counterpart"], name="incident_custody_other"),
            models.Index(fields=["record"], name="incident_custody_incident"),
            models.Index(fields=["organisation", "state", "id"], name="incident_custody_state"),
        ]


class MajorIncident(RecordModel):
    """The procedure of one major incident."""

    kind: ClassVar[str] = MAJOR_INCIDENT.name

    record = models.CharField(max_length=26, default="", blank=True)
    owner = models.TextField(default="", blank=True)
    triggers = JsonColumn()
    people = SealedJson()
    state = models.CharField(max_length=8, default="", blank=True)
    declared_at = models.BigIntegerField(null=True)
    ended_at = models.BigIntegerField(null=True)
    update_due = models.BigIntegerField(null=True)
    updated_last = models.BigIntegerField(null=True)

    class Meta:
        db_table = MAJOR_INCIDENT.table
        constraints = [
            models.UniqueConstraint(
                fields=["organisation", "record"],
                name="incident_major_active_once",
                condition=models.Q(state="active"),
            )
        ]
        indexes = [models.Index(fields=["organisation", "state", "id"], name="incident_major_state")]


class TriggerHandover(RecordModel):
    """A trigger that was refused to a desk and is offered to it."""

    kind: ClassVar[str] = TRIGGER_HANDOVER.name

    record = models.CharField(max_length=26, default="", blank=True)
    trigger = models.TextField(default="", blank=True)
    owner = models.TextField(default="", blank=True)
    wanted_by = models.TextField(default="", blank=True)
    asked_by = models.CharField(max_length=64, default="", blank=True)
    state = models.CharField(max_length=12, default="", blank=True)
    asked_at = models.BigIntegerField(null=True)
    answered_at = models.BigIntegerField(null=True)

    class Meta:
        db_table = TRIGGER_HANDOVER.table
        indexes = [
            models.Index(fields=["organisation", "record", "state"], name="incident_handover_incident")
        ]


class Wait(RecordModel):
    """A workflow that waits for somebody's move."""

    kind: ClassVar[str] = WAIT.name

    workflow = models.CharField(max_length=32, default="", blank=True)
    record = models.CharField(max_length=26, default="", blank=True)
    about = models.CharField(max_length=26, default="", blank=True)
    partner = models.TextField(default="", blank=True)
    owner = models.TextField(default="", blank=True)
    path = models.TextField(default="", blank=True)
    state = models.CharField(max_length=9, default="", blank=True)
    since = models.BigIntegerField(null=True)
    limit_at = models.BigIntegerField(null=True)
    asked_at = models.BigIntegerField(null=True)
    escalated_at = models.BigIntegerField(null=True)
    ended_at = models.BigIntegerField(null=True)
    found = SealedText()

    class Meta:
        db_table = WAIT.table
        constraints = [
            models.UniqueConstraint(
                fields=["organisation", "workflow", "about"],
                name="incident_wait_once",
                condition=models.Q(state__in=("waiting", "asking", "escalated")),
            )
        ]
        indexes = [
            models.Index(fields=["organisation", "state", "since"], name="incident_wait_age"),
            models.Index(fields=["about"], name="incident_wait_about"),
            models.Index(fields=["record"], name="incident_wait_incident"),
        ]


class IncidentMerge(RecordModel):
    """Two incidents that were one, or one that was two; what followed, so that it can be undone."""

    kind: ClassVar[str] = INCIDENT_MERGE.name

    type = models.CharField(max_length=5, default="", blank=True)
    record = models.CharField(max_length=26, default="", blank=True)
    other = models.CharField(max_length=26, default="", blank=True)
    state = models.CharField(max_length=6, default="", blank=True)
    reason = SealedText()
    moved = JsonColumn()
    done_at = models.BigIntegerField(null=True)
    undone_at = models.BigIntegerField(null=True)

    class Meta:
        db_table = INCIDENT_MERGE.table
        indexes = [
            models.Index(fields=["organisation", "record"], name="incident_merge_record"),
            models.Index(fields=["organisation", "other"], name="incident_merge_other"),
        ]


class IncidentReview(RecordModel):
    """The post-incident review of a major incident."""

    kind: ClassVar[str] = INCIDENT_REVIEW.name

    number = models.TextField(default="", blank=True)
    record = models.CharField(max_length=26, default="", blank=True)
    state = models.CharField(max_length=7, default="", blank=True)
    owner = models.TextField(default="", blank=True)
    due_at = models.BigIntegerField(null=True)
    timeline = SealedJson()
    cause = SealedText()
    lessons = SealedText()
    actions = SealedJson()
    done_at = models.BigIntegerField(null=True)
    done_by = models.CharField(max_length=64, default="", blank=True)

    class Meta:
        db_table = INCIDENT_REVIEW.table
        indexes = [
            models.Index(fields=["organisation", "record"], name="incident_review_record"),
            models.Index(fields=["organisation", "state", "due_at"], name="incident_review_state"),
        ]
