"""Switches and bounds of the link algorithm.

Each switch is a rule of design/synchronisation.md with a known counter-example. Production runs with all of
them on; the tests switch one off at a time and show the damage. Removing a switch means removing the proof.
"""

from __future__ import annotations

from dataclasses import dataclass

from isthmus.kernel.instant import HOUR, SECOND


@dataclass(frozen=True, kw_only=True)
class Rules:
    """All on by default; the comment names what happens without the rule."""

    pair: bool = True  # R1: a normalising partner is written for ever
    whole_pair: bool = True  # R1b: a refused value is never put back
    observed_base: bool = True  # R2: a lying 200 reverts everyone
    hold_while_open: bool = True  # R3: stale state merges while a write is under way
    ordered: bool = True  # R4: a replayed webhook reverts a field
    ordered_by_end: bool = True  # R4b: of two overlapping reads the older data wins
    base_is_sent: bool = True  # R5: an edit during the flight never goes out
    look_up: bool = True  # R6: a timeout after commit makes a duplicate
    wait_out: bool = True  # R6b: a late request lands after the look-up and makes a twin
    wait_from_unknown: bool = True  # R6b: counted from the intent, the wait is too short
    park: bool = True  # R7: a refusing or ignoring partner is written for ever
    park_refused: bool = True  # R7: what a partner refuses is sent again without end
    count_arrived: bool = True  # R7b: three writes that never arrived park a field that nobody refuses
    hop_bound: bool = True  # R8: non-idempotent rewriters in a chain never end
    set_deltas: bool = True  # R9: an element added in between is deleted
    park_unexplained: bool = True  # R10: rewriting partners grow a set without end
    own_comments: bool = True  # R11: our own comment comes back as a new one
    create_settles: bool = True  # a field ignored at creation looks like an edit
    comment_as_sent: bool = True  # a user's edit of a comment found after a timeout is swallowed
    expected_version: bool = True  # If-Match: an edit that we had not seen is overwritten
    oscillation_guard: bool = True  # two automations play ping-pong through the hub
    conflict_everywhere: bool = True  # an undecided field is written to a third system


@dataclass(frozen=True, kw_only=True)
class Limits:
    """Bounds. Times are microseconds; `request_wait` must exceed the client's total timeout."""

    tries_max: int = 3
    hops_max: int = 3
    request_wait: int = 60 * SECOND
    index_lag: int = 30 * SECOND
    returns_max: int = 3
    oscillation_window: int = HOUR
    parked_retry_after: int = 6 * HOUR
