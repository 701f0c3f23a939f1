"""Tables of change enablement: changes, freezes and peaks, and every decision of the gate."""

from __future__ import annotations

from typing import ClassVar

from django.db import models

from isthmus.kernel.kinds.change import CHANGE, CHANGE_CALENDAR, FREEZE, GATE_DECISION
from isthmus.ledger.columns import JsonColumn, SealedText
from isthmus.ledger.records import RecordModel


class Change(RecordModel):
    """Adding, modifying or removing anything that could affect services."""

    kind: ClassVar[str] = CHANGE.name

    number = models.TextField(default="", blank=True)
    title = SealedText()
    description = SealedText()
    type = models.CharField(max_length=16, default="", blank=True)
    model = models.TextField(default="", blank=True)
    state = models.CharField(max_length=16, default="", blank=True)
    authorisation = models.CharField(max_length=16, default="", blank=True)
    risk = models.CharField(max_length=16, default="", blank=True)
    window_start = models.BigIntegerField(null=True)
    window_end = models.BigIntegerField(null=True)
    cis = JsonColumn()
    environment = models.TextField(default="", blank=True)
    artefact_hash = models.TextField(default="", blank=True)
    implementation_plan = SealedText()
    backout_plan = SealedText()
    requester = models.CharField(max_length=64, default="", blank=True)
    assignment_group = models.TextField(default="", blank=True)
    priority = models.CharField(max_length=16, default="", blank=True)
    incident = models.CharField(max_length=26, default="", blank=True)
    content_hash = models.TextField(default="", blank=True)
    impact_report = JsonColumn()
    authorised_at = models.BigIntegerField(null=True)
    authorised_until = models.BigIntegerField(null=True)
    started_at = models.BigIntegerField(null=True)
    finished_at = models.BigIntegerField(null=True)
    outcome = models.CharField(max_length=32, default="", blank=True)
    review_due_at = models.BigIntegerField(null=True)
    reviewed_at = models.BigIntegerField(null=True)
    reviewer = models.CharField(max_length=64, default="", blank=True)
    review_notes = SealedText()
    evidence = JsonColumn()
    closed_at = models.BigIntegerField(null=True)

    class Meta:
        db_table = CHANGE.table
        constraints = [models.UniqueConstraint(fields=["organisation", "number"], name="change_number")]
        indexes = [
            models.Index(fields=["organisation", "state", "updated_at"], name="change_state"),
            models.Index(fields=["organisation", "window_end"], name="change_window"),
            models.Index(fields=["organisation", "incident"], name="change_incident"),
        ]

    def __str__(self) -> str:
        return self.number


class Freeze(RecordModel):
    """A stretch of time in which nothing (freeze) or nothing of high risk (peak) is deployed."""

    kind: ClassVar[str] = FREEZE.name

    name = models.TextField(default="", blank=True)
    effect = models.CharField(max_length=16, default="", blank=True)
    starts_at = models.BigIntegerField(null=True)
    ends_at = models.BigIntegerField(null=True)
    environments = JsonColumn()
    cis = JsonColumn()
    state = models.CharField(max_length=16, default="", blank=True)
    source = models.TextField(default="", blank=True)

    class Meta:
        db_table = FREEZE.table
        indexes = [models.Index(fields=["organisation", "state", "ends_at"], name="change_freeze_state")]

    def __str__(self) -> str:
        return self.name


class ChangeCalendar(RecordModel):
    """The ids of one organisation's active freezes. Its id follows from the organisation's."""

    kind: ClassVar[str] = CHANGE_CALENDAR.name

    freezes = JsonColumn()

    class Meta:
        db_table = CHANGE_CALENDAR.table

    def __str__(self) -> str:
        return self.id

    @staticmethod
    def id_of(organisation: str) -> str:
        """Return the id of the calendar of an organisation: found without asking the table."""
        return f"CALENDAR{organisation[-18:]}"


class GateDecision(RecordModel):
    """One answer of the gate with its reasons and every fact that it was computed from."""

    kind: ClassVar[str] = GATE_DECISION.name

    change = models.CharField(max_length=26, default="", blank=True)
    change_number = models.TextField(default="", blank=True)
    decision = models.CharField(max_length=16, default="", blank=True)
    reasons = JsonColumn()
    environment = models.TextField(default="", blank=True)
    artefact_hash = models.TextField(default="", blank=True)
    cis = JsonColumn()
    asked_by = models.CharField(max_length=64, default="", blank=True)
    facts = JsonColumn()
    token_hash = models.CharField(max_length=64, default="", blank=True)
    expires_at = models.BigIntegerField(null=True)
    callback = models.TextField(default="", blank=True)

    class Meta:
        db_table = GATE_DECISION.table
        indexes = [
            models.Index(fields=["organisation", "change"], name="change_gate_change"),
            models.Index(fields=["token_hash"], name="change_gate_token"),
        ]

    def __str__(self) -> str:
        return f"{self.decision} {self.change_number}"


class CalendarRevision(models.Model):
    """Counts the writes to one organisation's changes and freezes; processes refresh their schedule by it."""

    organisation = models.CharField(primary_key=True, max_length=26)
    revision = models.BigIntegerField(default=0)

    class Meta:
        db_table = "change_calendar_revision"

    def __str__(self) -> str:
        return f"{self.organisation} {self.revision}"
