"""Major incidents: declared by a person or by priority, with one owner of the workflow triggers."""

from __future__ import annotations

from isthmus.kernel.errors import Rejected
from isthmus.kernel.record import Reason
from isthmus.ledger.work import Work
from isthmus.practices.incident.models import Incident
from isthmus.practices.incident.rules import states, trigger


def declare_major(work: Work, incident: Incident, *, owner: str, reason: str) -> Incident:
    """Declare a major incident and say which group owns its workflow triggers."""
    if incident.state not in states.OPEN:
        raise Rejected("Only an open incident can be a major one.", remedy="Reopen it first.")
    if not owner.strip():
        raise Rejected("A major incident needs an owner of its triggers.", remedy="Name a group.")
    why = [
        Reason(
            rule="incident.major",
            text=f"Major incident declared; {owner} owns the triggers. {reason}".strip(),
        )
    ]
    return work.change(incident, {"major": True, "trigger_owner": owner}, why=why)


def hand_over(work: Work, incident: Incident, *, owner: str, reason: str) -> Incident:
    """Give the ownership of the triggers to another group."""
    if not incident.major or not owner.strip():
        raise Rejected("There is nothing to hand over.", remedy="Declare a major incident and name a group.")
    why = [
        Reason(
            rule="incident.major",
            text=f"Triggers handed over from {incident.trigger_owner} to {owner}. {reason}".strip(),
        )
    ]
    return work.change(incident, {"trigger_owner": owner}, why=why)


def stand_down(work: Work, incident: Incident, *, reason: str) -> Incident:
    """End the major incident; everybody entitled may fire triggers again."""
    why = [Reason(rule="incident.major", text=f"No longer a major incident. {reason}".strip())]
    return work.change(incident, {"major": False, "trigger_owner": ""}, why=why)


def require_trigger(incident: Incident, acting_group: str) -> None:
    """Raise `Forbidden` with the offer of a hand-over if another group owns the triggers."""
    trigger.check_owner(major=incident.major, owner=incident.trigger_owner, acting_group=acting_group)
