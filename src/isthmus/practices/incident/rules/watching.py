"""What the watchdog does about a workflow that waits: ask the partner first, alarm only if it knows no better.

A wait has a limit. When it is over, a partner that can be asked is asked (a fresh read through its lane). If that
shows a move, an event was lost and the workflow goes on; if it shows none, or no answer comes within the time for
asking, the wait is escalated. Each wait is escalated once.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from isthmus.kernel.duration import in_words
from isthmus.kernel.instant import SECOND, Instant

Step = Literal["ask", "look_again", "escalate", "nothing"]
LOOK_AGAIN_AFTER = 2 * SECOND


@dataclass(frozen=True, kw_only=True)
class Waiting:
    """A wait as it stands. `askable`: there is a partner whose object can be read; `seen_at`: when it was last read."""

    state: str
    since: Instant
    limit_at: Instant
    askable: bool
    asked_at: Instant | None = None
    seen_at: Instant | None = None
    ask_within: int = 0


def decide(wait: Waiting, now: Instant) -> tuple[Step, str]:
    """Return what to do now and the words for it."""
    aged = in_words(max(0, now - wait.since) // SECOND * SECOND)
    if wait.state == "waiting":
        if now < wait.limit_at:
            return "nothing", ""
        if wait.askable:
            return "ask", f"Nothing happened for {aged}: the partner is asked."
        return "escalate", f"Nothing happened for {aged}."
    if wait.state != "asking" or wait.asked_at is None:
        return "nothing", ""
    if wait.seen_at is not None and wait.seen_at >= wait.asked_at:
        return "escalate", f"The partner was asked and shows no move since {aged}."
    if now < wait.asked_at + wait.ask_within:
        return "look_again", ""
    return "escalate", f"Nothing happened for {aged}, and the partner did not answer when it was asked."
