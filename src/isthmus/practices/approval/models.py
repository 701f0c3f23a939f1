"""Tables of approval: one row per decision that somebody is asked for."""

from __future__ import annotations

from typing import ClassVar

from django.db import models

from isthmus.kernel.kinds.change import APPROVAL
from isthmus.ledger.columns import JsonColumn, SealedText
from isthmus.ledger.records import RecordModel


class Approval(RecordModel):
    """One asked-for decision about one content of one record. Rules read it from its entries."""

    kind: ClassVar[str] = APPROVAL.name

    subject_kind = models.TextField(default="", blank=True)
    subject = models.CharField(max_length=26, default="", blank=True)
    content_hash = models.TextField(default="", blank=True)
    definition = models.TextField(default="", blank=True)
    definition_version = models.TextField(default="", blank=True)
    authority = models.TextField(default="", blank=True)
    terms = JsonColumn()
    requester = models.CharField(max_length=64, default="", blank=True)
    approver = models.CharField(max_length=64, default="", blank=True)
    state = models.CharField(max_length=16, default="", blank=True)
    comment = SealedText()
    evidence = JsonColumn()
    decided_at = models.BigIntegerField(null=True)
    expires_at = models.BigIntegerField(null=True)

    class Meta:
        db_table = APPROVAL.table
        indexes = [
            models.Index(fields=["organisation", "subject"], name="approval_subject"),
            models.Index(fields=["organisation", "state"], name="approval_state"),
        ]

    def __str__(self) -> str:
        return f"{self.authority} of {self.subject}"
