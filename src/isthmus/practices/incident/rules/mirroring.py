"""Two incidents of one case, each with its desk: what one side changes, the other gets, and nothing is lost.

The same three-way merge as between systems, with one rule of its own: where both changed a field, the value of the
desk that holds the incident stands, because it is accountable. A state travels from the holder only.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

STATE = ("state", "resolution_code", "resolution_notes")


@dataclass(frozen=True, kw_only=True)
class Mirrored:
    """What each side takes, the new base, and the fields on which a value was overruled (side, field, value)."""

    to_giver: dict[str, Any] = field(default_factory=dict)
    to_taker: dict[str, Any] = field(default_factory=dict)
    base: dict[str, Any] = field(default_factory=dict)
    overruled: tuple[tuple[str, str, Any], ...] = ()


def mirror(
    fields: Sequence[str],
    *,
    base: Mapping[str, Any],
    giver: Mapping[str, Any],
    taker: Mapping[str, Any],
    taker_holds: bool,
) -> Mirrored:
    """Return what each side takes over from the other."""
    found = Mirrored(base=dict(base))
    overruled = []
    for name in fields:
        ours, theirs, before = giver.get(name), taker.get(name), base.get(name)
        if ours == theirs:
            found.base[name] = ours
        elif ours == before or (theirs != before and taker_holds):
            found.to_giver[name] = found.base[name] = theirs
            if ours != before:
                overruled.append(("giver", name, ours))
        else:
            found.to_taker[name] = found.base[name] = ours
            if theirs != before:
                overruled.append(("taker", name, theirs))
    return Mirrored(
        to_giver=found.to_giver, to_taker=found.to_taker, base=found.base, overruled=tuple(overruled)
    )


def new_comments(copied: Mapping[str, str], ids: Sequence[str]) -> list[str]:
    """Return the comments that have no twin yet; a twin itself is never copied back."""
    known = {*copied, *copied.values()}
    return [each for each in ids if each not in known]
