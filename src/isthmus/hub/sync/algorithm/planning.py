"""What has to be written, as data: at most one operation per link, planned from its current level.

An empty plan writes nothing. Sets go out as deltas. A state goes out one legal transition at a time.
"""

from __future__ import annotations

from typing import Any

from msgspec import UNSET, structs

from isthmus.hub.sync.algorithm.comments import FIELD
from isthmus.hub.sync.algorithm.merging import park
from isthmus.hub.sync.algorithm.outcome import Context, Draft, Note, Outcome
from isthmus.hub.sync.algorithm.spelling import Unmapped, normal, outward
from isthmus.hub.sync.algorithm.state import (
    HubComment,
    HubField,
    LinkComment,
    LinkPart,
    LinkState,
    Operation,
    RecordView,
    Sent,
)
from isthmus.kernel.errors import Rejected
from isthmus.kernel.merge import Form, Shape, gather

STATE = "state"
"""The member of a group, or the field, whose values change along a partner's transitions."""


def plan(link: LinkState, record: RecordView, context: Context, *, key: str) -> Outcome:
    """Return the link with a planned operation, or without one if nothing is owed.

    `key` becomes the operation's idempotency key. Parts that cannot be spelled or reached are parked here.
    """
    draft = Draft(link=link, record=record)
    if link.operation is not None or link.gone:
        return draft.finish()
    sent = _sent(draft, context)
    if not link.key and {name: each.value for name, each in sent.items()} == link.refused:
        return draft.finish()
    if not link.key:
        _open(draft, Operation(kind="create", sent=sent, key=key), context)
    elif sent:
        _open(draft, Operation(kind="patch", sent=_one_if_single(draft, sent), key=key), context)
    else:
        _plan_comment(draft, context, key)
    return draft.finish()


def _sent(draft: Draft, context: Context) -> dict[str, Sent]:
    found: dict[str, Sent] = {}
    for name, shape in context.shapes.items():
        if not context.policy(name).outbound:
            continue
        if name in draft.record.conflicts and context.rules.conflict_everywhere:
            continue
        value = _plan_part(draft, shape, context)
        if value is not None:
            found[name] = value
    return found


def _plan_part(draft: Draft, shape: Shape, context: Context) -> Sent | None:
    part = draft.part(shape.name)
    ours = draft.record.fields.get(shape.name, HubField(value=gather(shape, {}))).value
    if part.flag == "conflict" and shape.name not in draft.record.conflicts:
        part = structs.replace(part, flag="none")
    if shape.form is Form.SET:
        return _plan_set(draft, shape, part, ours or [], context)
    expected = normal(shape, context.spelling, ours)
    if part.flag == "divergent" and expected == part.seen and expected is not UNSET:
        # Ours was set to what they keep: nothing is parked any more.
        version = context.spelling.version
        draft.set_part(shape.name, LinkPart(agreed=ours, seen=part.seen, mapping_version=version))
        return None
    if not _owed(part, ours, expected, context):
        return None
    if part.seen is UNSET and ours == gather(shape, {}):
        return None
    try:
        wire = outward(shape, context.spelling, ours)
    except (Unmapped, Rejected) as problem:
        if part.agreed != ours:
            park(
                draft,
                shape.name,
                agreed=ours,
                seen=part.seen,
                why="unmapped",
                text=problem.text,
                context=context,
            )
        return None
    before = gather(shape, {}) if part.seen is UNSET else part.seen
    whole = Sent(value=ours, expected=expected, outward=wire, before=before)
    return _step(draft, shape, part, whole, context)


def _owed(part: LinkPart, ours: Any, expected: Any, context: Context) -> bool:
    if not context.rules.pair:
        return bool(ours != part.seen)
    return bool(ours != part.agreed and expected != part.seen)


def _step(draft: Draft, shape: Shape, part: LinkPart, whole: Sent, context: Context) -> Sent | None:
    """Return the next transition towards the wanted state; the rest of a group goes with the last one."""
    if STATE not in shape.members or not draft.link.key or part.seen is UNSET:
        return whole
    start, end = _state(shape, part.seen), _state(shape, whole.expected)
    if start == end:
        return whole
    steps = context.spelling.path(STATE, start, end)
    if steps is None:
        text = f"There is no way from {start!r} to {end!r} at {context.connection}."
        park(draft, shape.name, agreed=whole.value, seen=part.seen, why="no_path", text=text, context=context)
        return None
    if len(steps) <= 1:
        return whole
    target = {**part.seen, STATE: steps[0]} if shape.form is Form.GROUP else steps[0]
    wire = {STATE: steps[0]} if shape.form is Form.GROUP else steps[0]
    return Sent(value=whole.value, expected=target, outward=wire, before=whole.before, step=True)


def _state(shape: Shape, value: Any) -> Any:
    return value.get(STATE) if shape.form is Form.GROUP and isinstance(value, dict) else value


def _plan_set(draft: Draft, shape: Shape, part: LinkPart, ours: list[str], context: Context) -> Sent | None:
    agreed = [] if part.agreed is UNSET else part.agreed
    seen = [] if part.seen is UNSET else part.seen
    spelled: dict[str, str] = {}
    for element in ours:
        try:
            spelled[element] = str(context.spelling.normal(shape.name, element))
        except (Unmapped, Rejected) as problem:
            draft.notes.append(Note(part=shape.name, why="unmapped", text=problem.text))
    known = set(agreed)
    add = tuple(sorted({form for each, form in spelled.items() if each not in known and form not in seen}))
    keep = set(spelled.values())
    dropped = {str(context.spelling.normal(shape.name, each)) for each in known - set(ours)}
    remove = tuple(sorted((dropped & set(seen)) - keep))
    if not add and not remove:
        return None
    expected = sorted((set(seen) | set(add)) - set(remove))
    return Sent(
        value=list(ours), expected=expected, outward=sorted(keep), before=seen, add=add, remove=remove
    )


def _one_if_single(draft: Draft, sent: dict[str, Sent]) -> dict[str, Sent]:
    """After a refusal that named no field, the refused parts go out one by one."""
    waiting = [name for name in draft.link.singly if name in sent]
    if not waiting:
        draft.link = structs.replace(draft.link, singly=())
        return sent
    draft.link = structs.replace(draft.link, singly=tuple(waiting))
    return {waiting[0]: sent[waiting[0]]}


def _plan_comment(draft: Draft, context: Context, key: str) -> None:
    """Plan the next comment that the partner lacks, or holds otherwise than we do. Where comments cannot be
    revised there, that is parked in sight; it is never added a second time."""
    for name, comment in draft.record.comments.items():
        held = draft.link.comments.get(name)
        if held is None:
            if not comment.deleted:
                _open(draft, _comment(draft, context, name, comment, key), context)
                return
        elif _differs(held, comment, context):
            if context.revises and held.key:
                operation = _comment(draft, context, name, comment, key)
                _open(
                    draft,
                    structs.replace(operation, comment_key=held.key, comment_gone=comment.deleted),
                    context,
                )
                return
            draft.set_comment(name, structs.replace(held, flag="divergent"))
            what = "removed" if comment.deleted else "changed"
            text = f"A comment {what} elsewhere stays as it is at {context.connection}: it cannot be revised there."
            draft.notes.append(Note(part=FIELD, why="comment_kept", text=text))


def _differs(held: LinkComment, ours: HubComment, context: Context) -> bool:
    if held.gone or held.flag != "none":
        return False
    if ours.deleted:
        return True
    return bool(ours.body != held.agreed and context.spelling.normal(FIELD, ours.body) != held.seen)


def _comment(draft: Draft, context: Context, name: str, comment: HubComment, key: str) -> Operation:
    known = tuple(sorted(held.key for held in draft.link.comments.values() if held.key))
    body = str(context.spelling.outward(FIELD, comment.body))
    return Operation(
        kind="comment", sent={FIELD: Sent(value=comment.body, outward=body)}, comment=name,
        comment_body=comment.body, comment_public=comment.public, known=known, key=key,
    )  # fmt: skip


def _open(draft: Draft, operation: Operation, context: Context) -> None:
    tick = draft.link.tick + 1
    opened = structs.replace(operation, at=tick, since=int(context.now), version_before=draft.link.version)
    draft.link = structs.replace(draft.link, tick=tick, operation=opened, behind=0)
