"""Tables of on-call duty; columns are those of `kernel.kinds.on_call`."""

from __future__ import annotations

from typing import Any, ClassVar

from django.db import models

from isthmus.kernel.kinds.on_call import (
    ACKNOWLEDGEMENT,
    CONTACT_CARD,
    ESCALATION,
    NOTIFICATION,
    ROTA_OVERRIDE,
)
from isthmus.ledger.columns import JsonColumn, SealedJson, SealedText
from isthmus.ledger.records import RecordModel


class Escalation(RecordModel):
    """One run of a ladder. `open` until its subject needs nobody any more: the store itself keeps one per key."""

    kind: ClassVar[str] = ESCALATION.name

    key = models.CharField(max_length=255, default="", blank=True)
    open = models.BooleanField(default=False)
    subject_kind = models.CharField(max_length=24, default="", blank=True)
    subject = models.CharField(max_length=64, default="", blank=True)
    policy = models.TextField(default="", blank=True)
    trigger = models.CharField(max_length=16, default="", blank=True)
    ladder = JsonColumn()
    definition_version = models.TextField(default="", blank=True)
    facts = JsonColumn()
    comment = SealedText()
    state = models.CharField(max_length=16, default="", blank=True)
    awaiting = models.TextField(default="", blank=True)
    fired = JsonColumn()
    next_at = models.BigIntegerField(null=True)
    started_at = models.BigIntegerField(null=True)
    acknowledged_at = models.BigIntegerField(null=True)
    acknowledged_by = models.CharField(max_length=64, default="", blank=True)
    ended_at = models.BigIntegerField(null=True)

    class Meta:
        db_table = ESCALATION.table
        constraints = [
            models.UniqueConstraint(
                fields=["organisation", "key"], name="on_call_escalation_once", condition=models.Q(open=True)
            )
        ]
        indexes = [
            models.Index(fields=["organisation", "subject"], name="on_call_escalation_subject"),
            models.Index(fields=["organisation", "state", "id"], name="on_call_escalation_state"),
        ]

    def __str__(self) -> str:
        return f"{self.policy} about {self.subject}"


class Notification(RecordModel):
    """One message to one recipient; its `key` says of which step, so that no restart makes a second one."""

    kind: ClassVar[str] = NOTIFICATION.name

    key = models.CharField(max_length=255, default="", blank=True)
    purpose = models.CharField(max_length=8, default="", blank=True)
    escalation = models.CharField(max_length=26, default="", blank=True)
    step = models.BigIntegerField(null=True)
    subject_kind = models.CharField(max_length=24, default="", blank=True)
    subject = models.CharField(max_length=64, default="", blank=True)
    target = models.TextField(default="", blank=True)
    person = models.CharField(max_length=64, default="", blank=True)
    recipient = models.CharField(max_length=64, default="", blank=True)
    methods = SealedJson()
    attempt = models.BigIntegerField(null=True)
    channel = models.TextField(default="", blank=True)
    connection = models.TextField(default="", blank=True)
    locale = models.TextField(default="", blank=True)
    zone = models.TextField(default="", blank=True)
    comment = SealedText()
    title = SealedText()
    text = SealedText()
    urgent = models.BooleanField(default=False)
    state = models.CharField(max_length=16, default="", blank=True)
    cause = models.TextField(default="", blank=True)
    delivery = models.CharField(max_length=26, default="", blank=True)
    receipts = JsonColumn()
    partner_ref = models.TextField(default="", blank=True)
    planned_at = models.BigIntegerField(null=True)
    held_until = models.BigIntegerField(null=True)
    sent_at = models.BigIntegerField(null=True)
    digest = models.CharField(max_length=26, default="", blank=True)

    class Meta:
        db_table = NOTIFICATION.table
        constraints = [
            models.UniqueConstraint(fields=["organisation", "key"], name="on_call_notification_once")
        ]
        indexes = [
            models.Index(fields=["organisation", "escalation"], name="on_call_notification_of"),
            models.Index(fields=["organisation", "subject"], name="on_call_notification_about"),
            models.Index(fields=["organisation", "recipient", "planned_at"], name="on_call_notification_to"),
            models.Index(fields=["organisation", "state", "id"], name="on_call_notification_state"),
        ]

    def __str__(self) -> str:
        return self.key

    @property
    def ways(self) -> list[tuple[str, str]]:
        """(channel, address) in the order in which they are tried; none once the person is erased."""
        held = self.methods if isinstance(self.methods, list) else []
        return [(str(channel), str(address)) for channel, address in held]

    @property
    def carrier(self) -> str:
        """The channel of the present attempt; "" before the first: until then the column of this name says, as on
        every record, through which door the record came."""
        return str(self.channel) if self.connection else ""

    @property
    def evidence(self) -> list[dict[str, Any]]:
        """What became of each attempt so far."""
        return list(self.receipts) if isinstance(self.receipts, list) else []


class Acknowledgement(RecordModel):
    """Somebody looks after it: who, through which door, about which message."""

    kind: ClassVar[str] = ACKNOWLEDGEMENT.name

    escalation = models.CharField(max_length=26, default="", blank=True)
    notification = models.CharField(max_length=26, default="", blank=True)
    action = models.TextField(default="", blank=True)
    person = models.CharField(max_length=64, default="", blank=True)
    partner_actor = SealedText()
    connection = models.TextField(default="", blank=True)
    door = models.CharField(max_length=8, default="", blank=True)
    comment = SealedText()

    class Meta:
        db_table = ACKNOWLEDGEMENT.table
        indexes = [models.Index(fields=["organisation", "escalation"], name="on_call_ack_of")]

    def __str__(self) -> str:
        return f"{self.door} {self.escalation}"


class RotaOverride(RecordModel):
    """Somebody takes over for a while, decided by people at run time."""

    kind: ClassVar[str] = ROTA_OVERRIDE.name

    rota = models.TextField(default="", blank=True)
    person = models.CharField(max_length=64, default="", blank=True)
    replaces = models.CharField(max_length=64, default="", blank=True)
    starts_at = models.BigIntegerField(null=True)
    ends_at = models.BigIntegerField(null=True)
    reason = SealedText()
    state = models.CharField(max_length=16, default="", blank=True)

    class Meta:
        db_table = ROTA_OVERRIDE.table
        indexes = [models.Index(fields=["organisation", "state", "ends_at"], name="on_call_override_when")]

    def __str__(self) -> str:
        return f"{self.rota} {self.person}"


class ContactCard(RecordModel):
    """How one person wants to be reached; addresses stand under that person's key."""

    kind: ClassVar[str] = CONTACT_CARD.name

    person = models.CharField(max_length=64, default="", blank=True)
    methods = SealedJson()
    quiet_hours = JsonColumn()
    locale = models.TextField(default="", blank=True)
    zone = models.TextField(default="", blank=True)

    class Meta:
        db_table = CONTACT_CARD.table
        constraints = [models.UniqueConstraint(fields=["organisation", "person"], name="on_call_card_once")]

    def __str__(self) -> str:
        return self.person
