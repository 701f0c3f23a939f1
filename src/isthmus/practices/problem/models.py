"""Tables of problem management; columns are those of `kernel.kinds.problem`."""

from __future__ import annotations

from typing import ClassVar

from django.db import models

from isthmus.kernel.kinds.problem import KNOWN_ERROR, KNOWN_ERROR_MATCH, PROBLEM
from isthmus.ledger.columns import JsonColumn, SealedJson, SealedText
from isthmus.ledger.records import RecordModel


class Problem(RecordModel):
    """The cause, or potential cause, of one or more incidents."""

    kind: ClassVar[str] = PROBLEM.name

    number = models.TextField(default="", blank=True)
    title = SealedText()
    description = SealedText()
    state = models.CharField(max_length=16, default="", blank=True)
    priority = models.CharField(max_length=1, default="", blank=True)
    service = models.CharField(max_length=26, default="", blank=True)
    cis = JsonColumn()
    assignment_group = models.TextField(default="", blank=True)
    owner = models.CharField(max_length=64, default="", blank=True)
    cause_code = models.TextField(default="", blank=True)
    root_cause = SealedText()
    actions = SealedJson()
    resolution = SealedText()
    opened_at = models.BigIntegerField(null=True)
    resolved_at = models.BigIntegerField(null=True)
    closed_at = models.BigIntegerField(null=True)

    class Meta:
        db_table = PROBLEM.table
        constraints = [models.UniqueConstraint(fields=["organisation", "number"], name="problem_number")]
        indexes = [
            models.Index(fields=["organisation", "state", "id"], name="problem_state"),
            models.Index(fields=["organisation", "service"], name="problem_service"),
            models.Index(fields=["number"], name="problem_by_number"),
        ]

    def __str__(self) -> str:
        return self.number


class KnownError(RecordModel):
    """A problem that is analysed but not resolved, with the workaround to go on with."""

    kind: ClassVar[str] = KNOWN_ERROR.name

    number = models.TextField(default="", blank=True)
    problem = models.CharField(max_length=26, default="", blank=True)
    title = SealedText()
    workaround = SealedText()
    fix = SealedText()
    link = models.TextField(default="", blank=True)
    state = models.CharField(max_length=9, default="", blank=True)
    cis = JsonColumn()
    classes = JsonColumn()
    services = JsonColumn()
    condition = models.TextField(default="", blank=True)
    published_at = models.BigIntegerField(null=True)
    retired_at = models.BigIntegerField(null=True)

    class Meta:
        db_table = KNOWN_ERROR.table
        constraints = [
            models.UniqueConstraint(fields=["organisation", "number"], name="problem_known_error_number")
        ]
        indexes = [
            models.Index(fields=["organisation", "state", "id"], name="problem_known_error_state"),
            models.Index(fields=["organisation", "problem"], name="problem_known_error_problem"),
            models.Index(fields=["number"], name="problem_known_error_by_number"),
        ]  # fmt: skip

    def __str__(self) -> str:
        return self.number


class KnownErrorMatch(RecordModel):
    """A known error that fits an incident (`record`): found by its conditions or attached by a person."""

    kind: ClassVar[str] = KNOWN_ERROR_MATCH.name

    record = models.CharField(max_length=26, default="", blank=True)
    known_error = models.CharField(max_length=26, default="", blank=True)
    known_error_version = models.BigIntegerField(null=True)
    alert = models.CharField(max_length=26, default="", blank=True)
    found_by = models.CharField(max_length=4, default="", blank=True)
    reason = models.TextField(default="", blank=True)
    verdict = models.CharField(max_length=9, default="", blank=True)
    note = SealedText()
    judged_by = models.CharField(max_length=64, default="", blank=True)
    judged_at = models.BigIntegerField(null=True)

    class Meta:
        db_table = KNOWN_ERROR_MATCH.table
        constraints = [
            models.UniqueConstraint(
                fields=["organisation", "record", "known_error"], name="problem_match_once"
            )
        ]
        indexes = [models.Index(fields=["organisation", "known_error", "id"], name="problem_match_error")]


class KnownErrorRevision(models.Model):
    """Counts the writes to one organisation's known errors; processes refresh what they match with by it."""

    organisation = models.CharField(primary_key=True, max_length=26)
    revision = models.BigIntegerField(default=0)

    class Meta:
        db_table = "problem_known_error_revision"

    def __str__(self) -> str:
        return f"{self.organisation} {self.revision}"
