"""Tables of service level management; columns are those of `kernel.kinds.service_level`."""

from __future__ import annotations

from typing import ClassVar

from django.db import models

from isthmus.kernel.kinds.service_level import SLA_CLOCK, SLA_PARTNER_CLOCK
from isthmus.ledger.columns import JsonColumn
from isthmus.ledger.records import RecordModel


class SlaClock(RecordModel):
    """The running measure of one target on one record: what is left is read from here without its history."""

    kind: ClassVar[str] = SLA_CLOCK.name

    record_kind = models.CharField(max_length=24, default="", blank=True)
    record = models.CharField(max_length=26, default="", blank=True)
    target = models.TextField(default="", blank=True)
    definition = models.TextField(default="", blank=True)
    calendar = models.TextField(default="", blank=True)
    priority = models.CharField(max_length=1, default="", blank=True)
    service = models.CharField(max_length=26, default="", blank=True)
    state = models.CharField(max_length=9, default="", blank=True)
    breached = models.BooleanField(default=False)
    amount = models.BigIntegerField(null=True)
    elapsed = models.BigIntegerField(null=True)
    counted_at = models.BigIntegerField(null=True)
    started_at = models.BigIntegerField(null=True)
    stopped_at = models.BigIntegerField(null=True)
    due_at = models.BigIntegerField(null=True)
    breached_at = models.BigIntegerField(null=True)
    thresholds = JsonColumn()
    reached = models.BigIntegerField(null=True)
    cycle = models.BigIntegerField(null=True)

    class Meta:
        db_table = SLA_CLOCK.table
        constraints = [
            models.UniqueConstraint(
                fields=["organisation", "record", "target"], name="service_level_clock_once"
            )
        ]
        indexes = [
            models.Index(fields=["organisation", "state", "due_at"], name="service_level_clock_due"),
            models.Index(fields=["organisation", "state", "stopped_at"], name="service_level_clock_ended"),
        ]

    def __str__(self) -> str:
        return f"{self.target} of {self.record_kind} {self.record}"


class SlaPartnerClock(RecordModel):
    """A partner's clock as it was last seen; its entries tell every sight before."""

    kind: ClassVar[str] = SLA_PARTNER_CLOCK.name

    record_kind = models.CharField(max_length=24, default="", blank=True)
    record = models.CharField(max_length=26, default="", blank=True)
    connection = models.TextField(default="", blank=True)
    name = models.TextField(default="", blank=True)
    target = models.TextField(default="", blank=True)
    state = models.CharField(max_length=9, default="", blank=True)
    breached = models.BooleanField(default=False)
    amount = models.BigIntegerField(null=True)
    elapsed = models.BigIntegerField(null=True)
    started_at = models.BigIntegerField(null=True)
    stopped_at = models.BigIntegerField(null=True)
    due_at = models.BigIntegerField(null=True)
    runs = JsonColumn()
    observed_at = models.BigIntegerField(null=True)

    class Meta:
        db_table = SLA_PARTNER_CLOCK.table
        constraints = [
            models.UniqueConstraint(
                fields=["organisation", "record", "connection", "name"],
                name="service_level_partner_clock_once",
            )
        ]

    def __str__(self) -> str:
        return f"{self.name} at {self.connection}"
