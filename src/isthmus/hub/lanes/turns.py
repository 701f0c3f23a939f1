"""The store's side of a lane: plan many links in one Work, record many results in one Work.

The intent is committed as sent before any call goes out; a crash in between leaves an unknown outcome, which
is looked up and never blindly repeated.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from isthmus.hub import due
from isthmus.hub.lanes import closing, levels, once
from isthmus.hub.lanes.calls import Fault, Result, Turn
from isthmus.hub.lanes.levels import CONVERGE
from isthmus.hub.lanes.limits import backoff
from isthmus.hub.lanes.models import Delivery
from isthmus.hub.models import Due
from isthmus.hub.sync import attachments, comparing, loading, recording, vanishing
from isthmus.hub.sync.algorithm import (
    Sighting,
    begin_read,
    compare_versions,
    mark_absent,
    mark_acked,
    mark_dirty,
    mark_sent,
    mark_stale,
    mark_unknown,
    next_step,
    plan,
    refused,
    reopen_parked,
    settle,
    withdraw,
)
from isthmus.hub.sync.algorithm.state import LinkState
from isthmus.hub.sync.dialect import Paths
from isthmus.hub.sync.loading import Loaded
from isthmus.hub.sync.recording import Cause
from isthmus.hub.sync.service import admit
from isthmus.kernel.instant import SECOND, Instant
from isthmus.kernel.observation import ExternalRef
from isthmus.kernel.record import Reason
from isthmus.ledger import rows as rows_of
from isthmus.ledger.ids import source

if TYPE_CHECKING:
    from isthmus.ledger.work import Work

STALE_REPLICA_WAIT = 2 * SECOND
STEPS_MAX = 8
"""Steps of one link without a call in between; more would be a loop."""


@dataclass
class Batch:
    """What one Work decided: turns to execute now, and when the rest comes back."""

    turns: list[Turn] = field(default_factory=list)


def begin(work: Work, rows: Sequence[Due], paths: Paths) -> list[Turn]:
    """Return the turns of claimed rows. Rows that owe nothing are finished, waiting ones given back."""
    batch = Batch()
    closing.show(work, rows)
    links = loading.load(work, [row.subject for row in rows if row.what == CONVERGE], paths=paths)
    for row in rows:
        if row.what == CONVERGE:
            loaded = links.get(row.subject)
            if loaded is None or loaded.link.state != "active":
                closing.close(work, row, state="done", outcome="The link no longer follows.")
            else:
                _advance(work, row, loaded, batch)
        else:
            batch.turns.extend(once.begin(work, row))
    return batch.turns


def conclude(work: Work, results: Sequence[Result], paths: Paths, jitter: float) -> list[Turn]:
    """Record what came of calls; return the next turns of the same links."""
    batch = Batch()
    held = rows_of.instances(Due, "id", [each.turn.due_id for each in results])
    rows = {row.id: row for row in held}
    closing.show(work, held)
    links = loading.load(work, [each.turn.subject for each in results if each.turn.do != "once"], paths=paths)
    going_on: dict[str, Due] = {}
    for result in results:
        row = rows.get(result.turn.due_id)
        if row is not None and row.epoch != result.turn.due_epoch:
            # The level was asked for again meanwhile: what is known is recorded, the new row goes on.
            row = None
        if result.turn.do == "once":
            once.conclude(work, row, result, jitter)
            continue
        loaded = links.get(result.turn.subject)
        if loaded is not None and _conclude_link(work, row, loaded, result, jitter) and row is not None:
            going_on[result.turn.subject] = row
    # Only when every result is in: one link may have changed the record of another.
    for link_id, loaded in loading.load(work, going_on, paths=paths).items():
        _advance(work, going_on[link_id], loaded, batch)
    return batch.turns


def _advance(work: Work, row: Due, loaded: Loaded, batch: Batch) -> None:
    """Take steps until something must be asked of the partner, or nothing is owed."""
    levels.already_asked(work, loaded.link.id)
    for _ in range(STEPS_MAX):
        state = loaded.state
        step = next_step(state, loaded.context)
        match step.do:
            case "plan":
                reopened = reopen_parked(state, loaded.context)
                outcome = plan(reopened, loaded.view, loaded.context, key=source.new_id())
                if outcome.link.operation is None:
                    if outcome.link != state or outcome.notes:
                        recording.record(work, loaded, outcome)
                    _finish_level(work, row, loaded)
                    return
                recording.record(work, loaded, replace(outcome, link=mark_sent(outcome.link)))
                batch.turns.append(_turn(row, loaded, "write"))
                return
            case "send" | "resend":
                recording.put_state(work, loaded, mark_sent(state))
                batch.turns.append(_turn(row, loaded, "write"))
                return
            case "recover":
                recording.put_state(work, loaded, mark_unknown(state, work.now, loaded.context))
            case "wait":
                closing.give_back(work, row, step.until, state="waiting", fault=Fault(
                    fault="unknown", cause="It is not known whether the last write took effect.",
                    remedy="The hub looks at the partner when a late request can no longer land."))  # fmt: skip
                return
            case "look_up":
                batch.turns.append(_turn(row, loaded, "look_up"))
                return
            case "read" | "read_back":
                batch.turns.append(_turn(row, loaded, "read"))
                return


def _turn(row: Due, loaded: Loaded, do: Any) -> Turn:
    link, state = loaded.link, loaded.state
    ref = None
    if state.key:
        ref = ExternalRef(
            connection=link.connection, kind=link.external_kind, key=state.key, label=link.external_label
        )
    _, start = begin_read(state)
    return Turn(
        due_id=row.id, due_epoch=row.epoch, subject=link.id, organisation=link.organisation, do=do, kind=link.record_kind,
        ref=ref, correlation=link.correlation, operation=state.operation, shapes=loaded.context.shapes, start=start, attempts=row.attempts,
        comments=bool(loaded.view.comments) or state.operation is None,
    )  # fmt: skip


def _conclude_link(work: Work, row: Due | None, loaded: Loaded, result: Result, jitter: float) -> bool:
    """Record one result; return whether the link may take its next step."""
    turn, state = result.turn, loaded.state
    if not _same_operation(turn, state):
        # Another lane took over after the lease ran out; what it found out is newer than what we hold.
        return False
    if result.fault is not None:
        return _faulted(work, row, loaded, result.fault, turn, jitter)
    if turn.do == "look_up":
        found = result.found
        moved = mark_acked(state, loaded.context, key=found[0].key) if found else mark_absent(state)
        twins = (
            [Reason(rule="sync.twin", text=f"{len(found)} objects carry this link's correlation.")]
            if len(found) > 1
            else None
        )
        recording.put_state(work, loaded, moved, reasons=twins, cause=Cause(ref=found[0] if found else None))
    elif turn.do == "read":
        return _take_read(work, row, loaded, result)
    else:
        _take_answer(work, loaded, result)
    return True


def _same_operation(turn: Turn, state: LinkState) -> bool:
    if turn.operation is None or state.operation is None:
        return turn.operation is None and state.operation is None
    return (turn.operation.key, turn.operation.state) == (state.operation.key, state.operation.state)


def _take_answer(work: Work, loaded: Loaded, result: Result) -> None:
    """A 2xx: remember the key; settle if the record was shown."""
    written = result.written
    assert written is not None  # noqa: S101 - the answer of a write
    key = written.ref.key if not loaded.state.key else ""
    comment_key = written.comment.key if written.comment is not None else ""
    acked = mark_acked(
        loaded.state, loaded.context, key=key, version=written.version, comment_key=comment_key
    )
    cause = Cause(ref=written.ref, seen_at=work.now)
    behind = (
        result.observation is not None
        and (compare_versions(result.observation.version, written.version) or 0) < 0
    )
    if result.observation is None or behind:
        recording.put_state(work, loaded, acked, cause=cause)
        return
    start = None if result.own else result.turn.start
    seen = Sighting(observation=result.observation, seen_at=work.now, start=start, own=result.own)
    recording.record(work, loaded, settle(acked, loaded.view, seen, loaded.context), cause=cause)


def _take_read(work: Work, row: Due | None, loaded: Loaded, result: Result) -> bool:
    """A read: settles an open operation, else it is merged like any other observation."""
    observation, state = result.observation, loaded.state
    assert observation is not None  # noqa: S101 - the result of a read
    attachments.observed(work, loaded, observation.attachments, cause=_cause(work, result))
    on = _settle_or_merge(work, row, loaded, result)
    if on:
        comparing.looked(work, loaded, state, observation)
    return on


def _settle_or_merge(work: Work, row: Due | None, loaded: Loaded, result: Result) -> bool:
    observation, state = result.observation, loaded.state
    assert observation is not None  # noqa: S101 - as above
    if state.operation is not None:
        known = state.operation.response_version or state.version
        lost = observation.deleted and vanishing.held(work, loaded.link)
        if lost or (compare_versions(observation.version, known) or 0) < 0:
            if row is not None:
                closing.give_back(work, row, _later(work, row), state="waiting", fault=None)
            return False
        seen = Sighting(observation=observation, seen_at=work.now, start=result.turn.start)
        recording.record(
            work, loaded, settle(state, loaded.view, seen, loaded.context), cause=_cause(work, result)
        )
        return True
    seen = Sighting(observation=observation, seen_at=work.now, start=result.turn.start)
    admission, _ = admit(work, loaded, seen, cause=_cause(work, result), wake=False)
    if admission.verdict == "merge":
        return True
    if row is not None:
        closing.give_back(work, row, _later(work, row), state="waiting", fault=None)
    return False


def _later(work: Work, row: Due) -> Instant:
    """Return when to read again: a replica catches up soon, and if not, there is no hurry."""
    return Instant(work.now + STALE_REPLICA_WAIT * 2 ** min(row.attempts, 4))


def _cause(work: Work, result: Result) -> Cause:
    observation = result.observation
    assert observation is not None  # noqa: S101 - called for reads only
    return Cause(ref=observation.external, seen_at=work.now, occurred_at=observation.occurred_at,
                 actor=observation.partner_actor)  # fmt: skip


def _faulted(work: Work, row: Due | None, loaded: Loaded, fault: Fault, turn: Turn, jitter: float) -> bool:
    """Record a failed call; return whether the link may go on at once."""
    state = loaded.state
    if row is None:
        closing.tell(work, turn.subject, fault)
    if turn.do == "write":
        match fault.fault:
            case "unknown":
                recording.put_state(work, loaded, mark_unknown(state, work.now, loaded.context))
                return True
            case "stale":
                recording.put_state(work, loaded, mark_stale(state))
                return True
            case "rejected":
                outcome = refused(state, loaded.view, loaded.context, fields=fault.fields, text=fault.cause)
                recording.record(work, loaded, outcome)
                if (
                    state.operation is not None
                    and state.operation.kind == "create"
                    and not set(fault.fields) & _sent_fields(turn)
                ):
                    closing.bury(work, row, fault)
                    return False
                return True
            case _:
                recording.put_state(
                    work, loaded, _in_part(work, loaded) if fault.in_part else withdraw(state)
                )
    if fault.fault == "gone":
        _gone(work, row, loaded, fault)
    elif fault.fault in {"operator", "rejected"}:
        closing.bury(work, row, fault)
    elif row is not None:
        wait = backoff(turn.attempts, jitter, after_seconds=fault.after_seconds)
        closing.give_back(work, row, Instant(work.now + wait), state="due", fault=fault)
    return False


def _in_part(work: Work, loaded: Loaded) -> LinkState:
    """Return the link of which something was written, so that it is looked for before anything is made again: at once,
    since every request was answered and none can land late."""
    over = Instant(work.now - loaded.context.limits.request_wait)
    return mark_unknown(loaded.state, over, loaded.context)


def _gone(work: Work, row: Due | None, loaded: Loaded, fault: Fault) -> None:
    """End a link whose object is no longer there, unless too many are gone at once to be believed."""
    if vanishing.held(work, loaded.link):
        recording.put_state(work, loaded, mark_dirty(loaded.state))
        if row is not None:
            closing.give_back(work, row, _later(work, row), state="waiting", fault=fault)
        return
    gone = [Reason(rule="sync.gone", text=fault.cause)]
    recording.put_state(work, loaded, replace_gone(loaded.state), reasons=gone)
    closing.bury(work, row, fault)


def replace_gone(state: LinkState) -> LinkState:
    """Return the link of an object that is no longer there."""
    from msgspec import structs

    return structs.replace(state, gone=True)


def _sent_fields(turn: Turn) -> set[str]:
    if turn.operation is None:
        return set()
    members = {name for part in turn.operation.sent for name in (turn.shapes or {})[part].members}
    return members | set(turn.operation.sent)


def _finish_level(work: Work, row: Due, loaded: Loaded) -> None:
    if not loaded.state.key and loaded.state.refused is not None:
        # Nothing is owed only because these very values were refused: that is stuck, not in step.
        closing.bury(work, row, _refusal(work, loaded))
        return
    parked = sorted(name for name, part in loaded.state.parts.items() if part.flag == "divergent")
    kept = sum(1 for each in loaded.state.comments.values() if each.flag == "divergent")
    apart = [*parked, *([f"{kept} comment(s)"] if kept else [])]
    said = f"In step, except {', '.join(apart)} (parked)." if apart else "In step."
    if loaded.view.conflicts:
        said = f"Waiting for a decision about {', '.join(sorted(loaded.view.conflicts))}."
    closing.close(work, row, state="done", outcome=said)
    if parked:
        at = Instant(work.now + loaded.context.limits.parked_retry_after)
        due.schedule(
            work,
            CONVERGE,
            loaded.link.id,
            at,
            organisation=loaded.link.organisation,
            lane=loaded.link.connection,
        )


def _refusal(work: Work, loaded: Loaded) -> Fault:
    if (told := closing.told(work).get(loaded.link.id)) is not None:
        return told
    held = Delivery.objects.filter(id=loaded.link.id).first()
    cause = held.cause if held is not None else ""
    remedy = held.remedy if held is not None else ""
    return Fault(
        fault="rejected",
        cause=cause or f"{loaded.link.connection} refused to create it with these very values.",
        remedy=remedy or "Correct the record or the mapping, then retry the delivery.",
    )
