"""One door for webhooks, polls, reads and comparisons: may an observation be merged now."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from msgspec import structs

from isthmus.hub.sync.algorithm.outcome import Sighting
from isthmus.hub.sync.algorithm.rules import Rules
from isthmus.hub.sync.algorithm.state import LinkPart, LinkState
from isthmus.kernel.instant import MINUTE

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


def admit(link: LinkState, seen: Sighting, rules: Rules) -> Admission:
    """Return whether `seen` may be merged into `link`; only `merge` licenses a call of `merge`."""
    if link.operation is not None and rules.hold_while_open:
        return _dirty(link, "A write is open; nothing is merged until it has settled.")
    if not rules.ordered:
        return Admission(verdict="merge", reason="unordered", link=link)
    order = compare_versions(seen.observation.version, link.version)
    if seen.start is not None:
        return _admit_read(link, seen, seen.start, order)
    if order is None and _only_comments(seen) and not link.version:
        return Admission(verdict="merge", reason="Comments alone, each with a key of its own.", link=link)
    if order is None:
        return _dirty(link, "A hint without a comparable version; the object is read afresh.")
    if order > 0:
        return Admission(verdict="merge", reason="A newer version.", link=link)
    if order == 0 and seen.observation.coarse:
        return _dirty(link, "Two edits may share this version; the object is read afresh.")
    return Admission(
        verdict="drop",
        reason="A version that is already known." if order == 0 else "An older version.",
        link=link,
    )


def _only_comments(seen: Sighting) -> bool:
    """Return whether an observation says nothing of any field: a mail in a thread, which can never be read afresh."""
    return bool(seen.observation.comments) and not seen.observation.values and not seen.observation.deleted


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
