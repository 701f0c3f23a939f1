"""A Work in the form of rows: everything that needs no lock happens here, before the turnstile.

Data keys are made durable first, then values are sealed, then bodies are encoded.
"""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from django.db import connection

from isthmus.kernel.chain import encode_plain
from isthmus.ledger import keys, shapes
from isthmus.ledger.body import FORMAT, Body
from isthmus.ledger.pending import Pending
from isthmus.ledger.shapes import quoted
from isthmus.ledger.work import Work

_READ_CHUNK = 500


@dataclass(slots=True)
class Prepared:
    """A Work in the form of rows. `entries` lack their seq, which only the transaction can give."""

    work: Work
    creates: dict[str, list[tuple[Any, ...]]] = field(default_factory=dict)
    updates: dict[tuple[str, tuple[str, ...]], list[tuple[Any, ...]]] = field(default_factory=dict)
    entries: list[tuple[Any, ...]] = field(default_factory=list)


def prepare(work: Work) -> Prepared:
    """Do everything that needs no lock: preparers, data keys (durable first), sealing, encoding."""
    work.run_preparers()
    return render(work)


def render(work: Work) -> Prepared:
    """Return the rows of a Work; called again inside the transaction if others took its numbers first."""
    found = Prepared(work)
    sealed = _seal(work)
    for pending in work.pending.values():
        envelopes = sealed.get(pending.record.id, {})
        if pending.created:
            found.creates.setdefault(pending.shape.insert, []).append(_row(pending, envelopes))
        else:
            _update(found, pending, envelopes)
        if pending.journalled:
            found.entries.append(_entry(work, pending, envelopes))
    return found


def _seal(work: Work) -> dict[str, dict[str, tuple[bytes | None, bytes | None]]]:
    """Return per record and sealed field the envelopes (old, new); keys are durable before this returns."""
    wanted: list[tuple[Pending, str, str, Any]] = []
    for pending in work.pending.values():
        for _, name in pending.shape.sealed_at:
            if name in pending.changes:
                declared = pending.shape.fields[name]
                wanted.append(
                    (
                        pending,
                        name,
                        pending.shape.key_name(pending.record, declared),
                        pending.changes[name][1],
                    )
                )
    if not wanted:
        return {}
    ring = keys.ring()
    ring.ensure(key for _, _, key, _ in wanted)
    held = _held_envelopes([(pending, name) for pending, name, _, _ in wanted if not pending.created])
    found: dict[str, dict[str, tuple[bytes | None, bytes | None]]] = {}
    for pending, name, key, value in wanted:
        declared = pending.shape.fields[name]
        new = None
        if value != declared.blank:
            new = ring.seal(key, encode_plain(value) if declared.is_json else str(value).encode())
        found.setdefault(pending.record.id, {})[name] = (held.get((pending.record.id, name)), new)
    return found


def _row(pending: Pending, envelopes: dict[str, tuple[bytes | None, bytes | None]]) -> tuple[Any, ...]:
    shape = pending.shape
    row = shape.pick(pending.record.__dict__)
    if not shape.json_at and not shape.sealed_at:
        return row
    line = list(row)
    for i in shape.json_at:
        if line[i] is not None:
            line[i] = shapes.json_text(line[i])
    for i, name in shape.sealed_at:
        line[i] = envelopes[name][1] if name in envelopes else None
    return tuple(line)


def _update(
    found: Prepared, pending: Pending, envelopes: dict[str, tuple[bytes | None, bytes | None]]
) -> None:
    shape, record = pending.shape, pending.record
    columns: list[str] = []
    values: list[Any] = []
    for name, (_, new) in pending.changes.items():
        declared = shape.fields[name]
        columns.append(name)
        if declared.sealed:
            values.append(envelopes[name][1])
        else:
            values.append(shapes.json_text(new) if declared.is_json else new)
    for name, value in pending.extras.items():
        columns.append(name)
        values.append(shapes.json_text(value) if shapes.is_json(shape, name) else value)
    if pending.journalled:
        columns += ("version", "updated_at")
        values += (record.version, record.updated_at)
    found.updates.setdefault((shape.table, tuple(columns)), []).append((*values, record.id, pending.expected))


def _base64(envelope: bytes | None) -> str | None:
    return None if envelope is None else base64.b64encode(envelope).decode()


def _entry(
    work: Work, pending: Pending, envelopes: dict[str, tuple[bytes | None, bytes | None]]
) -> tuple[Any, ...]:
    record = pending.record
    changes = pending.changes
    if envelopes:
        changes = changes | {name: [_base64(old), _base64(new)] for name, (old, new) in envelopes.items()}
    return _entry_row(
        work, pending.shape.kind, record.organisation, record.id, record.version, pending.occurred_at, pending.cause,
        pending.trace, pending.zone, pending.assumed_error, changes, pending.why, pending.inputs, pending.versions,
    )  # fmt: skip


def _entry_row(
    work: Work, kind: str, organisation: str, record: str, version: int, occurred_at: int, cause: str, trace: str, zone: str,
    assumed_error: int, changes: Any, why: Any, inputs: Any, versions: Any,
) -> tuple[Any, ...]:  # fmt: skip
    actor, origin, now, generation = work.actor, work.origin, work.now, work.generation
    body = encode_plain(
        Body(
            actor.id, actor.kind.value, assumed_error, cause, changes, origin.channel, origin.connection, FORMAT, generation,
            inputs, kind, occurred_at, organisation, record, now, origin.synthetic, trace, version, versions, why, zone,
        )
    )  # fmt: skip
    return (
        organisation, kind, record, version, occurred_at, now, actor.id, origin.channel, origin.connection,
        origin.synthetic, cause, trace, generation, body,
    )  # fmt: skip


def _held_envelopes(wanted: Sequence[tuple[Pending, str]]) -> dict[tuple[str, str], bytes | None]:
    """Return the envelopes that the store holds now; the version check of the update proves them current."""
    groups: dict[tuple[str, str], list[str]] = {}
    for pending, name in wanted:
        groups.setdefault((pending.shape.table, name), []).append(pending.record.id)
    found: dict[tuple[str, str], bytes | None] = {}
    for (table, name), ids in groups.items():
        for start in range(0, len(ids), _READ_CHUNK):
            chunk = ids[start : start + _READ_CHUNK]
            marks = ", ".join("%s" for _ in chunk)
            with connection.cursor() as cursor:
                cursor.execute(
                    f"SELECT {quoted('id', name)} FROM {quoted(table)} WHERE id IN ({marks})",  # noqa: S608 - our own names only
                    chunk,
                )
                for record_id, envelope in cursor.fetchall():
                    found[record_id, name] = None if envelope is None else bytes(envelope)
    return found
