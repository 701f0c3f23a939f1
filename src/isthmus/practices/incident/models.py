"""Tables of incident management; columns are those of `kernel.kinds.incident`."""

from __future__ import annotations

from typing import ClassVar

from django.db import models

from isthmus.kernel.kinds.incident import ATTACHMENT, COMMENT, INCIDENT, SUSPECT
from isthmus.ledger.columns import JsonColumn, SealedJson, SealedText
from isthmus.ledger.records import RecordModel
from isthmus.practices.incident.desk_models import (
    Custody,
    IncidentMerge,
    IncidentReview,
    MajorIncident,
    TriggerHandover,
    Wait,
)

__all__ = [
    "Attachment", "Comment", "Custody", "Incident", "IncidentMerge", "IncidentReview", "MajorIncident", "Suspect",
    "TriggerHandover", "Wait",
]  # fmt: skip


class Incident(RecordModel):
    """An unplanned interruption, or drop in quality, of a service.

    `gathering`: it is the one incident of its correlation key that takes further alerts. The store itself keeps
    that unique, so two writers at once cannot open two incidents for one group.
    """

    kind: ClassVar[str] = INCIDENT.name

    number = models.TextField(default="", blank=True)
    title = SealedText()
    description = SealedText()
    state = models.CharField(max_length=16, default="", blank=True)
    resolution_code = models.TextField(default="", blank=True)
    resolution_notes = SealedText()
    impact = models.CharField(max_length=1, default="", blank=True)
    urgency = models.CharField(max_length=1, default="", blank=True)
    priority = models.CharField(max_length=1, default="", blank=True)
    category = models.TextField(default="", blank=True)
    ci = models.CharField(max_length=26, default="", blank=True)
    service = models.CharField(max_length=26, default="", blank=True)
    assignment_group = models.TextField(default="", blank=True)
    assignee = models.CharField(max_length=64, default="", blank=True)
    caller = models.CharField(max_length=64, default="", blank=True)
    tags = JsonColumn()
    parent = models.CharField(max_length=26, default="", blank=True)
    correlation_key = models.TextField(default="", blank=True)
    correlation_reason = models.TextField(default="", blank=True)
    gathering = models.BooleanField(default=False)
    major = models.BooleanField(default=False)
    trigger_owner = models.TextField(default="", blank=True)
    opened_at = models.BigIntegerField(null=True)
    resolved_at = models.BigIntegerField(null=True)
    closed_at = models.BigIntegerField(null=True)
    respond_by = models.BigIntegerField(null=True)
    resolve_by = models.BigIntegerField(null=True)
    hold_reason = models.CharField(max_length=8, default="", blank=True)
    root_cause = SealedText()
    cause_code = models.TextField(default="", blank=True)
    workaround = SealedText()
    steps = SealedJson()
    merged_into = models.CharField(max_length=26, default="", blank=True)
    problem = models.CharField(max_length=26, default="", blank=True)
    escalation_path = models.TextField(default="", blank=True)
    escalation_level = models.BigIntegerField(null=True)
    collision_checked = JsonColumn()
    extra = SealedJson()

    class Meta:
        db_table = INCIDENT.table
        constraints = [
            models.UniqueConstraint(
                fields=["organisation", "number"], name="incident_number", condition=~models.Q(number="")
            ),
            models.UniqueConstraint(
                fields=["organisation", "correlation_key"],
                name="incident_gathering_once",
                condition=models.Q(gathering=True),
            ),
        ]
        indexes = [
            models.Index(fields=["organisation", "state", "id"], name="incident_state"),
            models.Index(fields=["organisation", "correlation_key", "state"], name="incident_correlation"),
            models.Index(fields=["organisation", "ci"], name="incident_ci"),
            models.Index(fields=["organisation", "service"], name="incident_service"),
            models.Index(fields=["organisation", "parent"], name="incident_parent"),
            # The unique one leaves out the empty number: the store cannot tell that a number that is given is none.
            models.Index(fields=["number"], name="incident_by_number"),
            models.Index(fields=["organisation", "problem"], name="incident_problem"),
        ]


class Comment(RecordModel):
    """A remark on an incident or a change, with its author and the system it was written on."""

    kind: ClassVar[str] = COMMENT.name

    record_kind = models.CharField(max_length=24, default="", blank=True)
    record = models.CharField(max_length=26, default="", blank=True)
    body = SealedText()
    public = models.BooleanField(default=False)
    author = models.CharField(max_length=64, default="", blank=True)
    author_label = SealedText()
    connection = models.TextField(default="", blank=True)
    state = models.CharField(max_length=8, default="", blank=True)
    written_at = models.BigIntegerField(null=True)

    class Meta:
        db_table = COMMENT.table
        indexes = [models.Index(fields=["organisation", "record", "id"], name="incident_comment_record")]


class Attachment(RecordModel):
    """A file of a record, whichever system it was added on; its content lies in sealed parts (`hub.sync.blobs`)."""

    kind: ClassVar[str] = ATTACHMENT.name

    record_kind = models.CharField(max_length=24, default="", blank=True)
    record = models.CharField(max_length=26, default="", blank=True)
    filename = SealedText()
    content_type = models.TextField(default="", blank=True)
    size = models.BigIntegerField(null=True)
    sha256 = models.CharField(max_length=64, default="", blank=True)
    author = models.CharField(max_length=64, default="", blank=True)
    author_label = SealedText()
    connection = models.TextField(default="", blank=True)
    state = models.CharField(max_length=9, default="", blank=True)
    added_at = models.BigIntegerField(null=True)

    class Meta:
        db_table = ATTACHMENT.table
        indexes = [models.Index(fields=["organisation", "record", "id"], name="incident_attachment_record")]


class Suspect(RecordModel):
    """A change on the path of the map that may have caused an incident."""

    kind: ClassVar[str] = SUSPECT.name

    incident = models.CharField(max_length=26, default="", blank=True)
    change = models.CharField(max_length=26, default="", blank=True)
    hops = models.BigIntegerField(null=True)
    reason = models.TextField(default="", blank=True)
    verdict = models.CharField(max_length=10, default="", blank=True)

    class Meta:
        db_table = SUSPECT.table
        constraints = [
            models.UniqueConstraint(
                fields=["organisation", "incident", "change"], name="incident_suspect_once"
            )
        ]
