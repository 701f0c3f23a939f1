"""The life of an open operation: sent, acknowledged, refused, unknown, and settled by an observation.

A 2xx proves nothing. The base advances only on what is read back, or on a response that returns the record;
and it advances to the value that was *sent*, so that a newer value of ours stays owed.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from msgspec import UNSET, structs

from isthmus.hub.sync.algorithm.admission import still_dirty
from isthmus.hub.sync.algorithm.comments import FIELD, map_sent
from isthmus.hub.sync.algorithm.merging import merge_all, merge_part, park, readable, set_base
from isthmus.hub.sync.algorithm.outcome import ConflictFound, Context, Draft, Outcome, Sighting, observed
from isthmus.hub.sync.algorithm.state import (
    LinkComment,
    LinkPart,
    LinkState,
    Operation,
    OperationState,
    RecordView,
    Sent,
)
from isthmus.kernel.instant import Instant
from isthmus.kernel.merge import Form, Shape, gather


def mark_sent(link: LinkState) -> LinkState:
    """Return the link just before the call: from here on a crash leaves the outcome unknown."""
    return _moved(link, "sent")


def mark_unknown(link: LinkState, now: Instant, context: Context) -> LinkState:
    """Return the link after a timeout, or when a restart finds a sent operation. The wait counts from now."""
    operation = _open(link)
    since = int(now) if context.rules.wait_from_unknown else operation.since
    return _moved(link, "unknown", since=since)


def mark_acked(
    link: LinkState, context: Context, *, key: str = "", version: str = "", comment_key: str = ""
) -> LinkState:
    """Return the link after a 2xx (or a successful look-up): the object's key is known, nothing else is."""
    operation = _open(link)
    moved = structs.replace(link, key=key or link.key)
    if not context.rules.observed_base or (operation.kind == "create" and not context.rules.create_settles):
        return _trusting(moved, operation, context)
    return _moved(moved, "acked", response_version=version, response_key=comment_key)


def _trusting(link: LinkState, operation: Operation, context: Context) -> LinkState:
    """What R2 forbids: the base taken from a status code."""
    parts = dict(link.parts)
    for name, sent in operation.sent.items():
        if name in context.shapes:
            parts[name] = LinkPart(agreed=sent.value, seen=sent.expected)
    return structs.replace(link, parts=parts, operation=None, tick=link.tick + 1)


def mark_stale(link: LinkState) -> LinkState:
    """Return the link after a 412: nothing was written; read, merge and plan again."""
    return structs.replace(link, operation=None, dirty=link.tick + 1, tick=link.tick + 1)


def mark_absent(link: LinkState) -> LinkState:
    """Return the link after a look-up that found no object: the same operation may be sent again."""
    return _moved(link, "planned")


def refused(
    link: LinkState, record: RecordView, context: Context, *, fields: Iterable[str], text: str
) -> Outcome:
    """Return link and notes after a permanent refusal.

    The parts of the refused fields are parked. A refusal that names none parks the only part sent, or makes
    the parts go out one by one; a creation is not tried again with the very values that were refused.
    """
    operation = _open(link)
    draft = Draft(link=structs.replace(link, operation=None, tick=link.tick + 1), record=record)
    if operation.kind == "create":
        values = {name: sent.value for name, sent in operation.sent.items()}
        draft.link = structs.replace(draft.link, refused=values)
    named = {name for name in operation.sent if _names(context, name, frozenset(fields))}
    if operation.kind == "comment":
        held = draft.link.comments.get(operation.comment, LinkComment())
        refused_comment = structs.replace(held, agreed=operation.comment_body, flag="divergent")
        draft.set_comment(operation.comment, refused_comment)
    elif not named and len(operation.sent) > 1 and operation.kind == "patch":
        draft.link = structs.replace(draft.link, singly=tuple(operation.sent))
    else:
        wrong = named or (operation.sent if operation.kind == "patch" else ())
        for name in wrong if context.rules.park_refused else ():
            sent = operation.sent[name]
            park(
                draft,
                name,
                agreed=sent.value,
                seen=draft.part(name).seen,
                why="refused",
                text=text,
                context=context,
            )
        draft.link = structs.replace(
            draft.link, singly=tuple(each for each in draft.link.singly if each not in operation.sent)
        )
    return draft.finish()


def _names(context: Context, part: str, fields: frozenset[str]) -> bool:
    shape = context.shapes.get(part)
    return part in fields or (shape is not None and not fields.isdisjoint(shape.members))


def withdraw(link: LinkState) -> LinkState:
    """Return the link without its planned operation, which was certainly not sent."""
    return structs.replace(link, operation=None, tick=link.tick + 1)


def settle(link: LinkState, record: RecordView, seen: Sighting, context: Context) -> Outcome:
    """Return link and record after an observation made after the operation: compare, then merge the rest."""
    operation = _open(link)
    draft = Draft(link=link, record=record)
    if operation.kind == "comment":
        _settle_comment(draft, operation, seen, context)
    settled = set()
    for name, sent in operation.sent.items():
        shape = context.shapes.get(name)
        if shape is None:
            continue
        settled.add(name)
        theirs = observed(shape, seen, draft.part(name))
        if theirs is UNSET:
            draft.set_part(
                name,
                LinkPart(agreed=sent.value, seen=sent.expected, mapping_version=context.spelling.version),
            )
        elif shape.form is Form.SET:
            _settle_set(draft, shape, sent, theirs, operation, seen, context)
        else:
            _settle_value(draft, shape, sent, theirs, operation, seen, context)
    if operation.kind == "create":
        settled |= _agree_on_absence(draft, seen, context, except_parts=settled)
    merge_all(draft, seen, context, except_parts=frozenset(settled))
    tick = draft.link.tick + 1
    draft.link = structs.replace(
        draft.link, operation=None, tick=tick, fence=tick, version=seen.observation.version or draft.link.version,
        dirty=still_dirty(draft.link, seen.start), singly=tuple(each for each in draft.link.singly if each not in settled),
    )  # fmt: skip
    return draft.finish()


def _agree_on_absence(draft: Draft, seen: Sighting, context: Context, *, except_parts: set[str]) -> set[str]:
    """Give a base to the parts that were left out of a creation because they were empty, and are empty there.

    Without it the emptiness would look like somebody's edit: what was written here meanwhile would conflict
    with it, or lose to it.
    """
    found = set()
    for name, shape in context.shapes.items():
        if name in except_parts or draft.part(name).seen is not UNSET:
            continue
        absent = gather(shape, {})
        if observed(shape, seen, draft.part(name)) == absent:
            draft.set_part(
                name, LinkPart(agreed=absent, seen=absent, mapping_version=context.spelling.version)
            )
            found.add(name)
    return found


def _settle_value(
    draft: Draft,
    shape: Shape,
    sent: Sent,
    theirs: Any,
    operation: Operation,
    seen: Sighting,
    context: Context,
) -> None:
    """Four cases: as sent; the partner's own form of it; not there at all; something else entirely."""
    name, part = shape.name, draft.part(shape.name)
    version = context.spelling.version
    if _as_sent(theirs, sent):
        agreed = UNSET if sent.step else _base(draft, name, sent, context)
        draft.set_part(name, LinkPart(agreed=agreed, seen=theirs, mapping_version=version))
        return
    own = seen.own or _same_version(seen, operation)
    if not sent.step and own and _acknowledged(operation) and theirs != sent.before:
        park(draft, name, agreed=_base(draft, name, sent, context), seen=theirs, why="rewritten", context=context,
             text=f"{context.connection} stores its own form of what was written.")  # fmt: skip
        return
    arrived = _acknowledged(operation) or theirs != sent.before
    tries = _tries(part, sent.value, context, counted=arrived)
    spent = context.rules.park and tries >= context.limits.tries_max
    if theirs == sent.before:
        if spent:
            park(draft, name, agreed=sent.value, seen=theirs, why="ignored", context=context,
                 text=f"{context.connection} accepted the write {tries} times and kept its value.")  # fmt: skip
        else:
            draft.set_part(name, structs.replace(part, seen=theirs, tried=sent.value, tries=tries))
        return
    if spent:
        park(draft, name, agreed=sent.value, seen=theirs, why="rewritten", context=context,
             text=f"{context.connection} changed the written value {tries} times.")  # fmt: skip
        draft.conflict(ConflictFound(part=name, base=sent.before, ours=sent.value, theirs=readable(shape, theirs, context),
                                     winner="ours", rule="parked", text="Parked after repeated rewriting."))  # fmt: skip
        return
    merge_part(draft, shape, theirs, seen, context, unexplained=True)
    draft.set_part(name, structs.replace(draft.part(name), tried=sent.value, tries=tries))


def _settle_set(
    draft: Draft,
    shape: Shape,
    sent: Sent,
    theirs: Any,
    operation: Operation,
    seen: Sighting,
    context: Context,
) -> None:
    """Judge our elements only; whatever else is in the set is somebody else's edit and is merged.

    Unknown elements in place of ours are a partner's own spelling only if it has answered the write: a write
    that may never have arrived explains nothing, and what is new there is somebody's.
    """
    name, part = shape.name, draft.part(shape.name)
    missing = set(sent.add) - set(theirs)
    remaining = set(sent.remove) & set(theirs)
    unknown = set(theirs) - set(sent.expected) - set(sent.before)
    if not missing and not remaining:
        set_base(draft, shape, agreed=sent.value, seen=sent.expected, context=context)
        merge_part(draft, shape, theirs, seen, context)
        return
    if missing and unknown and _acknowledged(operation) and context.rules.park_unexplained:
        park(draft, name, agreed=sent.value, seen=theirs, why="rewritten", context=context,
             text=f"{context.connection} shows {sorted(unknown)} where {sorted(missing)} was written.")  # fmt: skip
        return
    untouched = missing == set(sent.add) and remaining == set(sent.remove)
    tries = _tries(part, sent.value, context, counted=_acknowledged(operation) or not untouched)
    if context.rules.park and tries >= context.limits.tries_max:
        park(draft, name, agreed=sent.value, seen=theirs, why="ignored", context=context,
             text=f"{context.connection} did not take {sorted(missing | remaining)}.")  # fmt: skip
        return
    merge_part(draft, shape, theirs, seen, context)
    draft.set_part(
        name, structs.replace(draft.part(name), tried=draft.record.fields[name].value, tries=tries)
    )


def _settle_comment(draft: Draft, operation: Operation, seen: Sighting, context: Context) -> None:
    if map_sent(draft, operation, seen, context):
        return
    held = draft.link.comments.get(operation.comment, LinkComment())
    tries = _tries(draft.part(FIELD), operation.comment, context, counted=_acknowledged(operation))
    if context.rules.park and tries >= context.limits.tries_max:
        draft.set_comment(
            operation.comment, structs.replace(held, agreed=operation.comment_body, flag="divergent")
        )
        return
    draft.set_part(FIELD, LinkPart(tried=operation.comment, tries=tries))


def _base(draft: Draft, name: str, sent: Sent, context: Context) -> Any:
    return sent.value if context.rules.base_is_sent else draft.record.fields[name].value


def _as_sent(theirs: Any, sent: Sent) -> bool:
    """Return whether they show what was written; of a step in a group, only the members that were written."""
    if sent.step and isinstance(theirs, dict) and isinstance(sent.outward, dict):
        return all(theirs.get(name) == value for name, value in sent.outward.items())
    return bool(theirs == sent.expected)


def _same_version(seen: Sighting, operation: Operation) -> bool:
    exact = bool(operation.response_version) and not seen.observation.coarse
    return exact and seen.observation.version == operation.response_version


def _tries(part: LinkPart, value: Any, context: Context, *, counted: bool) -> int:
    """Return how often `value` was tried, this time included if it is `counted`. A write that nobody answered and that
    left no trace may never have arrived: it says nothing about what the partner takes, and is simply made again."""
    before = part.tries if part.tried == value else 0
    return before + 1 if counted or not context.rules.count_arrived else before


def _acknowledged(operation: Operation) -> bool:
    return operation.state == "acked"


def _open(link: LinkState) -> Operation:
    assert link.operation is not None, "no operation is open on this link"  # noqa: S101 - an impossible state
    return link.operation


def _moved(link: LinkState, state: OperationState, **changes: Any) -> LinkState:
    tick = link.tick + 1
    operation = structs.replace(_open(link), state=state, at=tick, **changes)
    return structs.replace(link, tick=tick, operation=operation)
