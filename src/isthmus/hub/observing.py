"""Who reacts to what was observed: practices register one reaction per record kind.

A reaction receives the observations of one batch in log order, all of its kind, decides, writes through the
Work that it is given, and returns one `Outcome` per observation. It never commits, waits or calls a system.
It may be run again for the same observations (a batch is re-run when the book moved on), so its only effects
are those in the Work.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Literal

import msgspec

from isthmus.kernel.errors import Bug
from isthmus.kernel.instant import Instant
from isthmus.kernel.observation import Observation

if TYPE_CHECKING:
    from isthmus.ledger.work import Work

What = Literal["entry", "repeat", "suppressed", "ignored", "parked"]


class Seen(msgspec.Struct, frozen=True, kw_only=True):
    """One observation with where it came from.

    `message_position` and `place` name it (the place-th observation of that message of `connection`);
    `message_id` and `trace` were told to the sender: pass them as `cause` and `trace` to Work's calls.
    `organisation` is the one that the connection's rule gave the object.
    """

    message_position: int
    place: int
    connection: str
    organisation: str
    observation: Observation
    received_at: Instant
    message_id: str
    trace: str
    door: str = "webhook"


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """What came of one observation.

    `what`: entry (records changed), repeat (nothing new), suppressed or ignored (and `reason` says why),
    parked (waits in sight). `records` are the ids of the records that it changed or repeats.
    """

    position: int
    place: int = 0
    what: What
    event_id: str = ""
    reason: str = ""
    records: tuple[str, ...] = ()


def outcome(seen: Seen, what: What, *, reason: str = "", records: Sequence[str] = ()) -> Outcome:
    """Return the outcome of `seen`."""
    return Outcome(
        position=seen.message_position,
        place=seen.place,
        what=what,
        event_id=seen.observation.event_id,
        reason=reason,
        records=tuple(records),
    )


Reaction = Callable[["Work", Sequence[Seen], Instant], list[Outcome]]
Repeats = Callable[["Work", Sequence[Seen], Instant], None]

_reactions: dict[str, Reaction] = {}
_repeats: dict[str, Repeats] = {}


def register(kind: str, reaction: Reaction, *, repeats: Repeats | None = None) -> None:
    """Have `reaction` called with observations of `kind`; called once, from the `ready` of its practice.

    `repeats` is called with observations whose event id was taken before. They have no effect on records;
    it may bump counters (how often a source told us the same).
    """
    held = _reactions.get(kind)
    if held is not None and held is not reaction:
        raise Bug(f"Two parts react to observations of kind {kind!r}.")
    _reactions[kind] = reaction
    if repeats is not None:
        _repeats[kind] = repeats


def reaction_to(kind: str) -> Reaction | None:
    """Return the reaction registered for a kind."""
    return _reactions.get(kind)


def repeats_of(kind: str) -> Repeats | None:
    """Return what counts the repeats of a kind."""
    return _repeats.get(kind)
