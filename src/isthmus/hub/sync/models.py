"""Tables of synchronisation: links and conflicts (records), and the working state of each link."""

# ruff: noqa: DJ008 - rows are shown by pages, never by str()
from __future__ import annotations

from typing import ClassVar

from django.db import models

from isthmus.hub.lanes.models import Delivery
from isthmus.kernel.kinds.sync import CONFLICT, LINK
from isthmus.ledger.columns import JsonColumn, SealedJson, SealedText
from isthmus.ledger.records import RecordModel

__all__ = [
    "AttachmentPlace",
    "BlobPart",
    "Comparison",
    "Conflict",
    "Delivery",
    "FieldTrail",
    "Link",
    "LinkRun",
]


class Link(RecordModel):
    """A record tied to one object of a connection, with the base of every part (`parts`)."""

    kind: ClassVar[str] = LINK.name

    record_kind = models.CharField(max_length=24, default="", blank=True)
    record = models.CharField(max_length=26, default="", blank=True)
    connection = models.CharField(max_length=64, default="", blank=True)
    external_kind = models.TextField(default="", blank=True)
    external_key = models.CharField(max_length=128, default="", blank=True)
    external_label = models.TextField(default="", blank=True)
    external_url = models.TextField(default="", blank=True)
    external_version = models.TextField(default="", blank=True)
    correlation = models.CharField(max_length=64, default="", blank=True)
    mapping_version = models.CharField(max_length=16, default="", blank=True)
    state = models.CharField(max_length=8, default="", blank=True)
    parts = SealedJson()

    class Meta:
        db_table = LINK.table
        indexes = [
            models.Index(fields=["organisation", "record"], name="sync_link_record"),
            models.Index(fields=["connection", "external_key"], name="sync_link_external"),
            models.Index(fields=["correlation"], name="sync_link_correlation"),
        ]


class Conflict(RecordModel):
    """A field that both sides had changed: both values, the winner, the rule. The loser can be restored."""

    kind: ClassVar[str] = CONFLICT.name

    record_kind = models.CharField(max_length=24, default="", blank=True)
    record = models.CharField(max_length=26, default="", blank=True)
    link = models.CharField(max_length=26, default="", blank=True)
    field = models.CharField(max_length=64, default="", blank=True)
    base = SealedText()
    ours = SealedText()
    theirs = SealedText()
    rule = models.TextField(default="", blank=True)
    winner = models.CharField(max_length=10, default="", blank=True)
    state = models.CharField(max_length=8, default="", blank=True)
    decided_by = models.CharField(max_length=64, default="", blank=True)
    decided_at = models.BigIntegerField(null=True)

    class Meta:
        db_table = CONFLICT.table
        indexes = [
            models.Index(fields=["organisation", "state"], name="sync_conflict_open"),
            models.Index(fields=["organisation", "record", "field"], name="sync_conflict_record"),
        ]


class LinkRun(models.Model):
    """The working state of a link: its counter, fence and the open operation (sealed with the record's key).

    `epoch` rises with every write: a conditional update that finds another epoch changes nothing.
    `comparing`: the comparison round (its start) that waits for a read of this link, 0 if none.
    """

    link = models.CharField(primary_key=True, max_length=26)
    organisation = models.CharField(max_length=26)
    record = models.CharField(max_length=26)
    connection = models.CharField(max_length=64)
    epoch = models.BigIntegerField(default=1)
    tick = models.BigIntegerField(default=0)
    fence = models.BigIntegerField(default=0)
    dirty = models.BigIntegerField(default=0)
    version = models.TextField(default="", blank=True)
    operation = models.BinaryField(null=True)
    operation_state = models.CharField(max_length=8, default="", blank=True)
    parked = models.IntegerField(default=0)
    comparing = models.BigIntegerField(default=0)
    last_seen_at = models.BigIntegerField(null=True)
    settled_at = models.BigIntegerField(null=True)

    class Meta:
        db_table = "sync_link_run"
        indexes = [models.Index(fields=["organisation", "record"], name="sync_link_run_record")]


class Comparison(models.Model):
    """The last comparison of a connection's links of one kind: links asked for and looked at, those that
    differed, objects that were gone."""

    organisation = models.CharField(max_length=26)
    connection = models.CharField(max_length=64)
    kind = models.CharField(max_length=24)
    started_at = models.BigIntegerField(default=0)
    finished_at = models.BigIntegerField(null=True)
    asked = models.BigIntegerField(default=0)
    looked = models.BigIntegerField(default=0)
    different = models.BigIntegerField(default=0)
    missing = models.BigIntegerField(default=0)

    class Meta:
        db_table = "sync_comparison"
        constraints = [
            models.UniqueConstraint(fields=["organisation", "connection", "kind"], name="sync_comparison_key")
        ]


class FieldTrail(models.Model):
    """What the merge rules need to know of a part's past: when and by whom its value was set, the length of
    the chain of adoptions, and fingerprints of the values adopted lately. Holds no value itself."""

    organisation = models.CharField(max_length=26)
    record = models.CharField(max_length=26)
    part = models.CharField(max_length=64)
    value = models.CharField(max_length=16)
    at = models.BigIntegerField()
    source = models.CharField(max_length=64)
    hops = models.IntegerField(default=0)
    trail = JsonColumn()

    class Meta:
        db_table = "sync_field_trail"
        constraints = [
            models.UniqueConstraint(fields=["organisation", "record", "part"], name="sync_field_trail_key")
        ]


class AttachmentPlace(models.Model):
    """Where a file is held at the partner of a link: its key there and our attachment ("" until its content
    has been fetched). A key that is known is never taken in again; an attachment with a place is never sent
    again."""

    organisation = models.CharField(max_length=26)
    link = models.CharField(max_length=26)
    external_key = models.CharField(max_length=128)
    attachment = models.CharField(max_length=26, default="", blank=True)
    at = models.BigIntegerField()

    class Meta:
        db_table = "sync_attachment_place"
        constraints = [
            models.UniqueConstraint(
                fields=["organisation", "link", "external_key"], name="sync_attachment_place_key"
            )
        ]
        indexes = [models.Index(fields=["link", "attachment"], name="sync_attachment_place_ours")]


class BlobPart(models.Model):
    """A part of a file's content, sealed with the key of the record that it belongs to."""

    organisation = models.CharField(max_length=26)
    blob = models.CharField(max_length=26)
    number = models.IntegerField()
    sealed = models.BinaryField()

    class Meta:
        db_table = "sync_blob_part"
        constraints = [
            models.UniqueConstraint(fields=["organisation", "blob", "number"], name="sync_blob_part_key")
        ]
        indexes = [models.Index(fields=["blob", "number"], name="sync_blob_part_blob")]
