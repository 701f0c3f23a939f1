"""Whether a partner has answered a writing request of the verb that runs.

A verb may take several requests: a write, then a look at what it made. If the look fails, the write has happened all
the same, and the verb's error tells nothing of it. So the HTTP client notes it here, below the verb, and the hub asks
before it believes that nothing was done.
"""

from __future__ import annotations

from contextvars import ContextVar
from dataclasses import dataclass


@dataclass
class Answered:
    """`write`: a writing request was answered with a 2xx since `watch`."""

    write: bool = False


_watched: ContextVar[Answered | None] = ContextVar("isthmus_answered", default=None)


def watch() -> Answered:
    """Return what is noted from now on by the current task and those that it starts."""
    found = Answered()
    _watched.set(found)
    return found


def note() -> None:
    """Note that a writing request was answered with a 2xx."""
    watched = _watched.get()
    if watched is not None:
        watched.write = True
