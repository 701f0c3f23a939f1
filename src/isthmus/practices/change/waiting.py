"""The gate for pipelines that wait: the decider behind `/gate/wait`.

A question is looked at as often as something moves, and leaves a record once: when it is decided, or when
the caller's patience is over. A token of an earlier request reads that request's record.
"""

from __future__ import annotations

from typing import Any

from isthmus.hub import gate_wait
from isthmus.hub.http.actor import home_organisation
from isthmus.identity import permissions
from isthmus.kernel.actor import Actor, Origin
from isthmus.kernel.errors import NotFound, Rejected
from isthmus.kernel.instant import Instant
from isthmus.ledger.door import perform
from isthmus.ledger.ids import source
from isthmus.ledger.work import Work
from isthmus.practices.change import gate

PERMISSION = "gate:check"
ORIGIN = Origin(channel="api")
UNDECIDED: dict[str, Any] = {"decision": "wait"}


def decide(actor: Actor | None, asked: dict[str, Any], now: Instant, *, last: bool) -> dict[str, Any]:
    """Answer one waiting check; see `hub.gate_wait.Decider`."""
    if token := asked.pop("token", ""):
        return gate.wait_state(str(token)) or UNDECIDED
    if actor is None:
        raise NotFound("There is no such gate request.", remedy="Ask the gate again.")
    where = _organisation(actor, asked.pop("organisation", ""))
    if not last:
        # Looked at in a Work that is thrown away: an undecided look leaves no record.
        glance = Work(actor=actor, origin=ORIGIN, now=now, trace=source.new_trace())
        if gate.check(glance, asked, organisation=where).verdict == "wait":
            return UNDECIDED
    return gate.described(
        perform(lambda work: gate.check(work, asked, organisation=where).record, actor=actor, origin=ORIGIN)
    )


def declare() -> None:
    """Register the decider; called once from `ready`."""
    gate_wait.register_decider(decide)


def _organisation(actor: Actor, given: Any) -> str:
    if given:
        permissions.require(actor, PERMISSION, str(given))
        return str(given)
    permissions.require(actor, PERMISSION)
    possible = sorted(permissions.organisations_with(actor, PERMISSION))
    if len(possible) == 1:
        return possible[0]
    home = home_organisation(actor)
    if home in possible:
        return home
    raise Rejected("Several organisations are possible.", remedy="Name one in the field 'organisation'.")
