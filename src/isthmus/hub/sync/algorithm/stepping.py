"""What a lane has to do next for one link: the only place that knows the order of the steps."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from isthmus.hub.sync.algorithm.outcome import Context
from isthmus.hub.sync.algorithm.state import LinkState
from isthmus.kernel.instant import Instant

_AT_ONCE = Instant(0)


@dataclass(frozen=True, kw_only=True)
class Step:
    """`plan`: compute what is owed. `send`: commit as sent, then call. `recover`: a crash left a sent
    operation, its outcome is unknown. `wait`: until the instant. `look_up`: by the link's correlation id.
    `read_back`: read, then settle. `read`: read, then admit and merge. `resend`: R6 switched off only.
    """

    do: Literal["plan", "send", "recover", "wait", "look_up", "read_back", "read", "resend"]
    until: Instant = _AT_ONCE


def next_step(link: LinkState, context: Context) -> Step:
    """Return the next step of a link that nobody else is working on (the caller holds its lease)."""
    operation = link.operation
    if operation is None:
        return Step(do="read") if link.dirty and link.key else Step(do="plan")
    match operation.state:
        case "planned":
            return Step(do="send")
        case "sent":
            return Step(do="recover")
        case "acked":
            return Step(do="read_back")
        case "unknown":
            return _unknown(link, context)


def _unknown(link: LinkState, context: Context) -> Step:
    operation = link.operation
    assert operation is not None  # noqa: S101 - checked by the caller
    creating = operation.kind == "create"
    if not context.rules.look_up:
        return Step(do="resend")
    wait = context.limits.request_wait + (context.limits.index_lag if creating else 0)
    until = Instant(operation.since + wait)
    if context.rules.wait_out and context.now < until:
        return Step(do="wait", until=until)
    return Step(do="look_up" if creating else "read_back")


def may_settle(link: LinkState, start: int) -> bool:
    """Return whether a read begun at tick `start` is late enough to judge the open operation."""
    return link.operation is not None and start > link.operation.at
