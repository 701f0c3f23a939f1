"""One door for webhooks, polls, reads and comparisons: may an observation be merged now."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from msgspec import structs

from isthmus.hub.sync.algorithm.outcome import Context, Sighting, observed
from isthmus.hub.sync.algorithm.rules import Rules
from isthmus.hub.sync.algorithm.state import LinkComment, LinkPart, LinkState
from isthmus.kernel.instant import MINUTE
from isthmus.kernel.observation import ObservedComment

ROLLED_BACK_AFTER = 2 * MINUTE
"""A replica catches up sooner; an older version that stays this long is the truth."""


@dataclass(frozen=True, kw_only=True)
class Admission:
    """`merge`: it may be merged. `dirty`: it is only a hint, one fresh read is owed. `drop`: it is old or
    known. The reason goes to the trace whatever the verdict."""

    verdict: Literal["merge", "dirty", "drop"]
    reason: str
    link: LinkState


def begin_read(link: LinkState) -> tuple[LinkState, int]:
    """Return the link with its counter advanced, and the tick that marks the start of a read."""
    return structs.replace(link, tick=link.tick + 1), link.tick + 1


def admit(link: LinkState, seen: Sighting, context: Context) -> Admission:
    """Return whether `seen` may be merged into `link`; only `merge` licenses a call of `merge`."""
    rules = context.rules
    if link.operation is not None and rules.hold_while_open:
        return _dirty(link, "A write is open; nothing is merged until it has settled.")
    if not rules.ordered:
        return Admission(verdict="merge", reason="unordered", link=link)
    order = compare_versions(seen.observation.version, link.version)
    if seen.start is not None:
        return _admit_read(link, seen, seen.start, order)
    if order is None and _only_new_comments(link, seen) and not link.version:
        return Admission(verdict="merge", reason="Comments alone, none of them known.", link=link)
    if order is None:
        return _dirty(link, "A hint without a comparable version; the object is read afresh.")
    if order > 0:
        return Admission(verdict="merge", reason="A newer version.", link=link)
    if order == 0 and seen.observation.coarse and not _all_known(link, seen, context):
        return _dirty(link, "Two edits may share this version; the object is read afresh.")
    return Admission(
        verdict="drop",
        reason="A version that is already known." if order == 0 else "An older version.",
        link=link,
    )


def _only_new_comments(link: LinkState, seen: Sighting) -> bool:
    """Return whether an observation says nothing of any field, and shows comments that no order can make old: a mail
    in a thread, which can never be read afresh. A known comment may be a replay of what was edited since."""
    told, known = seen.observation, {each.key for each in link.comments.values()}
    alone = bool(told.comments) and not told.values and not told.deleted
    return alone and all(each.key not in known for each in told.comments or ())


def _all_known(link: LinkState, seen: Sighting, context: Context) -> bool:
    """Return whether an observation shows the whole object, and all of it as it was last seen.

    Polls reach back and show every object again that was edited lately: a read for each would tell nothing. Two
    edits that share a version differ in what they show, and the later one is shown by whatever looks after it.
    """
    told = seen.observation
    if told.deleted or told.comments is None or told.attachments is None:
        return False
    for name, shape in context.shapes.items():
        part = link.parts.get(name, LinkPart())
        if observed(shape, seen, part) != part.seen:
            return False
    held = {each.key: each for each in link.comments.values() if each.key}
    return all(each.key in held and _is_known(held[each.key], each) for each in told.comments)


def _is_known(held: LinkComment, shown: ObservedComment) -> bool:
    return held.gone or (not shown.deleted and shown.body == held.seen)


def _admit_read(link: LinkState, seen: Sighting, start: int, order: int | None) -> Admission:
    if order is not None and order < 0:
        since = link.behind or int(seen.seen_at)
        if seen.seen_at - since >= ROLLED_BACK_AFTER:
            reason = "The partner's version went back for good: what it had confirmed is not there."
            return Admission(verdict="merge", reason=reason, link=disbelieve(link))
        reason = "The read came from a stale replica: its version is older than what is known."
        return _dirty(structs.replace(link, behind=since), reason)
    if start > link.fence or (order is not None and order > 0):
        return Admission(verdict="merge", reason="A read begun after the last admitted one ended.", link=link)
    return _dirty(link, "A read that overlapped the last admitted one; the object is read afresh.")


def disbelieve(link: LinkState) -> LinkState:
    """Return the link of a partner that no longer has what it had shown: it lied, or was restored.

    No pair holds any more, so a part that differs counts as changed on both sides: its policy decides, and the
    loser stays recoverable. Sets are united.
    """
    parts = {
        name: LinkPart() if isinstance(part.seen, list) else LinkPart(seen=part.seen)
        for name, part in link.parts.items()
    }
    return structs.replace(link, parts=parts, version="", behind=0)


def close_read(link: LinkState, *, start: int | None, version: str, rules: Rules) -> LinkState:
    """Return the link after an observation was merged: the fence stands at the end of it."""
    tick = link.tick + 1
    fence = tick if rules.ordered_by_end or start is None else start
    known = version or link.version
    return structs.replace(
        link, tick=tick, fence=fence, version=known, dirty=still_dirty(link, start), behind=0
    )


def still_dirty(link: LinkState, start: int | None) -> int:
    """Return the owed read after an observation: only a read begun after the hint has paid for it."""
    return 0 if start is not None and start > link.dirty else link.dirty


def mark_dirty(link: LinkState) -> LinkState:
    """Return the link owing one fresh read."""
    return structs.replace(link, tick=link.tick + 1, dirty=link.tick + 1)


def _dirty(link: LinkState, reason: str) -> Admission:
    return Admission(verdict="dirty", reason=reason, link=mark_dirty(link))


def compare_versions(theirs: str, known: str) -> int | None:
    """Return -1, 0 or 1; None where either is missing. Whole numbers compare as numbers, others as text."""
    if not theirs or not known:
        return None
    if theirs == known:
        return 0
    if theirs.isdigit() and known.isdigit():
        return -1 if int(theirs) < int(known) else 1
    return -1 if theirs < known else 1
