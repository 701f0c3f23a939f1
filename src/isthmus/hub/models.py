"""Tables of the engine: what was read, what came of it, what is due, what is stuck.

Only `IntakeOffset` is a record (journalled and sealed). All other rows are working state, written through
Work's side-row calls, and either derivable or bounded by retention.
"""

# ruff: noqa: DJ008 - rows are shown by pages, never by str()
from __future__ import annotations

from django.db import models

from isthmus.kernel.kinds import KINDS
from isthmus.ledger.columns import JsonColumn
from isthmus.ledger.records import RecordModel


class IntakeOffset(RecordModel):
    """How far the pump has read one connection's log, with the Merkle root of the last batch's outcomes."""

    kind = "intake_offset"

    connection = models.TextField(default="", blank=True)
    position = models.BigIntegerField(null=True)
    outcomes_root = models.TextField(default="", blank=True)

    class Meta:
        db_table = KINDS["intake_offset"].table
        constraints = [models.UniqueConstraint(fields=["organisation", "connection"], name="hub_offset_key")]


class OutcomeSegment(models.Model):
    """What came of the messages `first` … `last` of one connection: one row per committed batch.

    `body` is a canonical JSON list of outcomes in order; its Merkle root stands in the entry of the offset
    that the same transaction moved, so an edited outcome no longer fits the chain.
    """

    organisation = models.CharField(max_length=26)
    connection = models.CharField(max_length=64)
    first = models.BigIntegerField()
    last = models.BigIntegerField()
    received_from = models.BigIntegerField()
    received_to = models.BigIntegerField()
    body = models.BinaryField()

    class Meta:
        db_table = "hub_outcome_segment"
        constraints = [
            models.UniqueConstraint(
                fields=["organisation", "connection", "first"], name="hub_outcome_segment_key"
            )
        ]
        indexes = [models.Index(fields=["organisation", "received_to"], name="hub_outcome_segment_when")]


class EventId(models.Model):
    """An event that was taken: until `expires_at` the same id has no second effect.

    `key` is a digest of connection and event id; `content` is empty for events with an id of their own, else
    the digest of the last content seen (for sources whose events have no id).
    """

    organisation = models.CharField(max_length=26)
    key = models.CharField(max_length=32)
    content = models.CharField(max_length=32, default="", blank=True)
    position = models.BigIntegerField()
    expires_at = models.BigIntegerField()

    class Meta:
        db_table = "hub_event_id"
        constraints = [models.UniqueConstraint(fields=["organisation", "key"], name="hub_event_id_key")]
        indexes = [models.Index(fields=["expires_at"], name="hub_event_id_expiry")]


class Due(models.Model):
    """Something that must be looked at when `due_at` has come: the one table of waits.

    (`what`, `subject`, `key`) names a wait; `lane` is empty for those that the sweeper handles, else the lane
    that claims them. A claim pushes `due_at` ahead and raises `epoch`: who lost a claim changes no row.
    """

    id = models.CharField(primary_key=True, max_length=26)
    organisation = models.CharField(max_length=26)
    what = models.CharField(max_length=48)
    subject = models.CharField(max_length=64)
    key = models.CharField(max_length=128, default="", blank=True)
    lane = models.CharField(max_length=64, default="", blank=True)
    due_at = models.BigIntegerField()
    claimed_until = models.BigIntegerField(default=0)
    epoch = models.BigIntegerField(default=0)
    attempts = models.IntegerField(default=0)
    last_error = models.TextField(default="", blank=True)
    payload = JsonColumn()

    class Meta:
        db_table = "hub_due"
        constraints = [
            models.UniqueConstraint(fields=["organisation", "what", "subject", "key"], name="hub_due_key")
        ]
        indexes = [
            models.Index(fields=["lane", "due_at"], name="hub_due_lane"),
            models.Index(fields=["what", "subject"], name="hub_due_subject"),
        ]


class ParkedMessage(models.Model):
    """One observation that could not be taken, in sight, with cause and remedy; later ones about the same
    record wait `behind` it. The message itself stays in the log until nothing of it is parked."""

    id = models.CharField(primary_key=True, max_length=26)
    organisation = models.CharField(max_length=26)
    connection = models.CharField(max_length=64)
    position = models.BigIntegerField()
    place = models.IntegerField()
    message_id = models.CharField(max_length=26)
    trace = models.CharField(max_length=32)
    kind = models.CharField(max_length=32, default="", blank=True)
    subject = models.CharField(max_length=128, default="", blank=True)
    behind = models.CharField(max_length=26, default="", blank=True)
    cause = models.TextField(default="", blank=True)
    remedy = models.TextField(default="", blank=True)
    problems = JsonColumn()
    state = models.CharField(max_length=16, default="parked")
    attempts = models.IntegerField(default=1)
    received_at = models.BigIntegerField()
    parked_at = models.BigIntegerField()

    class Meta:
        db_table = "hub_parked_message"
        constraints = [
            models.UniqueConstraint(
                fields=["organisation", "connection", "position", "place"], name="hub_parked_message_key"
            )
        ]
        indexes = [
            models.Index(
                fields=["organisation", "connection", "state", "subject"], name="hub_parked_subject"
            ),
        ]


class ConnectionState(models.Model):
    """How one connection is doing right now. Declared facts are in the blueprint, these are observed."""

    organisation = models.CharField(max_length=26)
    connection = models.CharField(max_length=64)
    paused = models.BooleanField(default=False)
    paused_reason = models.TextField(default="", blank=True)
    breaker = models.CharField(max_length=16, default="closed")
    breaker_until = models.BigIntegerField(default=0)
    failures = models.IntegerField(default=0)
    tokens = JsonColumn()
    last_received_at = models.BigIntegerField(null=True)
    last_success_at = models.BigIntegerField(null=True)
    last_error_at = models.BigIntegerField(null=True)
    last_error = models.TextField(default="", blank=True)
    last_error_remedy = models.TextField(default="", blank=True)
    lag_messages = models.BigIntegerField(default=0)
    lag_microseconds = models.BigIntegerField(default=0)
    # Many linked objects were gone at once: since then none is taken as deleted, until a person has looked.
    vanished_held_at = models.BigIntegerField(null=True)
    vanished_accepted_until = models.BigIntegerField(default=0)

    class Meta:
        db_table = "hub_connection_state"
        constraints = [
            models.UniqueConstraint(fields=["organisation", "connection"], name="hub_connection_state_key")
        ]


class PollState(models.Model):
    """Where the next poll of one kind of one connection starts, and how often it is worth asking."""

    organisation = models.CharField(max_length=26)
    connection = models.CharField(max_length=64)
    kind = models.CharField(max_length=32)
    watermark = models.TextField(default="", blank=True)
    interval = models.BigIntegerField()
    started_at = models.BigIntegerField(null=True)
    finished_at = models.BigIntegerField(null=True)
    observations = models.BigIntegerField(default=0)
    failures = models.IntegerField(default=0)

    class Meta:
        db_table = "hub_poll_state"
        constraints = [
            models.UniqueConstraint(fields=["organisation", "connection", "kind"], name="hub_poll_state_key")
        ]


class IntakeHead(models.Model):
    """PostgreSQL only: the last position of a log partition; its row lock makes positions commit order."""

    connection = models.CharField(primary_key=True, max_length=64)
    position = models.BigIntegerField()

    class Meta:
        db_table = "hub_intake_head"


class IntakeMessage(models.Model):
    """PostgreSQL only: one sealed message of the log; SQLite hubs keep the log in segment files."""

    connection = models.CharField(max_length=64)
    position = models.BigIntegerField()
    received_at = models.BigIntegerField()
    day = models.IntegerField()
    payload = models.BinaryField()

    class Meta:
        db_table = "hub_intake_message"
        constraints = [
            models.UniqueConstraint(fields=["connection", "position"], name="hub_intake_message_key")
        ]
        indexes = [models.Index(fields=["connection", "day"], name="hub_intake_message_day")]
