"""Telling a pipeline what the gate decided: one effect per decision, through the lane of its connection."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from isthmus.hub import connections
from isthmus.kernel.errors import IsthmusError, Problem, Rejected
from isthmus.ledger import organisations
from isthmus.ledger.work import Work
from isthmus.practices.change.models import GateDecision

VERB = "gate_decided"


def send(work: Work, record: GateDecision, told: Mapping[str, Any]) -> None:
    """Plan the callback of a decided request; its key is the request, so it is sent once."""
    # Imported late: lanes need a running hub, the gate's decisions do not.
    from isthmus.hub.lanes import effects

    effects.once(work, record.callback, VERB, dict(told), key=record.id, record=record)


def check(connection: str, organisation: str) -> None:
    """Raise `Rejected` unless `connection` takes the hub's messages and belongs here or to the installation."""
    try:
        found = connections.get(connection)
    except IsthmusError:
        found = None
    if found is None or found.organisation not in {organisation, organisations.root()}:
        message, remedy = f"There is no connection {connection!r}.", "Name one of the blueprint."
    elif not found.manifest.can("tell"):
        message = f"{connection!r} cannot be told a decision."
        remedy = "Name a connection of the connector 'webhook' with a url."
    else:
        return
    raise Rejected(
        "The callback cannot be made.",
        problems=(Problem(path="/callback", message=message, remedy=remedy),),
    )
