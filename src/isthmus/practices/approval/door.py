"""The door of decisions: pages and API decide here, so that a refused attempt is journalled wherever it came from."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from isthmus.kernel.actor import Actor, Origin
from isthmus.ledger.door import perform
from isthmus.ledger.work import Work
from isthmus.practices.approval import service
from isthmus.practices.approval.models import Approval

T = TypeVar("T")


def recording(act: Callable[[], T], *, actor: Actor, origin: Origin, trace: str = "") -> T:
    """Run `act` (which opens its own Work); journal a refused decision in a Work of its own, then raise it."""
    try:
        return act()
    except service.RefusedDecision as fault:
        refused = fault
    perform(lambda work: service.record_refusal(work, refused), actor=actor, origin=origin, trace=trace)
    raise refused


def decide(
    approval: str, verdict: str, *, comment: str = "", actor: Actor, origin: Origin, trace: str = ""
) -> Approval:
    """Decide as `actor` and commit; raises `RefusedDecision` (403) after journalling it."""

    def act(work: Work) -> Approval:
        return service.decide(work, service.of(approval), verdict, comment=comment)

    return recording(
        lambda: perform(act, actor=actor, origin=origin, trace=trace), actor=actor, origin=origin, trace=trace
    )
