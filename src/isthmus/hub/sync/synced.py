"""What practices say about the kinds that travel: how a merged change is applied, which states may follow.

The hub knows no practice. A practice registers a `Synced` from its `ready`; a kind without one is applied
field by field.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from isthmus.kernel.instant import Instant
from isthmus.kernel.observation import Observation
from isthmus.kernel.record import Reason
from isthmus.ledger.records import RecordModel
from isthmus.ledger.schema import models_by_kind

if TYPE_CHECKING:
    from isthmus.ledger.work import Work


def _apply(
    work: Work,
    record: RecordModel,
    values: Mapping[str, Any],
    why: Sequence[Reason],
    occurred_at: Instant | None,
) -> None:
    work.change(record, values, why=why, occurred_at=occurred_at)


def _create(
    work: Work, model: type[RecordModel], organisation: str, values: Mapping[str, Any], why: Sequence[Reason],
    occurred_at: Instant | None, cause: str, trace: str,
) -> RecordModel:  # fmt: skip
    return work.create(model, organisation=organisation, values=values, why=why, occurred_at=occurred_at,
                       cause=cause, trace=trace)  # fmt: skip


def _evidence(_work: Work, _record: RecordModel, _connection: str, _observation: Observation) -> None:
    return


def _legal(_part: str, _before: Any, _after: Any) -> bool:
    return True


@dataclass(frozen=True, kw_only=True)
class Synced:
    """Hooks of one kind. `apply` writes merged fields (and what follows from them); `create` makes a record
    of an object seen first at a partner; `legal(part, before, after)` is the canonical state table;
    `evidence(work, record, connection, observation)` hears of authority fields (an approval seen at a
    partner), which merge never takes; it is called after the merge of the same sight, and at birth."""

    kind: str
    apply: Callable[..., None] = _apply
    create: Callable[..., RecordModel] = _create
    legal: Callable[[str, Any, Any], bool] = _legal
    evidence: Callable[[Work, RecordModel, str, Observation], None] = _evidence


SYNCED_KINDS = ("incident", "change")
_hooks: dict[str, Synced] = {kind: Synced(kind=kind) for kind in SYNCED_KINDS}


def register(
    kind: str,
    *,
    apply: Callable[..., None] = _apply,
    create: Callable[..., RecordModel] = _create,
    legal: Callable[[str, Any, Any], bool] = _legal,
    evidence: Callable[[Work, RecordModel, str, Observation], None] = _evidence,
) -> None:
    """Say how a kind travels; called once from the `ready` of its practice."""
    _hooks[kind] = Synced(kind=kind, apply=apply, create=create, legal=legal, evidence=evidence)


Watcher = Callable[["Work", RecordModel, str, Observation], list[str]]
_watchers: list[Watcher] = []


def register_watcher(watch: Watcher) -> None:
    """Have `watch(work, record, connection, observation)` hear of every current sight of a linked object, after
    its merge; it returns the ids of records that it changed. It takes no part in the merge. Called from `ready`."""
    if watch not in _watchers:
        _watchers.append(watch)


def watched(work: Work, record: RecordModel, connection: str, observation: Observation) -> list[str]:
    """Tell the watchers of a sight; return what they changed."""
    return [each for watch in _watchers for each in watch(work, record, connection, observation)]


def hooks_of(kind: str) -> Synced:
    """Return the hooks of a synced kind."""
    return _hooks[kind]


def kinds() -> tuple[str, ...]:
    """Return the kinds whose records may be linked."""
    return tuple(_hooks)


def model_of(kind: str) -> type[RecordModel]:
    """Return the projection of a kind."""
    return models_by_kind()[kind]
