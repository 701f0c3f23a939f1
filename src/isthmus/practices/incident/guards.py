"""What other practices may hold against the end of an incident: they register, incident knows none of them.

A guard is asked with the incident and the final state it is about to enter, and returns why not. People,
services and the hub's own timers are refused; what a partner has done already is told, not undone.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from isthmus.kernel.errors import Bug, Conflict
from isthmus.kernel.record import Reason
from isthmus.ledger.work import Work
from isthmus.practices.incident.models import Incident
from isthmus.practices.incident.rules import states

Guard = Callable[[Incident, str], list[Reason]]
Told = Callable[[Work, Incident, Sequence[Reason]], None]

_guards: dict[str, Guard] = {}
_told: dict[str, Told] = {}


def register_guard(name: str, guard: Guard, *, told: Told | None = None) -> None:
    """Have `guard(incident, final state)` asked before an incident ends; called once, from `ready`.

    `told` hears of an end by a partner that the guard had reasons against and could not hold up.
    """
    held = _guards.get(name)
    if held is not None and held is not guard:
        raise Bug(f"Two guards of incidents are called {name!r}.")
    _guards[name] = guard
    if told is not None:
        _told[name] = told


def held_against(incident: Incident, entering: str) -> list[Reason]:
    """Return every reason why the incident may not enter a final state now; [] if it may."""
    return [reason for name in sorted(_guards) for reason in _guards[name](incident, entering)]


def passed(work: Work, incident: Incident, entering: str, *, partner: bool) -> list[Reason]:
    """Raise `Conflict` with every reason against an end of the incident; return them if a `partner` ended it."""
    reasons = held_against(incident, entering) if entering in states.FINAL else []
    if reasons and partner:
        for name in sorted(_told):
            if found := _guards[name](incident, entering):
                _told[name](work, incident, found)
    if reasons and not partner:
        raise Conflict(
            f"{incident.number} cannot be {entering} yet. {' '.join(each.text for each in reasons)}",
            remedy="Finish what is named first.",
        )
    return reasons
