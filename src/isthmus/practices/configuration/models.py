"""Tables of service configuration management: the map, its gaps and what waits for arrivals."""

from __future__ import annotations

from typing import ClassVar

from django.db import models

from isthmus.kernel.kinds.configuration import CI, CI_RELATION, CMDB_GAP
from isthmus.ledger.columns import JsonColumn
from isthmus.ledger.records import RecordModel


class Ci(RecordModel):
    """A configuration item: anything that must be managed to deliver a service, services included."""

    kind: ClassVar[str] = CI.name

    name = models.TextField(default="", blank=True)
    ci_class = models.TextField(default="", blank=True)
    external_key = models.TextField(default="", blank=True)
    aliases = JsonColumn()
    addresses = JsonColumn()
    environment = models.TextField(default="", blank=True)
    criticality = models.CharField(max_length=16, default="", blank=True)
    users = models.BigIntegerField(null=True)
    owner = models.TextField(default="", blank=True)
    support_group = models.TextField(default="", blank=True)
    shared = models.BooleanField(default=False)
    attributes = JsonColumn()
    source = models.TextField(default="", blank=True)
    state = models.CharField(max_length=16, default="", blank=True)

    class Meta:
        db_table = CI.table
        constraints = [
            models.UniqueConstraint(
                fields=["organisation", "external_key"],
                condition=~models.Q(external_key=""),
                name="configuration_ci_key",
            )
        ]
        indexes = [models.Index(fields=["organisation", "name"], name="configuration_ci_name")]

    def __str__(self) -> str:
        return self.name


class Relation(RecordModel):
    """`source_ci` depends on (runs on, is hosted on, is a member of) `target_ci`."""

    kind: ClassVar[str] = CI_RELATION.name

    source_ci = models.CharField(max_length=26, default="", blank=True)
    target_ci = models.CharField(max_length=26, default="", blank=True)
    type = models.CharField(max_length=16, default="", blank=True)
    source = models.TextField(default="", blank=True)
    state = models.CharField(max_length=16, default="", blank=True)

    class Meta:
        db_table = CI_RELATION.table
        constraints = [
            models.UniqueConstraint(
                fields=["organisation", "source_ci", "target_ci", "type"], name="configuration_relation_ends"
            )
        ]
        indexes = [models.Index(fields=["organisation", "target_ci"], name="configuration_relation_target")]

    def __str__(self) -> str:
        return f"{self.source_ci} {self.type} {self.target_ci}"


class Gap(RecordModel):
    """Somebody named a configuration item that the map does not know."""

    kind: ClassVar[str] = CMDB_GAP.name

    hint = models.TextField(default="", blank=True)
    found_by = models.CharField(max_length=26, default="", blank=True)
    state = models.CharField(max_length=16, default="", blank=True)

    class Meta:
        db_table = CMDB_GAP.table
        indexes = [models.Index(fields=["organisation", "state", "hint"], name="configuration_gap_hint")]

    def __str__(self) -> str:
        return self.hint


class MapRevision(models.Model):
    """Counts the writes to one organisation's map; every process refreshes its in-memory map by it."""

    organisation = models.CharField(primary_key=True, max_length=26)
    revision = models.BigIntegerField(default=0)

    class Meta:
        db_table = "configuration_map_revision"

    def __str__(self) -> str:
        return f"{self.organisation} {self.revision}"


class PendingReference(models.Model):
    """A relation row that names an unknown configuration item; it is imported when that one arrives.

    `wanted` is the missing name or key in its normal form; `fingerprint` makes a second import of the same
    row the same pending reference.
    """

    organisation = models.CharField(max_length=26)
    fingerprint = models.CharField(max_length=64)
    wanted = models.TextField()
    row = JsonColumn()
    source = models.TextField(default="", blank=True)
    since = models.BigIntegerField()

    class Meta:
        db_table = "configuration_pending_reference"
        constraints = [
            models.UniqueConstraint(fields=["organisation", "fingerprint"], name="configuration_pending_once")
        ]
        indexes = [models.Index(fields=["organisation", "wanted"], name="configuration_pending_wanted")]

    def __str__(self) -> str:
        return self.wanted
