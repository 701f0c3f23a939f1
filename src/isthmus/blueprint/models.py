"""Generations of the blueprint: each applied content, whole, in order."""

from __future__ import annotations

from typing import ClassVar

from django.db import models

from isthmus.kernel.kinds.installation import BLUEPRINT_APPROVAL, GENERATION
from isthmus.ledger.records import RecordModel


class Generation(RecordModel):
    """One applied blueprint. `content` is canonical JSON of the plain sections, as written."""

    kind: ClassVar[str] = GENERATION.name

    sequence = models.BigIntegerField(null=True)
    content_hash = models.TextField(default="", blank=True)
    content = models.TextField(default="", blank=True)
    state = models.CharField(max_length=16, default="")
    rolled_back_from = models.BigIntegerField(null=True)

    class Meta:
        db_table = GENERATION.table
        constraints = [
            models.UniqueConstraint(fields=["organisation", "sequence"], name="blueprint_generation_sequence")
        ]


class BlueprintApproval(RecordModel):
    """That one person agrees to one content, hash for hash, on top of one generation."""

    kind: ClassVar[str] = BLUEPRINT_APPROVAL.name

    content_hash = models.TextField(default="", blank=True)
    base_generation = models.BigIntegerField(null=True)
    approver = models.CharField(max_length=64, default="", blank=True)

    class Meta:
        db_table = BLUEPRINT_APPROVAL.table
        indexes = [models.Index(fields=["organisation", "content_hash"], name="blueprint_approval_hash")]

    def __str__(self) -> str:
        return self.content_hash[:12]
