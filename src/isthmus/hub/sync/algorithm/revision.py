"""Planned changes of the base itself: adopting an existing pair, a new mapping, a decided conflict, and the
timed retry of parked parts."""

from __future__ import annotations

from typing import Literal

from msgspec import UNSET, structs

from isthmus.hub.sync.algorithm.admission import close_read
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
from isthmus.kernel.merge import Form, gather

Adoption = Literal["ours", "theirs", "queue"]


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


def remap(link: LinkState, old: Spelling, context: Context) -> tuple[LinkState, tuple[str, ...]]:
    """Return the link under the context's new mapping and the parts that now owe a write.

    A part is affected if the partner holds what the old mapping made of our value and the new one would
    make something else of it.
    """
    parts, affected = dict(link.parts), []
    for name, shape in context.shapes.items():
        part = parts.get(name)
        if part is None or part.agreed is UNSET:
            continue
        before, after = normal(shape, old, part.agreed), normal(shape, context.spelling, part.agreed)
        if part.seen == before and after not in (part.seen, UNSET):
            parts[name] = LinkPart(seen=part.seen, mapping_version=context.spelling.version)
            affected.append(name)
        else:
            parts[name] = structs.replace(part, mapping_version=context.spelling.version)
    return structs.replace(link, parts=parts, tick=link.tick + 1), tuple(affected)


def release(link: LinkState, part: str) -> LinkState:
    """Return the link after a conflict over `part` was decided: what we hold now is owed everywhere."""
    held = link.parts.get(part)
    if held is None or held.flag != "conflict":
        return link
    return structs.replace(
        link, parts={**link.parts, part: LinkPart(seen=held.seen, mapping_version=held.mapping_version)}
    )


def reopen_parked(link: LinkState, context: Context) -> LinkState:
    """Return the link with parked parts owed once more, if they have been parked for long enough.

    One write each: the next failure parks them again.
    """
    limit = int(context.now) - context.limits.parked_retry_after
    parts = dict(link.parts)
    for name, part in parts.items():
        if (
            part.flag == "divergent"
            and part.since <= limit
            and part.why in {"refused", "ignored", "no_path", "unmapped"}
        ):
            tries = context.limits.tries_max - 1
            parts[name] = LinkPart(
                seen=part.seen, tried=part.agreed, tries=tries, mapping_version=part.mapping_version
            )
    return structs.replace(link, parts=parts)
