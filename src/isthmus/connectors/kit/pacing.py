"""Who calls decides when: the hub's lane makes every single request of a client wait for its turn.

A port's verb may take several requests (a look-up before a creation, pages of a search); a partner counts
requests. So the limit sits here, below the client, not above the verb.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextvars import ContextVar

Turn = Callable[[], Awaitable[None]]

_turn: ContextVar[Turn | None] = ContextVar("isthmus_request_turn", default=None)


def pace(turn: Turn) -> None:
    """Have `turn` awaited before each request that the current task makes from now on."""
    _turn.set(turn)


async def wait() -> None:
    """Wait until the next request may go out; at once where nobody paces."""
    turn = _turn.get()
    if turn is not None:
        await turn()
