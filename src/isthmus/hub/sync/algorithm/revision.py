"""Planned changes of the base itself: adopting an existing pair, a new mapping, a decided conflict, and the
timed retry of parked parts."""

from __future__ import annotations

from typing import Any, Literal

from msgspec import UNSET, structs

from isthmus.hub.sync.algorithm.admission import close_read, mark_dirty
from isthmus.hub.sync.algorithm.comments import merge_comments
from isthmus.hub.sync.algorithm.merging import park
from isthmus.hub.sync.algorithm.outcome import (
    ConflictFound,
    Context,
    Draft,
    Outcome,
    Sighting,
    Take,
    observed,
)
from isthmus.hub.sync.algorithm.spelling import Spelling, Unmapped, inward, normal
from isthmus.hub.sync.algorithm.state import HubField, LinkPart, LinkState, RecordView
from isthmus.kernel.merge import Form, Shape, gather
from isthmus.kernel.record import MergePolicy

Adoption = Literal["ours", "theirs", "queue"]
RETRIED = frozenset({"refused", "ignored", "no_path", "unmapped"})
"""Causes for which a parked part is tried again."""


def adopt(link: LinkState, record: RecordView, seen: Sighting, context: Context, policy: Adoption) -> Outcome:
    """Return the link of two objects that existed before: equal parts agree, the rest follow `policy`.

    There is no base, so nothing is written by itself: `ours` owes our values, `theirs` takes theirs,
    `queue` asks a person for each difference. Sets are united. Comments of both sides are kept.
    """
    draft = Draft(link=structs.replace(link, key=seen.observation.external.key), record=record)
    for name, shape in context.shapes.items():
        theirs = observed(shape, seen, LinkPart())
        if theirs is UNSET:
            continue
        ours = record.fields.get(name, HubField(value=gather(shape, {})))
        if normal(shape, context.spelling, ours.value) == theirs:
            draft.set_part(
                name, LinkPart(agreed=ours.value, seen=theirs, mapping_version=context.spelling.version)
            )
            continue
        try:
            value = inward(shape, context.spelling, theirs)
        except Unmapped as problem:
            park(
                draft,
                name,
                agreed=ours.value,
                seen=theirs,
                why="unmapped",
                text=problem.text,
                context=context,
            )
            continue
        if shape.form is Form.SET:
            value = sorted(set(value) | set(ours.value or ()))
        if policy == "ours" or not context.policy(name).inbound:
            draft.set_part(name, LinkPart(seen=theirs, mapping_version=context.spelling.version))
        elif policy == "theirs" or shape.form is Form.SET:
            field = HubField(value=value, at=seen.seen_at, source=context.connection)
            agreed = inward(shape, context.spelling, theirs)
            draft.set_field(name, field)
            draft.set_part(
                name, LinkPart(agreed=agreed, seen=theirs, mapping_version=context.spelling.version)
            )
            draft.takes.append(Take(part=name, value=value, before=ours.value, field=field, rule="adoption.theirs",
                                    text="The pair was adopted with their value."))  # fmt: skip
        else:
            draft.set_part(
                name, LinkPart(seen=theirs, flag="conflict", mapping_version=context.spelling.version)
            )
            draft.conflict(ConflictFound(part=name, base=None, ours=ours.value, theirs=value, winner="undecided",
                                         rule="adoption.queue", text="The pair differs and has no base."))  # fmt: skip
    merge_comments(draft, seen, context)
    draft.link = close_read(
        draft.link, start=seen.start, version=seen.observation.version, rules=context.rules
    )
    return draft.finish()


def remap(
    link: LinkState, record: RecordView, old: Spelling, context: Context
) -> tuple[LinkState, tuple[str, ...]]:
    """Return the link under the context's new mapping and the parts that this affects.

    A part owes a write if the partner holds what the old mapping made of our value and the new one would make
    something else of it, or if only the new one can spell our value; if only the old one can, it is parked. A value
    of the partner's that only the new one can read is owed a read.
    """
    parts, affected, unread = dict(link.parts), [], False
    for name, shape in context.shapes.items():
        part = parts.get(name)
        if part is None:
            continue
        ours = record.fields.get(name, HubField(value=gather(shape, {}))).value
        found = _remapped(shape, part, ours, old, context)
        if found is not part and (UNSET in (found.agreed, found.seen) or found.flag != "none"):
            affected.append(name)
        unread = unread or (found.seen is UNSET and part.seen is not UNSET)
        parts[name] = structs.replace(found, mapping_version=context.spelling.version)
    moved = structs.replace(link, parts=parts, tick=link.tick + 1)
    return (mark_dirty(moved) if unread else moved), tuple(affected)


def _remapped(shape: Shape, part: LinkPart, ours: Any, old: Spelling, context: Context) -> LinkPart:
    """Return the pair under the new mapping: (∅, seen) owes a write, (agreed, ∅) a read."""
    name, new = shape.name, context.spelling
    if part.flag == "conflict":
        return part
    before, after = normal(shape, old, ours), normal(shape, new, ours)
    if part.flag == "divergent" and part.why == "unmapped":
        if before is UNSET and after is not UNSET:
            return LinkPart(seen=part.seen)
        heard = _is_heard(name, context) and not _readable(shape, old, part.seen)
        return LinkPart(agreed=part.agreed) if heard and _readable(shape, new, part.seen) else part
    if before is UNSET or before != part.seen or not context.policy(name).outbound:
        return part
    # In step by our value, not by the agreed one: an edit here that the partner spells as before left no pair.
    if after == part.seen:
        return LinkPart(agreed=ours, seen=part.seen)
    if after is UNSET:
        return LinkPart(agreed=ours, seen=part.seen, flag="divergent", why="unmapped", since=int(context.now))
    return LinkPart(seen=part.seen)


def _readable(shape: Shape, spelling: Spelling, theirs: Any) -> bool:
    """Return whether what a partner showed has a canonical value; what was never shown needs none."""
    if theirs is UNSET:
        return True
    try:
        inward(shape, spelling, theirs)
    except Unmapped:
        return False
    return True


def release(link: LinkState, part: str) -> LinkState:
    """Return the link after a conflict over `part` was decided: what we hold now is owed everywhere."""
    held = link.parts.get(part)
    if held is None or held.flag != "conflict":
        return link
    return structs.replace(
        link, parts={**link.parts, part: LinkPart(seen=held.seen, mapping_version=held.mapping_version)}
    )


def reopen_parked(
    link: LinkState, context: Context, *, at_once: bool = False, unread: bool = False
) -> LinkState:
    """Return the link with parked parts owed once more, if they have been parked for long enough or `at_once`.

    One write each: the next failure parks them again. A value of the partner's that could not be read waits for the
    mapping, not for a time: ours is written over it only by an edit here, or if a person insists (`unread`).
    """
    limit = int(context.now) - (0 if at_once else context.limits.parked_retry_after)
    parts = dict(link.parts)
    for name, part in parts.items():
        if part.flag != "divergent" or part.since > limit or part.why not in RETRIED:
            continue
        if unread or not _is_unread(name, part, context):
            tries = context.limits.tries_max - 1
            parts[name] = LinkPart(
                seen=part.seen, tried=part.agreed, tries=tries, mapping_version=part.mapping_version
            )
    return structs.replace(link, parts=parts)


def _is_unread(name: str, part: LinkPart, context: Context) -> bool:
    """Return whether a part is parked because what the partner set there has no canonical value."""
    shape = context.shapes.get(name)
    heard = shape is not None and part.why == "unmapped" and _is_heard(name, context)
    return heard and not _readable(context.shapes[name], context.spelling, part.seen)


def _is_heard(name: str, context: Context) -> bool:
    """Return whether what the partner sets in a part may count here at all."""
    policy = context.policy(name)
    owned = policy.policy is MergePolicy.OWNER and policy.owner != context.connection
    return policy.inbound and policy.policy is not MergePolicy.HUB and not owned
