"""The book's evidence as rows, exactly as stored: what an export holds and what a verifier reads."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from django.db import connection, models, transaction

from isthmus.ledger import scope, visibility
from isthmus.ledger.models import Checkpoint, Entry, Head, Seal, Unsealed
from isthmus.ledger.schema import models_by_kind
from isthmus.ledger.shapes import quoted

FETCHED_ROWS = 1_000


@contextmanager
def snapshot() -> Iterator[None]:
    """Hold one consistent view of the book for reading, without keeping writers out."""
    with scope.everywhere("the whole book is read"):
        if connection.vendor == "sqlite":
            # Not `atomic`: that begins as a writer. A plain BEGIN reads one snapshot beside all writers.
            with connection.cursor() as cursor:
                cursor.execute("BEGIN")
            try:
                yield
            finally:
                with connection.cursor() as cursor:
                    cursor.execute("ROLLBACK")
            return
        with transaction.atomic():
            with connection.cursor() as cursor:
                cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
            yield


def tables() -> Iterator[tuple[str, Sequence[str], Iterable[Sequence[Any]]]]:
    """Yield (table, columns, rows) of the evidence and of every projection. Call it within a `snapshot`."""
    evidence: list[type[models.Model]] = [Entry, Seal, Head, Checkpoint, Unsealed, *models_by_kind().values()]
    for model in evidence:
        columns = [str(each.column) for each in model._meta.concrete_fields]  # noqa: SLF001 - Django's documented API
        yield model._meta.db_table, columns, rows(model, columns)  # noqa: SLF001


def rows(model: type[models.Model], columns: Sequence[str]) -> Iterator[list[Any]]:
    """Yield the stored rows of a table in the order of its key, ciphertext as it is."""
    meta = model._meta  # noqa: SLF001
    visibility.apply(scope.current())
    assert meta.pk is not None  # noqa: S101 - every table of ours has one
    with connection.chunked_cursor() as cursor:
        cursor.execute(
            f"SELECT {quoted(*columns)} FROM {quoted(meta.db_table)} ORDER BY {quoted(str(meta.pk.column))}"  # noqa: S608 - our own names only
        )
        while found := cursor.fetchmany(FETCHED_ROWS):
            for row in found:
                yield [bytes(each) if isinstance(each, memoryview) else each for each in row]
