"""What synchronisation can be asked to do. Every function works in the caller's Work and never commits."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from msgspec import structs

from isthmus.hub import connections, health
from isthmus.hub.lanes import levels
from isthmus.hub.sync import loading, recording, synced, vanishing
from isthmus.hub.sync.algorithm import (
    Admission,
    Adoption,
    Sighting,
    adopt,
    compare_versions,
    mark_dirty,
    merge,
    release,
    remap,
    reopen_parked,
)
from isthmus.hub.sync.algorithm import admit as admit_pure
from isthmus.hub.sync.dialect import Dialect, shapes_for
from isthmus.hub.sync.loading import Loaded
from isthmus.hub.sync.models import Conflict, Link, LinkRun
from isthmus.hub.sync.recording import Cause
from isthmus.kernel.chain import decode
from isthmus.kernel.errors import Conflict as StaleRequest
from isthmus.kernel.errors import NotFound, Rejected
from isthmus.kernel.mapping import RecordMapping
from isthmus.kernel.merge import Form, spread
from isthmus.kernel.observation import ExternalRef
from isthmus.kernel.record import FieldType, Reason
from isthmus.ledger import organisations
from isthmus.ledger.ids import source
from isthmus.ledger.records import RecordModel, kind_of

if TYPE_CHECKING:
    from isthmus.ledger.work import Work


HELD = "Many objects of this connection were gone at once: a person looks before any counts as deleted."


def links_of(record_id: str) -> list[Link]:
    """Return the links of a record that still follow, oldest first."""
    return list(Link.objects.filter(record=record_id).exclude(state="unlinked").order_by("id"))


def link(
    work: Work, record: RecordModel, connection: str, *, external: ExternalRef | None = None, why: str = "",
    rule: str = "sync.link", trace: str = "",
) -> Link:  # fmt: skip
    """Tie a record to a connection and return the link. Without `external` the lane creates the object;
    with it, the existing object is read and adopted by the declared policy. One link per connection."""
    flow = loading.flow_of(record.kind)
    if connection not in flow.connections:
        raise Rejected(
            f"{connection!r} takes no part in the flow of {record.kind}.", remedy="Add it to `sync` first."
        )
    _within_reach(work, record, connection)
    if _is_linked(work, record, connection):
        raise StaleRequest(f"This record is linked to {connection} already.", remedy="Unlink it first.")
    mapping = loading.mapping_of(connection, record.kind)
    link_id = source.new_id()
    values: dict[str, Any] = {
        "record_kind": record.kind, "record": record.id, "connection": connection, "state": "active",
        "external_kind": mapping.external_kind, "correlation": link_id,
        "mapping_version": mapping.version, "parts": {},
    }  # fmt: skip
    if external is not None:
        _free(external)
        values |= {"external_kind": external.kind, "external_key": external.key, "external_label": external.label,
                   "external_url": external.url}  # fmt: skip
    text = why or f"Linked to {connection}."
    found = work.create(Link, organisation=record.organisation, values=values, record_id=link_id, trace=trace,
                        why=[Reason(rule=rule, text=text)])  # fmt: skip
    work.insert(LinkRun, link=link_id, organisation=record.organisation, record=record.id, connection=connection,
                dirty=1 if external is not None else 0, tick=1 if external is not None else 0)  # fmt: skip
    levels.converge(work, found, trace=trace)
    return found


def _is_linked(work: Work, record: RecordModel, connection: str) -> bool:
    """Return whether the record follows an object of the connection already; one made by this Work is in no store."""
    held = loading.held_by(work)
    if (record.id, connection) in held.linked:
        return True
    held.linked.add((record.id, connection))
    pending = work.pending.get(record.id)
    if pending is not None and pending.created:
        return False
    return Link.objects.filter(record=record.id, connection=connection).exclude(state="unlinked").exists()


def _within_reach(work: Work, record: RecordModel, connection: str) -> None:
    """Refuse a connection of an organisation that is neither above nor below the record's own.

    A link carries texts both ways: over a sibling's connection it would be a way out of the organisation.
    """
    home, own = connections.get(connection).organisation, record.organisation
    reach = loading.held_by(work).reach
    if (home, own) not in reach:
        reach[home, own] = home in organisations.lineage(own) or own in organisations.lineage(home)
    if not reach[home, own]:
        raise NotFound(
            f"There is no connection {connection!r} in reach of this record.",
            remedy="Use a connection of its own organisation.",
        )


def _free(external: ExternalRef) -> None:
    held = (
        Link.objects.filter(connection=external.connection, external_key=external.key)
        .exclude(state="unlinked")
        .first()
    )
    if held is not None:
        raise StaleRequest(
            f"{external.label or external.key} belongs to another record.", remedy="Unlink it there first."
        )


def unlink(work: Work, found: Link, *, why: str) -> None:
    """Stop following: later edits on either side no longer travel. Both objects stay as they are."""
    work.change(found, {"state": "unlinked"}, why=[Reason(rule="sync.unlink", text=why)])
    levels.withdraw(work, found)


def admit(
    work: Work, loaded: Loaded, seen: Sighting, *, cause: Cause, wake: bool = True
) -> tuple[Admission, list[str]]:
    """Let one observation in through the one door; return the verdict and the ids of changed records.

    The first sight of an adopted object has no base: it follows the declared adoption policy instead.
    `wake` False: the caller is the link's lane and goes on by itself.
    """
    admission = admit_pure(loaded.state, seen, loaded.context)
    if admission.verdict == "merge" and seen.observation.deleted and vanishing.held(work, loaded.link):
        # The practice must not hear of it either: it would cancel a change that was raised there.
        admission = Admission(verdict="dirty", reason=HELD, link=mark_dirty(loaded.state))
    if admission.verdict == "drop":
        current = compare_versions(seen.observation.version, loaded.state.version) == 0
        return admission, _hear_evidence(work, loaded, seen) if current else []
    if admission.verdict == "dirty":
        if not loaded.state.dirty or admission.link.behind != loaded.state.behind:
            recording.put_state(work, loaded, admission.link)
        if wake:
            levels.converge(work, loaded.link, trace=cause.trace)
        return admission, []
    loaded.state = admission.link
    if not loaded.state.parts:
        outcome = adopt(loaded.state, loaded.view, seen, loaded.context, _adoption(loaded))
    else:
        outcome = merge(loaded.state, loaded.view, seen, loaded.context)
    changed = recording.record(work, loaded, outcome, cause=cause)
    changed += _hear_evidence(work, loaded, seen)
    if wake:
        levels.converge(work, loaded.link, trace=cause.trace)
    return admission, changed


def _hear_evidence(work: Work, loaded: Loaded, seen: Sighting) -> list[str]:
    """Show the practice what the partner says about authority; return the record if that changed it.

    Only sights of the present come here: an older version may show an approval that is withdrawn since.
    """
    watched = synced.watched(work, loaded.record, loaded.link.connection, seen.observation)
    if not seen.observation.evidence:
        return watched
    before = loaded.record.version
    hook = synced.hooks_of(loaded.link.record_kind).evidence
    hook(work, loaded.record, loaded.link.connection, seen.observation)
    return [*watched, loaded.record.id] if loaded.record.version != before else watched


def _adoption(loaded: Loaded) -> Adoption:
    terms = loaded.flow.connections.get(loaded.link.connection)
    return terms.adoption if terms is not None else "queue"


def compare(work: Work, found: Link) -> None:
    """Owe a link one fresh read: the scheduled comparison, a restore, an operator's wish."""
    loaded = _one(work, found)
    recording.put_state(work, loaded, mark_dirty(loaded.state))
    levels.converge(work, found)


def retry_parked(work: Work, found: Link, *, insist: bool = False) -> None:
    """Owe the parked parts of a link once more, however lately they were parked; a creation that was refused may be
    tried with the same values. A person asks, who knows that the other side was mended. `insist`: ours is written
    also over a value of theirs that could not be read."""
    loaded = _one(work, found)
    state = reopen_parked(loaded.state, loaded.context, at_once=True, unread=insist)
    why = [Reason(rule="sync.insisted", text="What was parked is written once more.")] if insist else None
    recording.put_state(work, loaded, structs.replace(state, refused=None), reasons=why)
    levels.converge(work, found)


def decide(work: Work, conflict: Conflict, winner: str, value: Any = None) -> RecordModel:
    """Decide an open conflict: `ours`, `theirs` or `other` (with `value`); it then reaches every system."""
    if conflict.state != "open":
        raise StaleRequest("This conflict is decided already.", remedy="Restore the loser instead.")
    chosen = {"ours": conflict.ours, "theirs": conflict.theirs}.get(winner, value)
    if winner not in {"ours", "theirs", "other"} or chosen is None:
        raise Rejected("Say which value wins.", remedy="Choose ours, theirs, or other with a value.")
    return _enforce(work, conflict, winner, chosen, f"Decided: {winner}.")


def restore_loser(work: Work, conflict: Conflict) -> RecordModel:
    """Bring the value back that lost a decided conflict; it then reaches every system."""
    if conflict.state != "decided" or conflict.winner not in {"ours", "theirs"}:
        raise Rejected("Only a decided conflict has a loser.", remedy="Decide it first.")
    winner = "theirs" if conflict.winner == "ours" else "ours"
    chosen = conflict.theirs if winner == "theirs" else conflict.ours
    return _enforce(work, conflict, winner, chosen, "The losing value was restored.")


def _enforce(work: Work, conflict: Conflict, winner: str, text: str, said: str) -> RecordModel:
    held = loading.held_by(work)
    model = synced.model_of(conflict.record_kind)
    record = held.records.get(conflict.record) or model.objects.filter(id=conflict.record).first()
    if record is None:
        raise NotFound("The record of this conflict is gone.")
    held.records[record.id] = record
    why = [Reason(rule="conflict.decided", text=f"{conflict.field}: {said}", facts={"conflict": conflict.id})]
    decided = {"winner": winner, "state": "decided", "decided_by": work.actor.id, "decided_at": work.now}
    rows = Conflict.objects.filter(record=record.id, field=conflict.field, state="open").exclude(
        id=conflict.id
    )
    for each in [conflict, *rows]:
        work.change(each, decided, why=why)
    followed = links_of(record.id)
    loaded = loading.load(work, [each.id for each in followed])
    shape = next(
        (
            each.context.shapes[conflict.field]
            for each in loaded.values()
            if conflict.field in each.context.shapes
        ),
        None,
    )
    values = {conflict.field: from_text(record, conflict.field, text)} if shape is None else spread(
        shape, decode(text) if shape.form is not Form.VALUE and text else from_text(record, conflict.field, text))  # fmt: skip
    synced.hooks_of(conflict.record_kind).apply(work, record, values, why, None)
    for each in loaded.values():
        recording.put_state(work, each, release(each.state, conflict.field))
        levels.converge(work, each.link)
    return record


def from_text(record: RecordModel, field: str, text: str) -> Any:
    """Return a value that `recording.as_text` wrote, in the type of its field."""
    declared = kind_of(record).by_name.get(field)
    if declared is None or declared.type in {FieldType.TEXT, FieldType.CHOICE, FieldType.REFERENCE}:
        return text
    return decode(text) if text else None


def replan(work: Work, connection: str, kind: str, new: RecordMapping) -> dict[str, tuple[str, ...]]:
    """Put the links of a connection under a new mapping; return the affected parts by link.

    A part is affected if the partner holds what the old mapping made of our value and the new one makes something
    else of it, or if a value that had no counterpart has one now: the lane writes or reads it. Everything else keeps
    its base.
    """
    ids = Link.objects.filter(connection=connection, record_kind=kind, state="active").values_list(
        "id", flat=True
    )
    found: dict[str, tuple[str, ...]] = {}
    for each in loading.load(work, list(ids)).values():
        old = each.context.spelling
        context = replace(each.context, spelling=Dialect(new), shapes=shapes_for(new))
        state, affected = remap(each.state, each.view, old, context)
        each.mapping = new
        said = f"Planned again under the new mapping: {', '.join(affected) or 'nothing changes'}."
        if state.parts != each.state.parts:
            recording.put_state(work, each, state, reasons=[Reason(rule="mapping.changed", text=said)])
        if affected:
            found[each.link.id] = affected
            levels.converge(work, each.link)
    return found


def after_restore(work: Work) -> None:
    """Owe every link a fresh read and pause every lane: after a restore nobody knows what the partners saw
    meanwhile. Operations that were sent become unknown by themselves and are looked up."""
    for connection in connections.in_force().values():
        health.pause(
            work, connection.organisation, connection.name, "Restored from a backup; resume when ready."
        )
    ids = Link.objects.filter(state="active").values_list("id", flat=True)
    for each in loading.load(work, list(ids)).values():
        recording.put_state(work, each, mark_dirty(each.state))
        levels.converge(work, each.link)


def _one(work: Work, found: Link) -> Loaded:
    loaded = loading.load(work, [found.id])
    if found.id not in loaded:
        raise NotFound("This link has no record or connection any more.")
    return loaded[found.id]
