"""Tables of monitoring and event management; columns are those of `kernel.kinds.monitoring`."""

from __future__ import annotations

from typing import ClassVar

from django.db import models

from isthmus.kernel.kinds.monitoring import ACCURACY_SAMPLE, ALERT, AUTOMATION_MODE, SILENCE
from isthmus.ledger.columns import JsonColumn, SealedText
from isthmus.ledger.records import RecordModel


class Alert(RecordModel):
    """An event judged to need attention: one episode of one identity, with its occurrences counted.

    `open` is true from the first event until the alert has been resolved for the reopening time; among open
    alerts an identity is unique, which the store itself enforces.
    """

    kind: ClassVar[str] = ALERT.name

    identity = models.CharField(max_length=64, default="", blank=True)
    identity_version = models.BigIntegerField(null=True)
    connection = models.TextField(default="", blank=True)
    external_key = models.TextField(default="", blank=True)
    severity = models.CharField(max_length=16, default="", blank=True)
    state = models.CharField(max_length=16, default="", blank=True)
    summary = models.TextField(default="", blank=True)
    labels = JsonColumn()
    annotations = JsonColumn()
    starts_at = models.BigIntegerField(null=True)
    ends_at = models.BigIntegerField(null=True)
    ci = models.CharField(max_length=26, default="", blank=True)
    service = models.CharField(max_length=26, default="", blank=True)
    binding = models.CharField(max_length=16, default="", blank=True)
    binding_confidence = models.BigIntegerField(null=True)
    decision = models.CharField(max_length=24, default="", blank=True)
    decision_reason = models.TextField(default="", blank=True)
    suppressed_by = models.CharField(max_length=26, default="", blank=True)
    incident = models.CharField(max_length=26, default="", blank=True)
    parent = models.CharField(max_length=26, default="", blank=True)
    group_key = models.TextField(default="", blank=True)
    waits_until = models.BigIntegerField(null=True)
    open = models.BooleanField(default=False)
    inhibitor = models.BooleanField(default=False)
    state_changes = JsonColumn()
    acknowledged = models.BooleanField(default=False)
    acknowledged_by = SealedText()
    acknowledged_at = models.BigIntegerField(null=True)
    silenced = models.BooleanField(default=False)
    taken_by = SealedText()
    taken_at = models.BigIntegerField(null=True)
    told = JsonColumn()
    astray = models.BooleanField(default=False)
    occurrences = models.BigIntegerField(default=0)
    notifications = models.BigIntegerField(default=0)
    last_seen_at = models.BigIntegerField(null=True)

    class Meta:
        db_table = ALERT.table
        constraints = [
            models.UniqueConstraint(
                fields=["organisation", "identity"],
                condition=models.Q(open=True),
                name="monitoring_alert_open_once",
            )
        ]
        indexes = [
            models.Index(fields=["organisation", "incident"], name="monitoring_alert_incident"),
            models.Index(
                fields=["organisation", "group_key"],
                condition=models.Q(open=True),
                name="monitoring_alert_group",
            ),
            models.Index(
                fields=["organisation", "ci"], condition=models.Q(open=True), name="monitoring_alert_ci"
            ),
            models.Index(fields=["organisation", "state", "last_seen_at"], name="monitoring_alert_stale"),
            models.Index(
                fields=["organisation", "suppressed_by"],
                condition=models.Q(open=True),
                name="monitoring_alert_suppressed",
            ),
            models.Index(
                fields=["organisation", "inhibitor"],
                condition=models.Q(inhibitor=True),
                name="monitoring_alert_inhibitor",
            ),
            models.Index(fields=["organisation", "created_at"], name="monitoring_alert_created"),
            models.Index(
                fields=["organisation", "astray"],
                condition=models.Q(astray=True),
                name="monitoring_alert_astray",
            ),
            models.Index(
                fields=["organisation", "waits_until"],
                condition=models.Q(waits_until__isnull=False),
                name="monitoring_alert_waiting",
            ),
        ]


class Silence(RecordModel):
    """A decision to mute matching alerts until a stated time: a person's here, or a partner's (a downtime)."""

    kind: ClassVar[str] = SILENCE.name

    matchers = JsonColumn()
    starts_at = models.BigIntegerField(null=True)
    ends_at = models.BigIntegerField(null=True)
    owner = models.CharField(max_length=64, default="", blank=True)
    comment = SealedText()
    state = models.CharField(max_length=8, default="", blank=True)
    connection = models.TextField(default="", blank=True)
    external_key = models.TextField(default="", blank=True)
    owner_label = SealedText()
    mirrors = JsonColumn()
    astray = models.BooleanField(default=False)

    class Meta:
        db_table = SILENCE.table
        indexes = [
            models.Index(fields=["organisation", "state", "ends_at"], name="monitoring_silence_state"),
            models.Index(
                fields=["organisation", "connection", "external_key"],
                name="monitoring_silence_partner",
            ),
            models.Index(
                fields=["organisation", "id"],
                condition=models.Q(mirrors__isnull=False),
                name="monitoring_silence_mirrored",
            ),
        ]


class AccuracySample(RecordModel):
    """One alert drawn at random, and what a person said about the hub's decision."""

    kind: ClassVar[str] = ACCURACY_SAMPLE.name

    alert = models.CharField(max_length=26, default="", blank=True)
    service = models.CharField(max_length=26, default="", blank=True)
    alert_class = models.TextField(default="", blank=True)
    seed = models.TextField(default="", blank=True)
    decision = models.CharField(max_length=24, default="", blank=True)
    verdict = models.CharField(max_length=8, default="", blank=True)
    note = SealedText()
    judged_by = models.CharField(max_length=64, default="", blank=True)
    judged_at = models.BigIntegerField(null=True)

    class Meta:
        db_table = ACCURACY_SAMPLE.table
        constraints = [
            models.UniqueConstraint(fields=["organisation", "alert"], name="monitoring_sample_once"),
        ]
        indexes = [
            models.Index(fields=["organisation", "verdict", "id"], name="monitoring_sample_verdict"),
            models.Index(
                fields=["organisation", "service", "alert_class", "judged_at"], name="monitoring_sample_class"
            ),
        ]


class AutomationMode(RecordModel):
    """What the verdicts of one class permit now; its history is the history of this record."""

    kind: ClassVar[str] = AUTOMATION_MODE.name

    service = models.CharField(max_length=26, default="", blank=True)
    alert_class = models.TextField(default="", blank=True)
    full_permitted = models.BooleanField(default=False)
    verdicts = models.BigIntegerField(null=True)
    wrong = models.BigIntegerField(null=True)
    said = models.TextField(default="", blank=True)
    since = models.BigIntegerField(null=True)

    class Meta:
        db_table = AUTOMATION_MODE.table
        constraints = [
            models.UniqueConstraint(
                fields=["organisation", "service", "alert_class"], name="monitoring_mode_once"
            ),
        ]
