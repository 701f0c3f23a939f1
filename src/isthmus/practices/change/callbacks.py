"""Telling a pipeline what the gate decided: one effect per decision, through the lane of its connection."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from isthmus.ledger.work import Work
from isthmus.practices.change.models import GateDecision

VERB = "gate_decided"


def send(work: Work, record: GateDecision, told: Mapping[str, Any]) -> None:
    """Plan the callback of a decided request; its key is the request, so it is sent once."""
    # Imported late: lanes need a running hub, the gate's decisions do not.
    from isthmus.hub.lanes import effects

    effects.once(work, record.callback, VERB, dict(told), key=record.id, record=record)
