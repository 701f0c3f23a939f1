"""What pages show of the lanes: one row per level (a link to converge) or effect. Due times are in `hub.due`."""

# ruff: noqa: DJ008 - rows are shown by pages, never by str()
from __future__ import annotations

from django.db import models

OPEN_STATES = ("due", "sending", "waiting")
SETTLED_STATES = ("done", "dropped")
"""Nothing is owed any more: it was done, or a person has given a dead letter up."""
STATES = (*OPEN_STATES, *SETTLED_STATES, "dead")
FAULT_CLASSES = ("retryable", "unknown", "operator", "rejected", "stale", "bug")


class Delivery(models.Model):
    """One thing owed to a partner. `kind`: `converge` (subject: a link; one row per link, re-used) or `once`
    (subject: a record; `key` makes it unique). `payload` is sealed with the record's key.

    `fault`, `cause`, `remedy`: the last failure, in words for people. `attempts` counts failures in a row.
    """

    id = models.CharField(primary_key=True, max_length=26)
    organisation = models.CharField(max_length=26)
    connection = models.CharField(max_length=64)
    kind = models.CharField(max_length=8)
    subject = models.CharField(max_length=26)
    record_kind = models.CharField(max_length=24, default="", blank=True)
    record = models.CharField(max_length=26)
    verb = models.CharField(max_length=32, default="", blank=True)
    key = models.CharField(max_length=128)
    payload = models.BinaryField(null=True)
    state = models.CharField(max_length=8, default="due")
    attempts = models.IntegerField(default=0)
    trace = models.CharField(max_length=32, default="", blank=True)
    created_at = models.BigIntegerField()
    updated_at = models.BigIntegerField()
    done_at = models.BigIntegerField(null=True)
    next_at = models.BigIntegerField(null=True)
    fault = models.CharField(max_length=10, default="", blank=True)
    cause = models.TextField(default="", blank=True)
    remedy = models.TextField(default="", blank=True)
    outcome = models.TextField(default="", blank=True)

    class Meta:
        app_label = "sync"
        db_table = "sync_delivery"
        constraints = [
            models.UniqueConstraint(
                fields=["organisation", "connection", "subject", "key"], name="sync_delivery_key"
            )
        ]
        indexes = [
            models.Index(fields=["organisation", "state", "updated_at"], name="sync_delivery_state"),
            models.Index(fields=["connection", "state"], name="sync_delivery_lane"),
            models.Index(fields=["subject", "created_at"], name="sync_delivery_subject"),
            models.Index(fields=["connection", "verb", "id"], name="sync_delivery_verb"),
        ]
