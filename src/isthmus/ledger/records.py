"""The base of every projection: a record of some kind in one organisation, with a version.

Projections are read through Django's ORM inside a scope and written only by `Work`; `.save`, `.update`,
`.delete` and the bulk calls raise.
"""

from __future__ import annotations

from typing import Any, ClassVar, Self

from django.db import models
from django.db.models.base import ModelState

from isthmus.kernel.errors import Bug
from isthmus.kernel.kinds import KINDS
from isthmus.kernel.record import RecordKind
from isthmus.ledger import scope, visibility


class WrittenOutsideWork(Bug):
    """Somebody tried to write a projection past the book."""


def _refuse(*_: Any, **__: Any) -> Any:
    raise WrittenOutsideWork("Records are written by Work only.", remedy="Use work.create or work.change.")


class RecordQuerySet(models.QuerySet[Any]):
    """Reads only, and only within the open scope."""

    update = _refuse
    delete = _refuse
    create = _refuse
    bulk_create = _refuse
    bulk_update = _refuse
    get_or_create = _refuse
    update_or_create = _refuse


class RecordManager(models.Manager[Any]):
    """Filters by the open scope; raises `OutsideScope` where none is open."""

    def get_queryset(self) -> RecordQuerySet:
        found = RecordQuerySet(self.model, using=self._db)
        visible = scope.current()
        visibility.apply(visible)
        return found if visible is None else found.filter(scope.owned_or_shared(visible, "id"))


_BY_TABLE = {kind.table: kind for kind in KINDS.values()}


def kind_of(model: type[RecordModel] | RecordModel) -> RecordKind:
    """Return the kind that a projection holds, found by its table (a kind may have a field named `kind`)."""
    return _BY_TABLE[model._meta.db_table]  # noqa: SLF001 - Django's documented API


class RecordModel(models.Model):
    """Columns that every record has from the first migration."""

    kind: ClassVar[str]

    id = models.CharField(primary_key=True, max_length=26)
    organisation = models.CharField(max_length=26)
    version = models.IntegerField(default=1)
    created_at = models.BigIntegerField()
    updated_at = models.BigIntegerField()
    occurred_at = models.BigIntegerField()
    channel = models.CharField(max_length=24)
    synthetic = models.BooleanField(default=False)
    trace = models.CharField(max_length=32)

    objects = RecordManager()

    class Meta:
        abstract = True

    save = _refuse
    delete = _refuse

    @classmethod
    def made(cls, state: dict[str, Any]) -> Self:
        """Return an instance that owns `state`: every column by name. Skips Django's slower constructor."""
        found = cls.__new__(cls)
        found.__dict__ = state
        loaded = ModelState()
        loaded.adding, loaded.db = False, "default"
        found._state = loaded  # noqa: SLF001 - as Django's own `from_db` does
        return found

    @classmethod
    def restored(cls, values: dict[str, Any]) -> Self:
        """Return an instance holding `values` that counts as loaded from the store."""
        found = cls(**values)
        found._state.adding = False
        return found


ENVELOPE_COLUMNS = (
    "id",
    "organisation",
    "version",
    "created_at",
    "updated_at",
    "occurred_at",
    "channel",
    "synthetic",
    "trace",
)
