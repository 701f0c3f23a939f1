"""Writes an outcome of the pure rules into a Work: record, link, working state, conflicts, comments."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import structs

from isthmus.hub.sync import loading, synced
from isthmus.hub.sync.algorithm import CommentChange, ConflictFound, LinkState, Outcome, Take, to_json
from isthmus.hub.sync.loading import Loaded, held_by
from isthmus.hub.sync.models import Conflict, FieldTrail, LinkRun
from isthmus.kernel.chain import encode, plain
from isthmus.kernel.instant import Instant
from isthmus.kernel.merge import spread
from isthmus.kernel.observation import ExternalRef
from isthmus.kernel.record import Reason
from isthmus.ledger import keys

if TYPE_CHECKING:
    from isthmus.ledger.records import RecordModel
    from isthmus.ledger.work import Work

_EPHEMERAL = ("key", "version", "tick", "fence", "dirty", "operation")
"""Parts of a link's state that live in its working row, not in the journalled base."""


@dataclass(frozen=True, kw_only=True)
class Cause:
    """Where an outcome came from, for the entries: the message, its trace, when the partner says it happened."""

    message: str = ""
    trace: str = ""
    occurred_at: Instant | None = None
    seen_at: Instant | None = None
    ref: ExternalRef | None = None
    actor: str = ""
    """Who did it there, in the partner's words."""


NO_CAUSE = Cause()


def record(work: Work, loaded: Loaded, outcome: Outcome, *, cause: Cause = NO_CAUSE) -> list[str]:
    """Write everything that `outcome` says; return the ids of the records that changed."""
    changed: list[str] = []
    if outcome.takes:
        _apply_takes(work, loaded, outcome.takes, cause)
        changed.append(loaded.record.id)
    changed += [_apply_comment(work, loaded, each, cause) for each in outcome.comments]
    changed += [_apply_conflict(work, loaded, each, cause) for each in outcome.conflicts]
    for part in outcome.settled_conflicts:
        _close_settled(work, loaded, part)
    loaded.view = outcome.record
    held_by(work).views[loaded.record.id] = outcome.record
    reasons = [Reason(rule=each.rule, text=f"Blocked {each.part} of {loaded.link.connection}: {each.text}")
               for each in outcome.blocked]  # fmt: skip
    reasons += [Reason(rule=f"sync.{each.why}", text=f"{each.part}: {each.text}" if each.part else each.text)
                for each in outcome.notes]  # fmt: skip
    put_state(work, loaded, outcome.link, reasons=reasons, cause=cause)
    return changed


def put_state(
    work: Work,
    loaded: Loaded,
    state: LinkState,
    *,
    reasons: list[Reason] | None = None,
    cause: Cause = NO_CAUSE,
) -> None:
    """Write a link's state: the base into its entry (if it differs), the rest into the working row."""
    link, run = loaded.link, loaded.run
    base = structs.replace(state, **{name: structs.asdict(LinkState())[name] for name in _EPHEMERAL})
    values: dict[str, Any] = {"parts": plain(to_json(base)), "external_key": state.key}
    if cause.ref is not None and cause.ref.key == state.key:
        values |= {
            "external_kind": cause.ref.kind,
            "external_label": cause.ref.label,
            "external_url": cause.ref.url,
        }
    if state.gone:
        values["state"] = "parked"
    differs = any(getattr(link, name) != value for name, value in values.items())
    if differs:
        values |= {"mapping_version": loaded.mapping.version, "external_version": state.version}
        why = reasons or [Reason(rule="sync.settled", text="The base follows what was seen at the partner.")]
        work.change(link, values, why=why, cause=cause.message, trace=cause.trace, occurred_at=cause.occurred_at,
                    versions={"mapping": loaded.mapping.version})  # fmt: skip
    elif reasons:
        work.note(link, why=reasons, cause=cause.message, trace=cause.trace)
    operation = None
    if state.operation is not None:
        operation = sealed(loaded.record.id, msgspec.to_builtins(state.operation))
    row = {
        "tick": state.tick, "fence": state.fence, "dirty": state.dirty, "version": state.version, "operation": operation,
        "operation_state": state.operation.state if state.operation else "", "epoch": run.epoch + 1,
        "parked": sum(1 for each in state.parts.values() if each.flag != "none")
        + sum(1 for each in state.comments.values() if each.flag != "none"),
        "comparing": run.comparing,
        "last_seen_at": cause.seen_at or run.last_seen_at,
        "settled_at": work.now if run.operation is not None and state.operation is None else run.settled_at,
    }  # fmt: skip
    work.advance(LinkRun, where={"link": link.id, "epoch": run.epoch}, values=row)
    for name, value in row.items():
        setattr(run, name, value)
    loaded.state = state


def sealed(record_id: str, value: Any) -> bytes:
    """Return the envelope of a JSON value under the record's key."""
    name = f"record:{record_id}"
    keys.ring().ensure([name])
    return keys.ring().seal(name, encode(plain(value)))


def _apply_takes(work: Work, loaded: Loaded, takes: tuple[Take, ...], cause: Cause) -> None:
    values: dict[str, Any] = {}
    why = []
    for take in takes:
        values |= spread(loaded.context.shapes[take.part], take.value)
        why.append(Reason(rule=take.rule, text=f"{take.part}: {take.text}",
                          facts={"connection": loaded.link.connection, "link": loaded.link.id}))  # fmt: skip
        after = spread(loaded.context.shapes[take.part], take.value)
        keep_trail(work, loaded.record, take.part, print_=loading.print_of(loaded.record, take.part, after), at=take.field.at, source=take.field.source,
                   hops=take.field.hops, trail=take.field.trail)  # fmt: skip
    adopted_by(work).update((loaded.record.id, take.part) for take in takes)
    if cause.actor:
        acted_by(work)[loaded.record.id] = cause.actor
    synced.hooks_of(loaded.link.record_kind).apply(work, loaded.record, values, why, cause.occurred_at)


def keep_trail(
    work: Work, record: RecordModel, part: str, *, print_: str, at: Instant, source: str, hops: int = 0,
    trail: tuple[tuple[str, int], ...] | None = None,
) -> None:  # fmt: skip
    """Remember when and by whom a part got its value; `trail` None keeps the one that is known."""
    values: dict[str, Any] = {"value": print_, "at": at, "source": source, "hops": hops}
    if trail is not None:
        values["trail"] = [list(each) for each in trail]
    work.upsert(
        FieldTrail,
        key={"organisation": record.organisation, "record": record.id, "part": part},
        values=values,
    )


def adopted_by(work: Work) -> set[tuple[str, str]]:
    """Return the (record, part) pairs that merges adopted in this Work: no edits of people."""
    found: set[tuple[str, str]] = work.__dict__.setdefault("adopted_parts", set())
    return found


def _apply_comment(work: Work, loaded: Loaded, change: CommentChange, cause: Cause) -> str:
    model = synced.model_of("comment")
    name = loaded.link.connection
    why = [Reason(rule=f"comment.{change.action}", text=f"Seen at {name}.", facts={"link": loaded.link.id})]
    if change.action == "add":
        work.create(
            model, organisation=loaded.record.organisation, why=why, record_id=change.id, cause=cause.message,
            trace=cause.trace, occurred_at=change.at,
            values={"record_kind": loaded.link.record_kind, "record": loaded.record.id, "body": change.body,
                    "public": change.public, "author_label": change.author, "connection": name, "state": "shown",
                    "written_at": change.at or work.now},
        )  # fmt: skip
        return change.id
    pending = work.pending.get(change.id)
    held = pending.record if pending else model.objects.get(id=change.id)
    values = {"state": "deleted"} if change.action == "delete" else {"body": change.body}
    work.change(held, values, why=why, cause=cause.message, trace=cause.trace)
    return change.id


def _apply_conflict(work: Work, loaded: Loaded, found: ConflictFound, cause: Cause) -> str:
    link, record = loaded.link, loaded.record
    undecided = found.winner == "undecided"
    facts = {"skewed": True} if found.skewed else {}
    row = work.create(
        Conflict, organisation=record.organisation, cause=cause.message, trace=cause.trace,
        why=[Reason(rule=found.rule, text=found.text, facts=facts)],
        values={
            "record_kind": link.record_kind, "record": record.id, "link": link.id, "field": found.part,
            "base": as_text(found.base), "ours": as_text(found.ours), "theirs": as_text(found.theirs),
            "rule": found.rule, "winner": found.winner, "state": "open" if undecided else "decided",
            "decided_by": "" if undecided else "rule", "decided_at": None if undecided else work.now,
        },
    )  # fmt: skip
    return row.id


def _close_settled(work: Work, loaded: Loaded, part: str) -> None:
    for each in Conflict.objects.filter(
        record=loaded.record.id, field=part, state="open", link=loaded.link.id
    ):
        work.change(each, {"state": "decided", "winner": "ours", "decided_by": "partner", "decided_at": work.now},
                    why=[Reason(rule="conflict.settled", text="The partner came to show our value by itself.")])  # fmt: skip


def as_text(value: Any) -> str:
    """Return a value as a conflict keeps it: text as it is, anything else as canonical JSON."""
    if value is None:
        return ""
    return value if isinstance(value, str) else encode(plain(value)).decode()


def acted_by(work: Work) -> dict[str, str]:
    """Return record → who changed it at a partner, in its words, for records that this Work merges.

    Kept for as long as the Work only: a name is nobody's business but that of whoever is told about the change.
    """
    found: dict[str, str] = work.__dict__.setdefault("acted_by", {})
    return found
