"""Reading problems, known errors and matches for a Work: by id or number, as this Work holds them."""

from __future__ import annotations

from typing import Any, Final, TypeVar

from isthmus.kernel.errors import NotFound
from isthmus.ledger.records import RecordModel
from isthmus.ledger.work import Work
from isthmus.practices.problem.models import KnownError, KnownErrorMatch, Problem

M = TypeVar("M", Problem, KnownError)
_WORDS: Final[dict[type[RecordModel], str]] = {Problem: "problem", KnownError: "known error"}


def find(model: type[M], reference: str) -> M | None:
    """Return a record by id or number within the open scope; a number that several visible organisations use
    names none."""
    rows: Any = model.objects.all()
    found = list(rows.filter(id=reference)[:1]) or list(rows.filter(number=reference.strip().upper())[:2])
    return found[0] if len(found) == 1 else None


def visible(model: type[M], reference: str) -> M:
    """Return a record by id or number, or raise `NotFound`."""
    found = find(model, reference)
    if found is None:
        raise NotFound(f"There is no {_WORDS[model]} {reference[:80]}.", remedy="Check the id or number.")
    return found


def get(work: Work, model: type[M], reference: str) -> M:
    """Return a record by id or number: the instance that this Work goes on with."""
    pending = work.pending.get(reference)
    if pending is not None and isinstance(pending.record, model):
        return pending.record
    found = visible(model, reference)
    pending = work.pending.get(found.id)
    return pending.record if pending is not None and isinstance(pending.record, model) else found


def match(work: Work, match_id: str, incident: str = "") -> KnownErrorMatch:
    """Return a match by id (of that incident, if one is named), as this Work holds it."""
    pending = work.pending.get(match_id)
    if pending is not None and isinstance(pending.record, KnownErrorMatch):
        return pending.record
    rows = KnownErrorMatch.objects.filter(id=match_id)
    found: KnownErrorMatch | None = (rows.filter(record=incident) if incident else rows).first()
    if found is None:
        raise NotFound(
            "There is no such match.", remedy="List the known errors of the incident with their matches."
        )
    return found
