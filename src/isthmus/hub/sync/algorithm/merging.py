"""The three-way merge of one admitted observation into link and record.

Compare N(ours) with theirs, never N(ours) with N(theirs): that would hide a real edit. A refused value is
written down as (∅, theirs), so that the next plan puts ours back.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from msgspec import UNSET, structs

from isthmus.hub.sync.algorithm.admission import close_read
from isthmus.hub.sync.algorithm.comments import merge_comments
from isthmus.hub.sync.algorithm.outcome import (
    Blocked,
    ConflictFound,
    Context,
    Draft,
    Note,
    Outcome,
    Sighting,
    Take,
    observed,
)
from isthmus.hub.sync.algorithm.spelling import Unmapped, inward, normal
from isthmus.hub.sync.algorithm.state import HubField, LinkPart, LinkState, RecordView, fingerprint
from isthmus.kernel.instant import SECOND, Instant
from isthmus.kernel.merge import Decision, Edit, Form, Shape, Verdict, apply_delta, decide, difference, gather
from isthmus.kernel.record import MergePolicy


def merge(link: LinkState, record: RecordView, seen: Sighting, context: Context) -> Outcome:
    """Return link and record after an admitted observation."""
    draft = Draft(link=link, record=record)
    merge_all(draft, seen, context)
    draft.link = close_read(
        draft.link, start=seen.start, version=seen.observation.version, rules=context.rules
    )
    return draft.finish()


def merge_all(
    draft: Draft, seen: Sighting, context: Context, *, except_parts: frozenset[str] = frozenset()
) -> None:
    """Merge every part that the observation shows, then its comments."""
    if seen.observation.deleted:
        draft.link = structs.replace(draft.link, gone=True)
        draft.notes.append(Note(part="", why="gone", text="The object was deleted at the partner."))
        return
    for name, shape in context.shapes.items():
        if name in except_parts:
            continue
        theirs = observed(shape, seen, draft.part(name))
        if theirs is not UNSET:
            merge_part(draft, shape, theirs, seen, context)
    merge_comments(draft, seen, context)


def merge_part(
    draft: Draft, shape: Shape, theirs: Any, seen: Sighting, context: Context, *, unexplained: bool = False
) -> None:
    """Merge one part. `unexplained`: a value read back after our own write that is neither ours nor the
    former one; its adoption lengthens the chain that R8 bounds."""
    part = draft.part(shape.name)
    if theirs == part.seen:
        return
    if shape.form is Form.SET and _by_element(context, shape):
        _merge_set(draft, shape, theirs, seen, context)
        return
    ours = draft.record.fields.get(shape.name, HubField(value=gather(shape, {})))
    if normal(shape, context.spelling, ours.value) == theirs:
        _agree(draft, shape, ours, theirs, context)
        return
    if shape.name in draft.record.conflicts and context.rules.conflict_everywhere:
        draft.set_part(
            shape.name, LinkPart(seen=theirs, flag="conflict", mapping_version=context.spelling.version)
        )
        # A third value while two wait for a decision: it has a row of its own, or the decision would bury it.
        draft.conflict(ConflictFound(part=shape.name, base=None if part.agreed is UNSET else part.agreed, ours=ours.value,
                                     theirs=readable(shape, theirs, context), winner="undecided",
                                     rule=context.policy(shape.name).rule, text="It is in conflict already; a person decides."))  # fmt: skip
        return
    try:
        value = inward(shape, context.spelling, theirs)
    except Unmapped as problem:
        park(
            draft,
            shape.name,
            agreed=ours.value,
            seen=theirs,
            why="unmapped",
            text=problem.text,
            context=context,
        )
        return
    if value == ours.value:
        # Another word of theirs for what we hold: nobody raised, lowered or changed anything.
        _agree(draft, shape, ours, theirs, context)
        return
    _judge(draft, shape, part, ours, Edit(value=value, at=_when(seen), source=context.connection),
           theirs, seen, context, unexplained=unexplained)  # fmt: skip


def readable(shape: Shape, theirs: Any, context: Context) -> Any:
    """Return the canonical value of what a partner shows, as shown if it has none."""
    try:
        return inward(shape, context.spelling, theirs)
    except Unmapped:
        return theirs


def _by_element(context: Context, shape: Shape) -> bool:
    policy = context.policy(shape.name)
    return policy.inbound and policy.policy not in {MergePolicy.HUB, MergePolicy.OWNER}


def _when(seen: Sighting) -> Instant:
    return seen.observation.occurred_at or seen.seen_at


def _agree(draft: Draft, shape: Shape, ours: HubField, theirs: Any, context: Context) -> None:
    draft.set_part(
        shape.name, LinkPart(agreed=ours.value, seen=theirs, mapping_version=context.spelling.version)
    )
    if shape.name in draft.record.conflicts:
        draft.settled_conflicts.append(shape.name)


def _judge(
    draft: Draft, shape: Shape, part: LinkPart, ours: HubField, edit: Edit, theirs: Any, seen: Sighting,
    context: Context, *, unexplained: bool,
) -> None:  # fmt: skip
    both = ours.value != part.agreed and not (part.seen is UNSET and _empty(ours.value))
    mine = Edit(value=ours.value, at=ours.at, source=ours.source)
    policy = context.policy(shape.name)
    decision = decide(
        policy, connection=context.connection, ours=mine, theirs=edit, both=both, known_at=seen.seen_at
    )
    base = None if part.agreed is UNSET else part.agreed
    if edit.at > seen.seen_at:
        # An edit cannot be younger than its sight: a clock that runs ahead must not win every later comparison.
        if edit.at > seen.seen_at + policy.skew_bound:
            ahead = (edit.at - seen.seen_at) // SECOND
            text = f"The clock of {context.connection} runs {ahead} s ahead."
            draft.notes.append(Note(part=shape.name, why="skewed", text=text))
        edit = replace(edit, at=seen.seen_at)
    match decision.verdict:
        case Verdict.TAKE if not context.legal(shape.name, ours.value, edit.value):
            illegal = Decision(
                verdict=Verdict.MANUAL, rule="legal_state", text="The merged state is not allowed."
            )
            _manual(draft, shape, base, ours, edit, theirs, illegal, context)
        case Verdict.TAKE:
            _take(
                draft, shape, base, ours, edit, theirs, decision, context, both=both, unexplained=unexplained
            )
        case Verdict.KEEP:
            _keep(draft, shape, part, ours, edit, theirs, decision, context, both=both)
        case Verdict.MANUAL:
            _manual(draft, shape, base, ours, edit, theirs, decision, context)


def _take(
    draft: Draft, shape: Shape, base: Any, ours: HubField, edit: Edit, theirs: Any, decision: Decision,
    context: Context, *, both: bool, unexplained: bool,
) -> None:  # fmt: skip
    hops = ours.hops + 1 if unexplained else 0
    stopped = _stopped(ours, edit, hops, context)
    if stopped:
        park(draft, shape.name, agreed=ours.value, seen=theirs, why=stopped, context=context,
             text=f"{context.connection} keeps changing it to another value.")  # fmt: skip
        draft.conflict(ConflictFound(part=shape.name, base=base, ours=ours.value, theirs=edit.value,
                                     winner="ours", rule=stopped, text="Stopped to end a loop."))  # fmt: skip
        return
    horizon = context.now - context.limits.oscillation_window
    trail = (
        *(each for each in ours.trail if each[1] >= horizon),
        (fingerprint(edit.value), int(context.now)),
    )
    field = HubField(value=edit.value, at=edit.at, source=context.connection, hops=hops, trail=trail)
    draft.set_field(shape.name, field)
    draft.set_part(
        shape.name, LinkPart(agreed=edit.value, seen=theirs, mapping_version=context.spelling.version)
    )
    draft.takes.append(Take(part=shape.name, value=edit.value, before=ours.value, field=field,
                            rule=decision.rule, text=decision.text))  # fmt: skip
    if both:
        draft.conflict(ConflictFound(part=shape.name, base=base, ours=ours.value, theirs=edit.value, winner="theirs",
                                     rule=decision.rule, text=decision.text, skewed=decision.skewed))  # fmt: skip


def _stopped(ours: HubField, edit: Edit, hops: int, context: Context) -> str:
    """Return why this adoption must not happen: `hops`, `oscillating`, or nothing."""
    if context.rules.hop_bound and hops > context.limits.hops_max:
        return "hops"
    horizon = context.now - context.limits.oscillation_window
    returns = sum(1 for value, at in ours.trail if value == fingerprint(edit.value) and at >= horizon)
    if context.rules.oscillation_guard and returns >= context.limits.returns_max - 1:
        return "oscillating"
    return ""


def _keep(
    draft: Draft, shape: Shape, part: LinkPart, ours: HubField, edit: Edit, theirs: Any, decision: Decision,
    context: Context, *, both: bool,
) -> None:  # fmt: skip
    """Write (∅, theirs): ours goes back out, where the direction allows."""
    agreed = UNSET if context.rules.whole_pair else part.agreed
    draft.set_part(shape.name, LinkPart(agreed=agreed, seen=theirs, mapping_version=context.spelling.version))
    policy = context.policy(shape.name)
    if both and policy.policy in {MergePolicy.LATEST, MergePolicy.RANKED}:
        base = None if part.agreed is UNSET else part.agreed
        draft.conflict(ConflictFound(part=shape.name, base=base, ours=ours.value, theirs=edit.value, winner="ours",
                                     rule=decision.rule, text=decision.text, skewed=decision.skewed))  # fmt: skip
    else:
        draft.blocked.append(
            Blocked(part=shape.name, theirs=edit.value, rule=decision.rule, text=decision.text)
        )


def _manual(
    draft: Draft, shape: Shape, base: Any, ours: HubField, edit: Edit, theirs: Any, decision: Decision,
    context: Context,
) -> None:  # fmt: skip
    draft.set_part(
        shape.name, LinkPart(seen=theirs, flag="conflict", mapping_version=context.spelling.version)
    )
    draft.conflict(ConflictFound(part=shape.name, base=base, ours=ours.value, theirs=edit.value, winner="undecided",
                                 rule=decision.rule, text=decision.text, skewed=decision.skewed))  # fmt: skip


def _merge_set(draft: Draft, shape: Shape, theirs: Any, seen: Sighting, context: Context) -> None:
    """Add what they added, remove what they removed; what we added and removed meanwhile stays."""
    part = draft.part(shape.name)
    ours = draft.record.fields.get(shape.name, HubField(value=[]))
    theirs_delta = difference(part.seen if part.seen is not UNSET else (), theirs)
    spelled = {each: str(context.spelling.normal(shape.name, each)) for each in ours.value or ()}
    held = set(spelled.values())
    added = []
    for element in theirs_delta.add:
        if element in held:
            continue
        try:
            added.append(str(context.spelling.inward(shape.name, element)))
        except Unmapped as problem:
            draft.notes.append(Note(part=shape.name, why="unmapped", text=problem.text))
    removed = {each for each, form in spelled.items() if form in theirs_delta.remove}
    merged = sorted((set(ours.value or ()) | set(added)) - removed)
    agreed = [] if part.agreed is UNSET else part.agreed
    known = {str(context.spelling.normal(shape.name, each)): each for each in merged}
    base = apply_delta(
        [each for each in agreed if each not in removed],
        difference((), [known[form] for form in theirs if form in known]),
    )
    set_base(draft, shape, agreed=base, seen=theirs, context=context)
    if merged != list(ours.value or ()):
        field = HubField(value=merged, at=_when(seen), source=context.connection)
        draft.set_field(shape.name, field)
        draft.takes.append(Take(part=shape.name, value=merged, before=ours.value, field=field, rule="policy.union",
                                text=f"{context.connection} added {added} and removed {sorted(removed)}."))  # fmt: skip


def set_base(draft: Draft, shape: Shape, *, agreed: list[str], seen: list[str], context: Context) -> None:
    """Write the pair of a set. Elements correspond one to one; where they do not, some are parked."""
    spelled = sorted({str(context.spelling.normal(shape.name, each)) for each in agreed})
    if spelled == sorted(seen):
        draft.set_part(
            shape.name, LinkPart(agreed=agreed, seen=seen, mapping_version=context.spelling.version)
        )
        return
    held = draft.part(shape.name)
    draft.set_part(shape.name, LinkPart(agreed=agreed, seen=seen, flag="divergent", why=held.why or "rewritten",
                                        since=held.since or int(context.now),
                                        mapping_version=context.spelling.version))  # fmt: skip


def park(draft: Draft, name: str, *, agreed: Any, seen: Any, why: str, text: str, context: Context) -> None:
    """Record what we want beside what they keep: visible, retried by time, re-opened when either changes."""
    draft.set_part(name, LinkPart(agreed=agreed, seen=seen, flag="divergent", why=why, since=int(context.now),
                                  mapping_version=context.spelling.version))  # fmt: skip
    draft.notes.append(Note(part=name, why=why, text=text))


def _empty(value: Any) -> bool:
    if isinstance(value, dict):
        return all(each is None for each in value.values())
    return value is None or value == []
