"""The shortest way through a table of allowed moves."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence


def way(moves: Mapping[str, Sequence[str]], start: str, end: str) -> list[str] | None:
    """Return the states after `start` up to `end`: [] if already there, None if no way leads there."""
    if start == end:
        return []
    routes: dict[str, list[str]] = {start: []}
    waiting = deque([start])
    while waiting:
        state = waiting.popleft()
        for following in moves.get(state, ()):
            if following == end:
                return [*routes[state], end]
            if following not in routes:
                routes[following] = [*routes[state], following]
                waiting.append(following)
    return None
