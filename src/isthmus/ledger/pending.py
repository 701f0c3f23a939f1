"""What a Work collects about records until it is flushed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from isthmus.kernel.chain import plain
from isthmus.kernel.record import Json, Reason
from isthmus.ledger import shapes
from isthmus.ledger.records import RecordModel


@dataclass(slots=True)
class Pending:
    """What one Work does to one record: exactly one entry, whatever the number of calls."""

    record: RecordModel
    shape: shapes.RecordShape
    created: bool
    expected: int
    occurred_at: int
    cause: str
    trace: str
    zone: str
    assumed_error: int
    changes: dict[str, list[Json]] = field(default_factory=dict)
    extras: dict[str, Any] = field(default_factory=dict)
    why: list[dict[str, Json]] = field(default_factory=list)
    inputs: list[list[str | int]] = field(default_factory=list)
    versions: dict[str, str] = field(default_factory=dict)
    journalled: bool = False


def told(why: Sequence[Reason]) -> list[dict[str, Json]]:
    """Return reasons as they stand in an entry."""
    return [{"facts": plain(each.facts), "rule": each.rule, "text": each.text} for each in why]


def give_number(pending: Pending, number: int) -> None:
    """Set the number of a created record, in the instance and in its entry."""
    text = f"{pending.shape.prefix}-{number:06d}"
    pending.record.number = text  # type: ignore[attr-defined]
    pending.changes["number"] = [None, text]
