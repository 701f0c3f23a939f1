"""Tables of the book. `Entry` is the one table of facts; everything else here serves, seals or finds entries."""

from __future__ import annotations

from django.db import models

from isthmus.kernel.kinds import KINDS
from isthmus.ledger import scope, visibility
from isthmus.ledger.columns import JsonColumn
from isthmus.ledger.records import RecordModel


class EntryManager(models.Manager["Entry"]):
    """Tells row-level security what the open scope shows; the queries themselves say what they want."""

    def get_queryset(self) -> models.QuerySet[Entry]:
        visibility.apply(scope.current_or_all())
        return super().get_queryset()


class Entry(models.Model):
    """One row per record per transaction. `body` holds the exact bytes that are hashed, never rewritten.

    The other columns are copies of envelope values in the body, for queries; `verify` compares them.
    (`record`, `version`) names an entry everywhere. `seq` is storage order only: it may have gaps and is not
    the order of commits on PostgreSQL; positions are assigned by the sealer.
    """

    seq = models.BigAutoField(primary_key=True)
    organisation = models.CharField(max_length=26)
    kind = models.CharField(max_length=32)
    record = models.CharField(max_length=26)
    version = models.IntegerField()
    occurred_at = models.BigIntegerField()
    recorded_at = models.BigIntegerField()
    actor = models.CharField(max_length=64)
    channel = models.CharField(max_length=24)
    connection = models.CharField(max_length=64)
    synthetic = models.BooleanField()
    cause = models.CharField(max_length=128)
    trace = models.CharField(max_length=32)
    generation = models.IntegerField()
    body = models.BinaryField()

    objects = EntryManager()

    class Meta:
        db_table = "ledger_entry"
        constraints = [models.UniqueConstraint(fields=["record", "version"], name="ledger_entry_name")]
        indexes = [
            models.Index(fields=["organisation", "recorded_at"], name="ledger_entry_when"),
            models.Index(fields=["trace"], name="ledger_entry_trace"),
        ]

    def __str__(self) -> str:
        return f"{self.record}.{self.version}"


class Unsealed(models.Model):
    """Entries of one committed transaction that the sealer has not seen: `seqs` as 8-byte big-endian integers."""

    seqs = models.BinaryField()
    recorded_at = models.BigIntegerField()

    class Meta:
        db_table = "ledger_unsealed"

    def __str__(self) -> str:
        return f"queue row {self.pk}"


class Seal(models.Model):
    """A segment of one organisation's chain: positions first … first + count - 1.

    `seqs` (8 bytes each) and `links` (32 bytes each) stand in the order of positions, so that the first bad
    entry can be named without the rest of the chain.
    """

    organisation = models.CharField(max_length=26)
    first = models.BigIntegerField()
    count = models.IntegerField()
    seqs = models.BinaryField()
    links = models.BinaryField()
    sealed_at = models.BigIntegerField()
    epoch = models.BigIntegerField()

    class Meta:
        db_table = "ledger_seal"
        constraints = [models.UniqueConstraint(fields=["organisation", "first"], name="ledger_seal_first")]

    def __str__(self) -> str:
        return f"{self.organisation}:{self.first}+{self.count}"


class Head(models.Model):
    """Where one organisation's chain ends. Advanced only by (position, epoch): one row changes or nobody sealed."""

    organisation = models.CharField(primary_key=True, max_length=26)
    position = models.BigIntegerField()
    link = models.BinaryField()
    epoch = models.BigIntegerField()

    class Meta:
        db_table = "ledger_head"

    def __str__(self) -> str:
        return f"{self.organisation}:{self.position}"


class Checkpoint(models.Model):
    """A signed statement of where all chains stood. `body` is canonical JSON that names its predecessor's hash."""

    number = models.BigIntegerField(primary_key=True)
    at = models.BigIntegerField()
    body = models.BinaryField()
    signature = models.BinaryField()
    key = models.BinaryField()

    class Meta:
        db_table = "ledger_checkpoint"

    def __str__(self) -> str:
        return f"checkpoint {self.number}"


class Lease(models.Model):
    """Who does a job that only one process may do. The epoch fences holders that lost it without noticing."""

    name = models.CharField(primary_key=True, max_length=128)
    holder = models.CharField(max_length=64)
    epoch = models.BigIntegerField()
    expires_at = models.BigIntegerField()

    class Meta:
        db_table = "ledger_lease"

    def __str__(self) -> str:
        return f"{self.name}: {self.holder} ({self.epoch})"


class Number(models.Model):
    """The next number (`INC-000123`) of a kind in an organisation."""

    organisation = models.CharField(max_length=26)
    kind = models.CharField(max_length=32)
    next = models.BigIntegerField()

    class Meta:
        db_table = "ledger_number"
        constraints = [models.UniqueConstraint(fields=["organisation", "kind"], name="ledger_number_key")]

    def __str__(self) -> str:
        return f"{self.organisation} {self.kind} {self.next}"


class SearchToken(models.Model):
    """A keyed hash of one value or one word of a sealed field, so that it can be found without being readable."""

    organisation = models.CharField(max_length=26)
    field = models.CharField(max_length=64)
    token = models.BigIntegerField()
    record = models.CharField(max_length=26)

    class Meta:
        db_table = "ledger_search_token"
        constraints = [
            models.UniqueConstraint(
                fields=["organisation", "token", "field", "record"], name="ledger_search_key"
            )
        ]
        indexes = [models.Index(fields=["organisation", "record"], name="ledger_search_record")]

    def __str__(self) -> str:
        return f"{self.field} of {self.record}"


class Progress(models.Model):
    """How far a background reader of the book (the search index) has come."""

    name = models.CharField(primary_key=True, max_length=64)
    position = models.BigIntegerField()

    class Meta:
        db_table = "ledger_progress"

    def __str__(self) -> str:
        return f"{self.name}: {self.position}"


class Organisation(RecordModel):
    """A node of the tree of organisations. Its own organisation is itself."""

    kind = "organisation"

    name = models.TextField(default="", blank=True)
    parent = models.CharField(max_length=26, default="", blank=True)
    state = models.CharField(max_length=24, default="", blank=True)

    class Meta:
        db_table = KINDS["organisation"].table
        indexes = [models.Index(fields=["organisation", "parent"], name="ledger_organisation_parent")]


class Share(RecordModel):
    """An explicit grant: one record of one organisation may be seen by another, in a named view."""

    kind = "share"

    shared_kind = models.TextField(default="", blank=True)
    shared_record = models.CharField(max_length=26, default="", blank=True)
    shared_with = models.CharField(max_length=26, default="", blank=True)
    view = models.TextField(default="", blank=True)

    class Meta:
        db_table = KINDS["share"].table
        indexes = [models.Index(fields=["shared_with", "shared_kind"], name="ledger_share_with")]


class SystemEvent(RecordModel):
    """Something worth journalling that changes no other record."""

    kind = "system_event"

    subject = models.TextField(default="", blank=True)
    facts = JsonColumn()

    class Meta:
        db_table = KINDS["system_event"].table
        indexes = [models.Index(fields=["organisation", "created_at"], name="ledger_system_event_when")]
