"""Reading records for a Work: what the Work already holds comes first, so that nobody writes past it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeVar

from isthmus.kernel.errors import NotFound
from isthmus.ledger import rows
from isthmus.ledger.records import RecordModel
from isthmus.ledger.work import Work

M = TypeVar("M", bound=RecordModel)
CHUNK: int = 900
"""Most ids in one `IN (…)`."""


def chunks(ids: Iterable[str]) -> Iterable[list[str]]:
    """Yield distinct ids in lists that fit one query."""
    found = sorted(set(ids) - {""})
    for start in range(0, len(found), CHUNK):
        yield found[start : start + CHUNK]


def many(work: Work, model: type[M], ids: Iterable[str]) -> dict[str, M]:
    """Return records by id; ids that do not exist (or may not be seen) are missing."""
    wanted = set(ids) - {""}
    found: dict[str, M] = {}
    for record_id in wanted:
        pending = work.pending.get(record_id)
        if pending is not None and isinstance(pending.record, model):
            found[record_id] = pending.record
    found.update({each.id: each for each in rows.instances(model, "id", list(wanted - found.keys()))})
    return found


def one(work: Work, model: type[M], record_id: str) -> M:
    """Return one record or raise `NotFound`."""
    found = many(work, model, [record_id])
    if record_id not in found:
        raise NotFound(
            f"There is no {model.kind} {record_id}.", remedy="Check the id; you may lack the right to see it."
        )
    return found[record_id]
